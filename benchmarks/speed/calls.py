"""What a call costs: CPU time and memory of our whole run, beside what else would make it.

Each contender is a process of its own that asks the same questions of the same server
(`loopback.py`, another process, so that its work is not counted): ours as `corl-bench run` with
everything on (cap, journal, ledger, store, grading, result files, report), lm-eval and inspect_ai
as their own commands, and clients without any of that (`clients.py`). CPU time is that of the
process and of all that it started, as the kernel counts it, from its first instruction to its
end; memory is the largest resident size of any one of them. A run with a single question beside
it tells start from calls: `a further call` is the difference divided by the questions between.

    python benchmarks/speed/calls.py --peers-python /path/to/venv/bin/python
    python benchmarks/speed/calls.py --in-flight 16 64 256 512 --contenders corl-bench
    python benchmarks/speed/calls.py --refuse 0.1 --in-flight 64
    python benchmarks/speed/calls.py --calls 1

The interpreter of `--peers-python` has `inspect-ai`, `lm-eval`, `openai`, `httpx2` and `aiohttp`;
without it only those contenders run that this interpreter has. What must hold, or the exit code
is 1: every question of ours is answered, none is lost, and none was repeated before its time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.request import urlopen

from questions import gold, question

HERE = Path(__file__).parent
CLIENTS = ("asyncio", "aiohttp", "httpx2", "openai")
CONTENDERS = ("corl-bench", *CLIENTS, "lm-eval", "inspect_ai")
_MODULES = {"lm-eval": "lm_eval"}

POOL = """
[experts.m]
provider = "openai"
base_url = "{url}/v1"
max_output_tokens = 1000
max_concurrency = 1024

[experts.m.price]
input_usd_per_mtok = "0.10"
output_usd_per_mtok = "0.40"
effective_from = 2026-01-01
source = "an example"
"""

LM_EVAL_TASK = """
task: questions
dataset_path: json
dataset_kwargs: {{data_files: {{test: {path}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{problem}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], max_gen_toks: 1000, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
filter_list:
  - name: boxed
    filter:
      - {{function: regex, regex_pattern: 'boxed\\{{(\\d+)\\}}'}}
      - {{function: take_first}}
"""


@dataclass(frozen=True)
class Spent:
    """What one process and its children came to."""

    contender: str
    calls: int
    in_flight: int
    exit_code: int
    cpu_s: float
    wall_s: float
    memory_mb: float
    requests: int
    refused: int
    too_early: int
    answered: int
    most_in_flight: int


@contextmanager
def loopback(*options: str) -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "loopback.py"), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin and server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(timeout=10)


def command_of(
    contender: str, python: str, url: str, calls: int, in_flight: int, folder: Path
) -> list[str]:
    """The command line of a contender, and the files that it needs."""
    questions = folder / "questions.jsonl"
    rows = ({"id": str(n), "problem": question(n), "answer": gold(n)} for n in range(calls))
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, width = str(folder / "out"), str(in_flight)
    if contender == "corl-bench":
        pool = folder / "pool.toml"
        pool.write_text(POOL.format(url=url))
        run = ("run", "--task", str(questions), "--pool", str(pool), "--system", "single:m")
        money = ("--max-cost", "1000", "--concurrency", width, "--out", out)
        return [sys.executable, "-m", "corl_bench.cli.main", *run, *money]
    if contender == "lm-eval":
        (folder / "questions.yaml").write_text(LM_EVAL_TASK.format(path=questions))
        return [python, str(HERE / "lm_eval_questions.py"), url, width, str(folder)]
    if contender == "inspect_ai":
        for name in ("inspect_task.py", "questions.py"):  # it takes relative names only
            shutil.copy(HERE / name, folder)
        run = ("eval", "inspect_task.py", "--model", "openai/m", "-M", "responses_api=false")
        task = ("--model-base-url", f"{url}/v1", "-T", f"count={calls}", "--max-connections", width)
        logs = ("--max-samples", width, "--display", "none", "--log-dir", out)
        return [python, "-m", "inspect_ai", *run, *task, *logs]
    return [python, str(HERE / "clients.py"), contender, url, str(calls), width]


def measure(
    contender: str, python: str, calls: int, in_flight: int, server: Sequence[str]
) -> Spent:
    """Runs a contender to its end in a folder of its own."""
    with loopback(*server) as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = command_of(contender, python, url, calls, in_flight, folder)
        environment = os.environ | {
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENAI_API_KEY": "k",
        }
        with (folder / "said").open("w+") as said:
            code, used, wall_s = _run(command, folder, environment, said.fileno())
            if code:
                said.seek(0)
                print(said.read()[-2000:], file=sys.stderr)
        with urlopen(f"{url}/stats") as reply:
            seen = json.load(reply)
    cpu_s = used.ru_utime + used.ru_stime
    memory_mb = round(used.ru_maxrss / 1024, 1)
    return Spent(
        contender, calls, in_flight, code, round(cpu_s, 3), round(wall_s, 1), memory_mb, **seen
    )


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], output: int
) -> tuple[int, os.struct_rusage, float]:
    """Exit code, what it and all its children used, and seconds on the wall."""
    started_s = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used, time.monotonic() - started_s


def _is_here(contender: str) -> bool:
    module = _MODULES.get(contender, contender)
    return contender == "corl-bench" or importlib.util.find_spec(module) is not None


def tell(spent: Spent, single: Spent | None) -> None:
    """One line for a person, and the same with all figures for a program."""
    a_call = f"{1000 * spent.cpu_s / spent.calls:8.3f} ms a call"
    if single is not None and spent.calls > 1:
        further_ms = 1000 * (spent.cpu_s - single.cpu_s) / (spent.calls - 1)
        a_call += f" ({further_ms:.3f} a further one)"
    print(
        f"{spent.contender:>10}, {spent.in_flight:>3} in flight: {spent.cpu_s:7.2f} s CPU,"
        f" {a_call}, {spent.memory_mb:.0f} MB, {spent.answered:,} of {spent.calls:,} answered,"
        f" {spent.requests:,} requests, {spent.refused:,} refused, {spent.too_early} too early,"
        f" exit {spent.exit_code}",
        flush=True,
    )


def main() -> int:
    """Measures; the exit code says whether ours lost nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds of the server")
    parser.add_argument("--refuse", type=float, default=0.0, help="share of requests with 429")
    parser.add_argument("--retry-after", type=float, default=0.2, help="seconds")
    parser.add_argument("--json", type=Path, help="file for all the figures")
    wanted = parser.parse_args()
    contenders = [
        name
        for name in wanted.contenders
        if wanted.peers_python != sys.executable or name == "asyncio" or _is_here(name)
    ]
    wait = ("--latency", str(wanted.latency))
    refuse = ("--refuse", str(wanted.refuse), "--retry-after", str(wanted.retry_after))
    found: list[Spent] = []
    for contender in contenders:
        single = measure(contender, wanted.peers_python, 1, 1, wait)
        tell(single, None)
        found.append(single)
        for in_flight in wanted.in_flight if wanted.calls > 1 else ():
            spent = measure(
                contender, wanted.peers_python, wanted.calls, in_flight, (*wait, *refuse)
            )
            tell(spent, single)
            found.append(spent)
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(spent) for spent in found], indent=2) + "\n")
    ours = [spent for spent in found if spent.contender == "corl-bench"]
    return int(any(s.exit_code or s.answered < s.calls or s.too_early for s in ours))


if __name__ == "__main__":
    sys.exit(main())
