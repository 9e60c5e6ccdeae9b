"""What Ray runs in tests in OpenRLHF's place: rows, checkpoints, expert calls and a log like its.

It takes OpenRLHF's arguments, goes on from the checkpoint that it finds, asks an expert for each
row in a Ray worker, through the pool of the job and with the key that the setup hook has put
there, and prints a line a step. Files in the job's directory change what it does: `crash_at` (a
step, once), `unsound_at` (a step, as our corrections refuse a batch), `wait_at` (a step, until the
file is gone). Errors of ours end it as they end `corl_train.openrlhf.training`. Beside the job's
directory it leaves `environments.json`, of the driver and of a worker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

import ray

from corl_bench.errors import CapReachedError, CorlError
from corl_bench.experts.base import ProviderError, Request
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import ProviderContext, make_provider
from corl_bench.experts.transport import Transport
from corl_bench.types import Message
from corl_train.openrlhf import workers
from corl_train.openrlhf.soundness import UnsoundBatchError


@ray.remote
def ask(pool_file: str, question: str) -> tuple[str, dict[str, str]]:
    """Asks the first expert, and says in which environment."""

    async def once() -> str:
        pool = load_pool(pool_file)
        transport = Transport()
        transport.open()
        provider = make_provider(pool.experts[0], ProviderContext(pool=pool, transport=transport))
        request = Request(
            pool.experts[0], (Message("user", question),), pool.experts[0].sampling, question
        )
        try:
            reply = await provider.send(request)
            return reply.text
        except ProviderError as error:
            if error.status == "cap_reached":  # as the agent's episodes say it
                raise CapReachedError(str(error)) from None
            raise
        finally:
            await provider.aclose()
            await transport.aclose()

    return asyncio.run(once()), dict(os.environ)


def main() -> int:
    try:
        workers.enter()
        train()
    except CorlError as error:
        print(f"error: {getattr(error, 'cause', error)}", file=sys.stderr)
        return error.exit_code
    return 0


def train() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data.prompt_dataset", dest="data", type=Path)
    parser.add_argument("--rollout.batch_size", dest="prompts", type=int)
    parser.add_argument("--ckpt.path", dest="checkpoints", type=Path)
    parser.add_argument("--ckpt.save_steps", dest="every", type=int)
    known, _ = parser.parse_known_args()
    folder = Path(os.environ["CORL_JOB"]).parent
    assert known.data.parent.parent == folder
    ray.init()
    rows = [json.loads(line) for line in known.data.read_text().splitlines()]
    known.checkpoints.mkdir(exist_ok=True)
    saved = known.checkpoints / "step"
    begun = int(saved.read_text()) if saved.exists() else 0
    print(f"going on behind step {begun}", flush=True)
    for step in range(begun + 1, len(rows) // known.prompts + 1):
        batch = rows[(step - 1) * known.prompts : step * known.prompts]
        replies = ray.get([ask.remote(str(folder / "pool.toml"), row["input"]) for row in batch])
        assert all("boxed" in text for text, _ in replies)
        environments = {"driver": dict(os.environ), "worker": replies[0][1]}
        (folder.parent / "environments.json").write_text(json.dumps(environments))
        while is_at(folder / "wait_at", step):
            (folder / "waiting").touch()
            time.sleep(0.1)
        if is_at(folder / "unsound_at", step):
            raise UnsoundBatchError("12 of 12 calls to experts have failed")
        crash = folder / "crash_at"
        if is_at(crash, step):
            crash.unlink()
            sys.exit("the GPU fell off the bus")
        figures = {"rollout/reward_mean": step / 10, "kl": float("nan"), "timing/step_total": 2.0}
        print(f"✨ Global step {step}: {figures}", flush=True)
        if step % known.every == 0:
            saved.write_text(str(step))


def is_at(file: Path, step: int) -> bool:
    return file.exists() and file.read_text() == str(step)


if __name__ == "__main__":
    sys.exit(main())
