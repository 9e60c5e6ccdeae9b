"""The whole path of `corl-train launch` on one machine with GPUs, measured.

A small model learns on the simulated pool, so nothing is paid and no key is needed: Ray is
started, a recipe is written from the model's own config.json, `corl-train launch` trains some
steps, `corl-train export` writes the weights, vLLM serves them and
`corl-bench run` measures what is served. What it took stands in OUT/measured.json, beside what
the formulas of docs/training-at-scale.md say. It has not been run on a GPU by its authors.

    pip install '.[openrlhf,hf]'      # in a checkout; flash-attn is built, so nvcc is needed
    python training/scripts/smollm2.py models/smollm2-135m
    python training/scripts/gpu_run.py models/smollm2-135m runs/gpu --steps 20
    python training/scripts/gpu_run.py models/smollm2-135m runs/gpu --dry-run     # needs no GPU
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

PROMPTS = 32
PORT = 8100


def recipe_of(model: Path, *, gpus: int, gpu_memory_gib: float, steps: int) -> str:
    """A recipe for a small model on the GPUs of one machine, sized by its config.json.

    Raises:
        SystemExit: there is no such file.
    """
    try:
        config = json.loads((model / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{model} holds no model: {error}") from None
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    return f"""\
backend = "openrlhf"

[data]
train = "synth:train"
apart_from = []                 # its splits are made apart
limit = {PROMPTS * steps}
validation_problems = 16
pool = "sim"
protocol = "digest"

[model]
path = {json.dumps(str(model))}
usd_per_mtok = "0.002"
parameters = {_parameters(config, head_dim)}
layers = {config["num_hidden_layers"]}
hidden = {config["hidden_size"]}
kv_heads = {config.get("num_key_value_heads", heads)}
head_dim = {head_dim}
vocabulary = {config["vocab_size"]}

[placement]
gpus_per_node = {gpus}
gpu_memory_gib = {gpu_memory_gib:.1f}
engine_memory = 0.3
zero_stage = 2

[training]
prompts = {PROMPTS}
samples = 4
minibatch = {PROMPTS * 2}
micro_batch = 4
scoring_batch = 4
context = 2048
learning_rate = 5e-6
critic_learning_rate = 1e-5

[schedule]
validate_every = 10
checkpoint_every = 5
"""


def _parameters(config: Mapping[str, Any], head_dim: int) -> int:
    """Of a Llama-like model, without biases, which are too few to matter."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    wide = config["num_attention_heads"] * head_dim
    narrow = config.get("num_key_value_heads", config["num_attention_heads"]) * head_dim
    block = 2 * hidden * wide + 2 * hidden * narrow + 3 * hidden * config["intermediate_size"]
    tables = 1 if config.get("tie_word_embeddings") else 2
    return int(tables * config["vocab_size"] * hidden + layers * block)


def commands_of(model: Path, out: Path) -> list[list[str]]:
    """What is run, in order; the server of the fourth is ended when the last is over."""
    recipe, job, exported = out / "recipe.toml", out / "job", out / "model"
    url, served = f"http://127.0.0.1:{PORT}/v1", exported / "served.toml"
    lines = (
        "ray start --head --dashboard-host=127.0.0.1",
        f"corl-train launch {_q(recipe)} --out {_q(job)}",
        f"corl-train export {_q(job)} {_q(exported)} --base-url {url}",
        f"{_q(sys.executable)} -m vllm.entrypoints.openai.api_server --model {_q(exported)}"
        f" --served-model-name {job.name} --port {PORT} --gpu-memory-utilization 0.3",
        "corl-bench run --task synth:validation --limit 50 --pool sim"
        f" --system controller:{_q(served)} --out {_q(out / 'measured')}",
    )
    return [shlex.split(line) for line in lines]


def _q(path: object) -> str:
    return shlex.quote(str(path))


def gpus_here() -> list[float]:
    """GiB of each GPU; none where nvidia-smi tells of none."""
    if shutil.which("nvidia-smi") is None:
        return []
    told = _smi("memory.total")
    return [megabytes / 1024 for megabytes in told]


def _smi(what: str) -> list[float]:
    question = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
    told = subprocess.run(question, capture_output=True, text=True, check=False)
    return [float(line) for line in told.stdout.split()] if told.returncode == 0 else []


class _Memory:
    """The most that any GPU had in use, looked at twice a second."""

    def __init__(self) -> None:
        self.most_gib = 0.0
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self.most_gib = max([self.most_gib, *(used / 1024 for used in _smi("memory.used"))])

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()


def run(model: Path, out: Path, *, steps: int) -> None:
    """Runs all of it, and writes `measured.json`.

    Raises:
        SystemExit: there is no GPU, or a command has failed.
    """
    gpus = gpus_here()
    if not gpus:
        raise SystemExit("no GPU here: --dry-run shows what would be run")
    out.mkdir(parents=True, exist_ok=True)
    text = recipe_of(model, gpus=len(gpus), gpu_memory_gib=min(gpus), steps=steps)
    (out / "recipe.toml").write_text(text, encoding="utf-8")
    ray, launch, export, serve, measure = commands_of(model, out)
    _do(ray)
    try:
        with _Memory() as memory:
            begun_s = time.monotonic()
            _do(launch)
            took_s = time.monotonic() - begun_s
    finally:
        subprocess.run(["ray", "stop"], check=False)
    if not (out / "model").exists():
        _do(export)
    server = subprocess.Popen(serve)
    try:
        _wait_for(f"http://127.0.0.1:{PORT}/health", server)
        _do(measure)
    finally:
        server.terminate()
        server.wait(60)
    lines = (out / "job" / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    measured = {
        "gpus": gpus,
        "launch_s": took_s,
        "most_gpu_memory_gib": memory.most_gib,
        "said_gib": _said(out / "recipe.toml"),
        "steps": [
            {name: row[name] for name in row if name == "step" or name.startswith("timing/")}
            for row in told
        ],
        "reward": [row.get("rollout/reward_mean") for row in told],
    }
    (out / "measured.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


def _said(recipe: Path) -> dict[str, float]:
    """What the formulas say of the memory."""
    from corl_train.openrlhf.placement import memory_of
    from corl_train.openrlhf.recipe import load_job_recipe

    memory = memory_of(load_job_recipe(str(recipe)))
    return {"training": memory.training_gib, "generation": memory.generation_gib}


def _do(command: Sequence[str]) -> None:
    print(f"$ {shlex.join(command)}", flush=True)
    if code := subprocess.run(command, check=False).returncode:
        raise SystemExit(f"{command[0]} has ended with {code}")


def _wait_for(url: str, server: subprocess.Popen[bytes], patience_s: float = 600.0) -> None:
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise SystemExit("vLLM does not come up")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a Hugging Face directory of a Llama-like model")
    parser.add_argument("out", type=Path, help="where recipe, job, weights and figures go")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dry-run", action="store_true", help="show recipe and commands; no GPU")
    given = parser.parse_args()
    if given.dry_run:
        sized = gpus_here() or [80.0]
        print(recipe_of(given.model, gpus=len(sized), gpu_memory_gib=min(sized), steps=given.steps))
        for words in commands_of(given.model, given.out):
            print(shlex.join(words))
    else:
        run(given.model, given.out.resolve(), steps=given.steps)
