"""Real answers of real models, replayed: accuracy and dollars as their folder's README has them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from recorded_models import RECORDED_MODELS


def published(readme: str, dataset: str) -> dict[str, tuple[str, str]]:
    """(accuracy in per cent, mean dollars) by model, as the README's table prints them."""
    section = readme.split(f"\n## {dataset}\n")[1].split("\n## ")[0]
    table = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 12 and re.fullmatch(r"\d+", cells[1]):
            table[cells[0]] = (cells[2], cells[10])
    assert len(table) == 8
    return table


@pytest.mark.parametrize("dataset", ["math-l5", "gsm"])
def test_every_expert_as_published(
    corl: Any, shared_dir: Path, tmp_path: Path, dataset: str
) -> None:
    folder = shared_dir / "recordings" / dataset
    expected = published((shared_dir / "recordings" / "README.md").read_text(), dataset)
    problems = folder / "problems.jsonl.zst"
    answers = sorted(path for path in folder.glob("*.jsonl.zst") if path != problems)
    corl("recordings", "import", "store.sqlite", *answers, "--problems", problems)

    pool = ['name = "recorded"', "price_date = 2026-08-21"]
    for name in expected:
        pool += [
            f'[experts."{name}"]',
            'provider = "recorded"',
            f'price = "{RECORDED_MODELS[name]}"',
        ]
    (tmp_path / "pool.toml").write_text("\n".join(pool) + "\n")
    corl(
        *("run", "--task", problems, "--pool", "pool.toml", "--mode", "replay", "--quiet"),
        *("--recordings", "store.sqlite", "--out", "run", "--budget", "low=0.0005,high=0.005"),
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["finished"] is True
    assert Decimal(summary["totals"]["billed_cost_usd"]) == 0
    rows = {row["system"]: row for row in summary["rows"]}
    for name, (accuracy, cost) in expected.items():
        row = rows[f"single:{name}"]
        assert f"{100 * row['accuracy_as_recorded']:.2f}" == accuracy, name
        assert f"{Decimal(row['mean_cost_usd']):.6f}" == cost, name
    # All baselines of eight experts: singles, random, coin, cascade, vote, oracle.
    assert len(rows) == 13
    oracle = rows["oracle"]["accuracy"]
    assert all(row["accuracy"] <= oracle for row in rows.values())
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
