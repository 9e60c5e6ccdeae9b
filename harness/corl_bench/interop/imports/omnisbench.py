"""OmnisBench results: `results.json` of a run, every policy on every item.

Read: Fortitude-Group/OmnisBench, `src/omnisbench/runner.py` and `cost.py` at commit 0ddaf81,
`graders/matchers.py` at 06406b0, `policies/oracle.py` at 14f87b9 and
`runs/2026-08-19/results.json` at b402d37. The file has `provenance` (`snapshot_date`, `run_date`,
`unpriced_models`), `leaderboard` and `items`; an item has `policy`, `dataset`, `item_id`,
`grader`, `reference`, `meta`, `response_text`, `chosen_model`, `passed`, `cost_usd`,
`input_tokens`, `output_tokens` and `latency_ms`. Statements are not in it: `--task` brings them.

Each policy becomes a system on the task `omnisbench:<dataset>`. The source costs models without
a price at $0; here their cost is unknown. Its policy `oracle` picks by the golds and is marked
so. A policy that asked several models reports the tokens of the one it chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import (
    RowError,
    read_count,
    read_flag,
    read_name,
)
from corl_bench.interop.imports.bounded import Reader, require_object
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    read_id,
    read_latency,
    read_usd,
    text_of,
)
from corl_bench.types import Usage

_ORACLE = "oracle"
_GRADED_BY_VALUE = frozenset({"exact_match", "numeric_match"})
"""Graders that compare with `reference`; for others it is a program of tests."""


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a results file.

    Raises:
        ConfigError: the file or an item is not what it should be.
    """
    reader = Reader()
    document = require_object(reader.document(path), str(path))
    items = document.get("items")
    provenance = document.get("provenance")
    if not isinstance(items, list) or not isinstance(provenance, dict):
        raise ConfigError(f"{path}: no items and provenance, as a results.json of OmnisBench has")
    unpriced = provenance.get("unpriced_models")
    free = frozenset(map(str, unpriced)) if isinstance(unpriced, list) else frozenset()
    episodes = []
    for number, item in enumerate(items, 1):
        place = f"{path}:item {number}"
        try:
            episodes.append(_episode(require_object(item, place), free, place))
        except RowError as error:
            raise ConfigError(f"{place}: {error}") from None
    notes = []
    if free:
        notes.append(f"models without a price in the source: {', '.join(sorted(free))[:200]}")
    return Reading("omnisbench", episodes, reader.digest, notes)


def _episode(item: Mapping[str, Any], free: frozenset[str], place: str) -> ReportedEpisode:
    model = read_name(item.get("chosen_model"), "chosen_model")
    response = text_of(item.get("response_text"))
    reference = item.get("reference")
    policy = read_id(item.get("policy"), "policy")
    return ReportedEpisode(
        place=place,
        task=f"omnisbench:{read_id(item.get('dataset'), 'dataset')}",
        problem_id=read_id(item.get("item_id"), "item_id"),
        system=policy,
        calls=(
            ReportedCall(
                model,
                model,
                text=response,
                usage=Usage(
                    input_tokens=read_count(item.get("input_tokens"), "input_tokens"),
                    output_tokens=read_count(item.get("output_tokens"), "output_tokens"),
                ),
                cost_usd=None if model in free else read_usd(item.get("cost_usd"), "cost_usd"),
                latency_s=read_latency(item.get("latency_ms"), "latency_ms") / 1000,
            ),
        ),
        response=response,
        correct=read_flag(item.get("passed"), "passed"),
        gold=text_of(reference) if str(item.get("grader")) in _GRADED_BY_VALUE else None,
        is_oracle=policy == _ORACLE,
    )
