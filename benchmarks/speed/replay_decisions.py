"""Decisions on recorded experts, replayed with exact dollars: CPU time an episode.

Makes a run of eight recorded experts on a thousand problems, and routers that decide between them
until there are as many episodes as asked for. Told are the lookup and the sums alone
(`RecordedExperts.replay`: verdicts, dollars, accuracy and total), and the command `corl-bench
replay` from its start to its end, with the run and the files of decisions read from disk. With
`--play` one of the files is played as episodes, too (`run --system decisions:FILE --mode replay`),
and has to come to the same verdicts and dollars, or the exit code is 1. RouteLLM's router `mf`
takes its decision for the two models of a question in 3.1 µs, without verdicts or dollars.

    python benchmarks/speed/replay_decisions.py --play
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from questions import gold, question, reply_to

from corl_bench.results import EpisodeRecord, read_episodes
from corl_bench.results.replay import recorded_experts

EXPERTS, PROBLEMS = 8, 1_000

EXPERT = """
[experts.e{n}]
provider = "recorded"
model = "m{n}"

[experts.e{n}.price]
input_usd_per_mtok = "0.1{n}7"
output_usd_per_mtok = "0.{n}93"
effective_from = 2026-01-01
source = "an example"
"""


def bench(folder: Path, *arguments: str) -> float:
    """CPU seconds of a command of the bench.

    Raises:
        CalledProcessError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "corl_bench.cli.main", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def record(folder: Path) -> None:
    """A run of every expert, from answers as they would be imported."""
    with (folder / "questions.jsonl").open("w") as file:
        for number in range(PROBLEMS):
            row = {"id": f"p{number}", "problem": question(number), "gold": gold(number)}
            file.write(json.dumps(row) + "\n")
    with (folder / "answers.jsonl").open("w") as file:
        for expert in range(EXPERTS):
            for number in range(PROBLEMS):
                answer = {
                    "problem": question(number),
                    "expert": f"e{expert}",
                    "model": f"m{expert}",
                    "response": reply_to(number if (number + expert) % 3 else number + 1),
                    "usage": {"input_tokens": 150 + number % 7, "output_tokens": 100 + expert},
                }
                file.write(json.dumps(answer) + "\n")
    (folder / "pool.toml").write_text("".join(EXPERT.format(n=n) for n in range(EXPERTS)))
    bench(folder, "recordings", "import", "store.sqlite", "answers.jsonl")
    play(folder, "single:*", "run")


def play(folder: Path, system: str, out: str) -> float:
    """CPU seconds of a run in replay, its start and its report included."""
    run = ("run", "--task", "questions.jsonl", "--pool", "pool.toml", "--system", system)
    mode = ("--mode", "replay", "--recordings", "store.sqlite", "--out", out, "--quiet")
    return bench(folder, *run, *mode)


def main() -> int:
    """Replays, and tells what an episode costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--play", action="store_true", help="play one file as episodes, too")
    wanted = parser.parse_args()
    routers = max(1, wanted.episodes // PROBLEMS)
    episodes = routers * PROBLEMS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(folder)
        draw = Random("routers")
        started_s = time.process_time()
        recorded = recorded_experts(read_episodes(folder / "run"), task="questions")
        read_s = time.process_time() - started_s
        choices = [
            {problem: draw.choice(recorded.experts) for problem in recorded.problems}
            for _ in range(routers)
        ]
        started_s = time.process_time()
        for number, chosen in enumerate(choices):
            found = recorded.replay(chosen, system=f"router {number}")
            _ = found.accuracy, found.total_cost_usd
        lookup_us = 1e6 * (time.process_time() - started_s) / episodes
        files = [_write(folder / f"router-{n}.jsonl", chosen) for n, chosen in enumerate(choices)]
        command_s = bench(folder, "replay", "run", *files, "--json")
        print(
            f"{episodes:,} episodes: {lookup_us:.1f} µs CPU each for verdicts, dollars and sums;"
            f" corl-bench replay {command_s:.2f} s CPU, {1e6 * command_s / episodes:.1f} µs each"
            f" (of it {read_s:.2f} s for reading {len(recorded.experts) * PROBLEMS:,} recorded"
            " ones)",
            flush=True,
        )
        if not wanted.play:
            return 0
        played_s = play(folder, f"decisions:{files[0]}", "played")
        first = recorded.replay(choices[0], system="router 0")
        told = [(e.problem_id, e.verdict == "correct", e.list_cost_usd) for e in _played(folder)]
        same = sorted(told) == [
            (problem, first.right[problem][0], first.costs_usd[problem][0])
            for problem in recorded.problems
        ]
        print(
            f"played as {PROBLEMS:,} episodes: {played_s:.2f} s CPU,"
            f" {1e6 * played_s / PROBLEMS:,.0f} µs each; verdicts and dollars are"
            f" {'the same' if same else 'NOT the same'}"
        )
        return int(not same)


def _write(path: Path, choices: dict[str, str]) -> str:
    rows = ({"problem_id": problem, "expert": expert} for problem, expert in choices.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def _played(folder: Path) -> Sequence[EpisodeRecord]:
    return read_episodes(folder / "played")


if __name__ == "__main__":
    sys.exit(main())
