"""Who was right on which training problem, out of a run of every expert; for fitting a router.

    corl-bench run --task synth:train --limit 300 -s "single:*" --out runs/train

The standard library is enough, so it can be read in a router's own virtualenv.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

NO_VERDICT = ("error", "timeout")


def read(run: str) -> tuple[list[str], list[tuple[str, dict[str, int]]]]:
    """The experts of a run, and what is known of each problem.

    Returns:
        Names from cheap to dear by what their answers in this run cost; and for each problem that
        all of them have answered its statement and who was right (1) or not (0), sorted by
        statement, so that the order of a file decides nothing.
    """
    pool = json.loads(Path(run, "manifest.json").read_text(encoding="utf-8"))["pool"]["experts"]
    on_offer = {row["name"] for row in pool if row["role"] == "expert"}  # not a controller's own
    statements = {row["id"]: row["problem"] for row in _rows(Path(run, "problems.jsonl"))}
    costs: dict[str, Decimal] = defaultdict(Decimal)
    verdicts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in _rows(Path(run, "episodes.jsonl")):
        family, _, expert = row["system"].partition(":")
        if family == "single" and expert in on_offer and row["verdict"] not in NO_VERDICT:
            costs[expert] += Decimal(row["list_cost_usd"])
            verdicts[statements[row["problem_id"]]][expert] = int(row["verdict"] == "correct")
    experts = sorted(costs, key=lambda expert: (costs[expert], expert))
    known = [row for row in sorted(verdicts.items()) if len(row[1]) == len(experts)]
    print(f"{len(known)} of {len(statements)} problems have a verdict on each of {experts}")
    return experts, known


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
