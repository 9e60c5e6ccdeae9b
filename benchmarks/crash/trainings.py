"""Trainings that are killed, on experts that bill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from crash.bench import Bench, Chain, killed_often
from crash.history import History, excess

RECIPE = """
[data]
pool = "pool.toml"
train = "problems.jsonl"
validation = "problems.jsonl"
test = "tested.jsonl"
protocol = "digest"
[policy]
width = 16
depth = 1
heads = 2
words = 50
[warm_start]
episodes = 64
learning_rate = 1e-2
minibatch = 4
bare_epochs = 2
epochs = 1
rehearsals = 0
[training]
iterations = 3
episodes = 16
epochs = 1
[schedule]
validate_every = 2
validation_problems = 4
checkpoint_every = 1
"""
"""Training so small that it takes a second or two."""


def kill_trainings(bench: Bench, kills: int) -> None:
    """`corl-train run` on experts that bill."""
    from corl_train.runs.files import read_metrics, read_samples

    (bench.folder / "recipe.toml").write_text(RECIPE)
    write_synth_problems(bench.folder, {"problems.jsonl": 6, "tested.jsonl": 4})

    def command(out: Path) -> list[str]:
        return ["corl-train", "run", "recipe.toml", "--out", str(out), "--max-cost", "5", "--quiet"]

    def figures(folder: Path) -> list[str]:
        timed = ("cpu_s", "tokens_per_s")
        return [
            json.dumps({name: value for name, value in line.items() if name not in timed})
            for line in read_metrics(folder)
        ]

    def weights(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}

    bench.log.news()
    whole = bench.folder / "train-whole"
    total = bench.count(command(whole), under=whole)
    wanted = bench.log.news()

    def chain(number: int) -> Chain:
        folder = bench.folder / f"train-{number}"
        history = History(bench, folder, draws_are_one=False)

        def look() -> None:
            history.look()
            if folder.exists():
                read_metrics(folder)
                read_samples(folder)

        def end() -> None:
            bench.finish(command(folder))
            ledger = history.close()
            bench.expect(figures(folder) == figures(whole), f"{folder}: other figures")
            bench.expect(weights(folder) == weights(whole), f"{folder}: other weights")
            interrupted = sum(line["status"] == "interrupted" for line in ledger)
            asked = excess(history.requests, wanted)
            bench.expect(asked <= interrupted, f"{folder}: {asked} requests too many")
            shutil.rmtree(folder)

        return Chain(command(folder), folder, look, end)

    killed_often(bench, "train", kills, total, chain)


def write_synth_problems(folder: Path, counts: Mapping[str, int]) -> None:
    """Some of the generated problems that the served pool knows, in files of so many each."""
    from corl_bench.tasks import load_task

    problems = iter(load_task("synth", limit=sum(counts.values())).problems)
    for name, count in counts.items():
        rows = (
            {"problem": p.text, "answer": p.answer, "subject": p.subject, "level": p.level}
            for p in islice(problems, count)
        )
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
