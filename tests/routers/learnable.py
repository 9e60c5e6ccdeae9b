"""A made-up recording from which something can be learned: one expert knows sums, one all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corl_bench.experts.pools import load_pool
from corl_bench.experts.recording_files import import_files
from corl_bench.experts.store import RecordingStore
from corl_bench.routers.learned.examples import Examples, read_examples
from corl_bench.tasks import load_task

POOL = """
name = "two"
[budgets]
low = "0.0002"
high = "0.01"
[experts.large]
provider = "recorded"
[experts.large.price]
input_usd_per_mtok = "2"
output_usd_per_mtok = "8"
effective_from = 2026-01-01
source = "test"
[experts.small]
provider = "recorded"
[experts.small.price]
input_usd_per_mtok = "0.1"
output_usd_per_mtok = "0.4"
effective_from = 2026-01-01
source = "test"
"""


def statement(number: int) -> str:
    """Even numbers are sums, odd ones areas."""
    words = "Add the integers" if number % 2 == 0 else "Find the area of the triangle with sides"
    return f"{words} {number}, {number + 3} and {number + 5}."


def write_problems(
    path: Path, *, train: int = 40, test: int = 20, order: int | None = None
) -> None:
    """Rows of both splits; shuffled where an order is given."""
    rows = [
        {
            "problem_id": f"p{number}",
            "problem": statement(number),
            "gold": str(number + 1),
            "split": "train" if number < train else "test",
        }
        for number in range(train + test)
    ]
    write_rows(path, rows, order)


def right(expert: str, number: int) -> bool:
    """The small expert knows sums and nothing else, the large one four problems of five."""
    return number % 2 == 0 if expert == "small" else number % 5 != 4


def write_answers(
    path: Path,
    *,
    problems: int = 60,
    experts: tuple[str, ...] = ("small", "large"),
    knows: Callable[[str, int], bool] = right,
    order: int | None = None,
) -> None:
    """One answer of each expert to each problem; what is wrong is said at more length."""
    rows = []
    for expert in experts:
        for number in range(problems):
            known = knows(expert, number)
            reply = f"So \\boxed{{{number + 1}}}." if known else "Perhaps \\boxed{-1}, I am unsure."
            rows.append(
                {
                    "problem_id": f"p{number}",
                    "model": expert,
                    "response_text": reply,
                    "prompt_tokens": 50,
                    "completion_tokens": 100 + number + (50 if not known else 0),
                }
            )
    write_rows(path, rows, order)


def write_rows(path: Path, rows: list[dict[str, Any]], order: int | None) -> None:
    if order is not None:
        random.Random(order).shuffle(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_store(folder: Path, *, order: int | None = None, **answers: Any) -> Path:
    """A folder's problems.jsonl, answers.jsonl, pool.toml and store.sqlite."""
    folder.mkdir(parents=True, exist_ok=True)
    write_problems(folder / "problems.jsonl", order=order)
    write_answers(folder / "answers.jsonl", order=order, **answers)
    (folder / "pool.toml").write_text(POOL)
    with RecordingStore.open(folder / "store.sqlite") as store:
        import_files(store, [folder / "answers.jsonl"], problems=[folder / "problems.jsonl"])
    return folder / "store.sqlite"


def examples_in(folder: Path, *, split: str = "train") -> Examples:
    """What a folder of `make_store` teaches."""
    task = load_task(str(folder / "problems.jsonl"), split=split)
    with RecordingStore.open(folder / "store.sqlite", read_only=True) as store:
        return read_examples(task, store, load_pool(str(folder / "pool.toml")))
