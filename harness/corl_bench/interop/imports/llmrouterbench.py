"""LLMRouterBench results: one JSON file for a model on a dataset, replies and all.

Read: ynulihao/LLMRouterBench, `data_collector/storage.py` and `runner.py` at commit 46d48d4,
`baselines/data_loader.py` at 5aa32c9. Files lie under
`results/bench/<dataset>/<split>/<model>/<dataset>-<split>-<model>-<YYYYMMDD_HHMMSS>.json` with
totals and a list `records` of `index`, `origin_query`, `prompt`, `prompt_tokens`,
`completion_tokens`, `cost`, `score` (0 to 1, or null), `prediction`, `ground_truth`,
`raw_output` and `extra_fields`.

As in the source, demo runs are left out and the latest file of a dataset, split and model
counts. Each model becomes the system `single:<model>` on the task `<dataset>:<split>`. A record
whose processing failed stands in the source with no score, no tokens and no cost; it is an error
here, not a free wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, read_count, read_name
from corl_bench.interop.imports.bounded import Reader, find_files, require_object
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    judge,
    note_partial,
    read_id,
    read_score,
    read_usd,
    text_of,
)
from corl_bench.types import Usage

_STAMP = re.compile(r"(\d{8}_\d{6})\.json$")
_FAILED = ("Processing failed:", "Unexpected error:")


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a result file, or all of a folder.

    Raises:
        ConfigError: a file or record is not what it should be.
    """
    reader = Reader()
    latest: dict[tuple[str, str, str], tuple[str, Path, dict[str, Any]]] = {}
    notes: list[str] = []
    left_out = 0
    for file in find_files(path, lambda name: name.endswith(".json"), "*.json file"):
        document = require_object(reader.document(file), str(file))
        try:
            names = (
                read_id(document.get("dataset_name"), "dataset_name"),
                read_id(document.get("split"), "split"),
                read_name(document.get("model_name"), "model_name"),
            )
        except RowError as error:
            raise ConfigError(f"{file}: {error}: no result of LLMRouterBench") from None
        stamp = match[1] if (match := _STAMP.search(file.name)) else ""
        known = latest.get(names)
        if document.get("demo") is True or (known is not None and known[0] > stamp):
            left_out += 1
            continue
        left_out += known is not None
        latest[names] = (stamp, file, document)
    if left_out:
        notes.append(f"{left_out:,} files left out: demo runs, and all but the latest of a model")
    episodes = []
    for names, (_, file, document) in latest.items():
        records = document.get("records")
        if not isinstance(records, list):
            raise ConfigError(f"{file}: no list of records")
        for number, record in enumerate(records, 1):
            place = f"{file}:record {number}"
            try:
                episodes.append(_episode(require_object(record, place), names, place))
            except RowError as error:
                raise ConfigError(f"{place}: {error}") from None
    notes += note_partial(episodes)
    return Reading("llmrouterbench", episodes, reader.digest, notes)


def _episode(record: Mapping[str, Any], names: tuple[str, str, str], place: str) -> ReportedEpisode:
    dataset, split, model = names
    response = text_of(record.get("raw_output"))
    score = read_score(record.get("score"), "score")
    correct, detail = judge(score)
    usage = Usage(
        input_tokens=read_count(record.get("prompt_tokens"), "prompt_tokens"),
        output_tokens=read_count(record.get("completion_tokens"), "completion_tokens"),
    )
    failed = correct is None and (response or "").startswith(_FAILED)
    cost_usd = read_usd(record.get("cost"), "cost")
    # A model that the source has no price of stands there with tokens and $0.
    is_free = not cost_usd and (usage.input_tokens or usage.output_tokens)
    return ReportedEpisode(
        place=place,
        task=f"{dataset}:{split}",
        problem_id=read_id(record.get("index"), "index"),
        system=f"single:{model}",
        calls=(
            ReportedCall(
                model,
                model,
                text=None if failed else response,
                usage=None if failed else usage,
                cost_usd=None if failed or is_free else cost_usd,
                status="malformed" if failed else "ok",
                finish=None if failed else "stop",
            ),
        ),
        response=None if failed else response,
        correct=correct,
        score=score,
        answer=text_of(record.get("prediction")),
        statement=text_of(record.get("origin_query")) or text_of(record.get("prompt")),
        gold=text_of(record.get("ground_truth")),
        error=" ".join((response or "").split())[:200] if failed else "",
        detail=detail,
    )
