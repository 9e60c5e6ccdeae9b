"""A run as one table, CSV or Parquet: a row an episode, dollars as exact decimal text.

Parquet (with the extra `parquet`) has the same columns in the same order; counts are integers,
seconds floats, and amounts are texts in both, for a float would lose their last digits.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from corl_bench.extras import require
from corl_bench.files import write_text
from corl_bench.interop.exports.stored import StoredRun
from corl_bench.interop.staging import staged
from corl_bench.money.amounts import format_usd, sum_usd
from corl_bench.results import EpisodeRecord
from corl_bench.text import as_cell
from corl_bench.types import Usage

_TOKENS = tuple(name for name in Usage.__slots__ if name != "estimated")
_INTEGERS = frozenset({"level", "sample", "calls", "expert_calls", "estimated_calls", *_TOKENS})
_FLOATS = frozenset({"latency_s"})
_TRUTHS = frozenset({"correct", "is_oracle"})
COLUMNS = (
    *("task", "problem_id", "subject", "level", "system", "is_oracle", "budget", "budget_usd"),
    *("sample", "verdict", "correct", "answer", "detail", "list_cost_usd", "unsettled_usd"),
    *("fees_usd", "cost_basis", "calls", "expert_calls", "experts", "estimated_calls"),
    *_TOKENS,
    *("latency_s", "response"),
)


def write_csv(run: StoredRun, out: Path) -> int:
    """Writes one file; returns the number of its rows.

    Raises:
        ConfigError: something is at `out` already.
        StorageError: it cannot be written.
    """
    rows = _rows(run)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: as_cell(v) if isinstance(v, str) else v for k, v in row.items()})
    with staged(out) as part:
        write_text(part, text.getvalue())
    return len(rows)


def write_parquet(run: StoredRun, out: Path) -> int:
    """As `write_csv`.

    Raises:
        ConfigError: something is at `out` already.
        StorageError: it cannot be written.
        MissingExtraError: pyarrow is not installed.
    """
    arrow = require("pyarrow", extra="parquet", why="writing Parquet")
    parquet = require("pyarrow.parquet", extra="parquet", why="writing Parquet")
    rows = _rows(run)
    schema = arrow.schema([(name, _type(arrow, name)) for name in COLUMNS])
    with staged(out) as part:
        parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), part)
    return len(rows)


def _rows(run: StoredRun) -> list[dict[str, Any]]:
    return [_row(record, is_oracle=arm.is_oracle) for arm in run.arms for record in arm.episodes]


def _row(record: EpisodeRecord, *, is_oracle: bool) -> dict[str, Any]:
    usages = [call.usage for call in record.calls if call.usage is not None]
    return {
        "task": record.task,
        "problem_id": record.problem_id,
        "subject": record.subject,
        "level": record.level,
        "system": record.system,
        "is_oracle": is_oracle,
        "budget": record.budget,
        "budget_usd": None if record.budget_usd is None else format_usd(record.budget_usd),
        "sample": record.sample,
        "verdict": record.verdict,
        "correct": record.verdict == "correct",
        "answer": record.answer,
        "detail": record.detail,
        "list_cost_usd": format_usd(record.list_cost_usd),
        "unsettled_usd": format_usd(record.unsettled_usd),
        "fees_usd": format_usd(sum_usd(charge.list_cost_usd for charge in record.charges)),
        "cost_basis": record.cost_basis,
        "calls": len(record.calls),
        "expert_calls": record.expert_calls,
        "experts": " ".join(call.expert for call in record.calls),
        "estimated_calls": sum(usage.estimated for usage in usages),
        **{name: sum(getattr(usage, name) for usage in usages) for name in _TOKENS},
        "latency_s": round(record.latency_s, 6),
        "response": record.response,
    }


def _type(arrow: Any, name: str) -> Any:
    if name in _INTEGERS:
        return arrow.int64()
    if name in _FLOATS:
        return arrow.float64()
    return arrow.bool_() if name in _TRUTHS else arrow.string()
