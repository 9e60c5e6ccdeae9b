"""RouterArena: predictions of a router, and the cached results of models.

Read: RouteWorks/RouterArena, `llm_evaluation/run.py` at commit 0d783fa,
`router_inference/check_config_prediction_files.py` at 1bc8176,
`router_inference/predictions/azure-model-router.json` at 1f5f84d and
`cached_results/claude-3-haiku-20240307.jsonl` at 05a7e52.

*Predictions* are a JSON list of `global index` (or `global_index`), `prompt`, `prediction` (the
model that the router chose), `generated_result` (`generated_answer`, `success`, `token_usage`,
`error`), `cost` and `accuracy`; entries `for_optimality` are other models' answers and are left
out. The system is the file's name. *Cached results* are JSON lines of `global_index`, `question`,
`llm_selected`, `generated_answer`, `token_usage`, `success` and `evaluation_result`
(`ground_truth`, `score`, `inference_cost`); each model becomes the system `single:<model>`.

`token_usage.total_tokens` is often more than input and output together: reasoning that the cost
leaves out. Such rows are counted in a note and say so themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, quoted, read_count, read_name
from corl_bench.interop.imports.bounded import Reader, find_files, require_object
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    judge,
    note_partial,
    read_detail,
    read_id,
    read_score,
    read_usd,
    text_of,
)
from corl_bench.types import Usage

TASK = "routerarena"


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a predictions file (`.json`), cached results (`.jsonl`), or a folder of either.

    Raises:
        ConfigError: a file or row is not what it should be.
    """
    reader = Reader()
    episodes: list[ReportedEpisode] = []
    notes: list[str] = []
    others = 0
    for file in find_files(
        path, lambda name: name.endswith((".json", ".jsonl")), ".json or .jsonl"
    ):
        if file.suffix == ".jsonl":
            for place, row in reader.rows(file):
                episodes.append(_checked(_cached, row, place, ""))
            continue
        rows = reader.document(file)
        if not isinstance(rows, list):
            raise ConfigError(f"{file}: predictions of RouterArena are a list")
        for number, row in enumerate(rows, 1):
            place = f"{file}:entry {number}"
            row = require_object(row, place)
            if row.get("for_optimality"):
                others += 1
            else:
                episodes.append(_checked(_predicted, row, place, wanted.system or file.stem))
    if others:
        notes.append(f"{others:,} entries for_optimality left out: not the router's own choices")
    if unbilled := sum(bool(episode.events) for episode in episodes):
        notes.append(f"{unbilled:,} replies used more tokens in all than their cost counts")
    notes += note_partial(episodes)
    return Reading(TASK, episodes, reader.digest, notes)


def _checked(read_row: Any, row: Mapping[str, Any], place: str, system: str) -> ReportedEpisode:
    try:
        episode: ReportedEpisode = read_row(row, place, system)
    except RowError as error:
        raise ConfigError(f"{place}: {error}") from None
    return episode


def _predicted(row: Mapping[str, Any], place: str, system: str) -> ReportedEpisode:
    result = row.get("generated_result")
    if not isinstance(result, dict):
        raise RowError("no generated_result: a file without replies is a decision file, no result")
    return _episode(
        row,
        result,
        place,
        system=read_id(system, "system"),
        model=read_name(row.get("prediction"), "prediction"),
        statement=text_of(row.get("prompt") or row.get("prompt_formatted")),
        gold=None,
        score=row.get("accuracy"),
        cost=row.get("cost"),
    )


def _cached(row: Mapping[str, Any], place: str, system: str) -> ReportedEpisode:
    graded = row.get("evaluation_result") or {}
    if not isinstance(graded, dict):
        raise RowError(f"evaluation_result must be an object, not {quoted(graded)}")
    model = read_name(row.get("llm_selected"), "llm_selected")
    return _episode(
        row,
        row,
        place,
        system=f"single:{model}",
        model=model,
        statement=text_of(row.get("question")),
        gold=text_of(graded.get("ground_truth")),
        score=graded.get("score"),
        cost=graded.get("inference_cost"),
    )


def _episode(
    row: Mapping[str, Any],
    result: Mapping[str, Any],
    place: str,
    *,
    system: str,
    model: str,
    statement: str | None,
    gold: str | None,
    score: object,
    cost: object,
) -> ReportedEpisode:
    problem = row.get("global index") or row.get("global_index")
    success = result.get("success")
    if not isinstance(success, bool):
        raise RowError(f"success must be true or false, not {quoted(success)}")
    usage, hidden = _usage(result.get("token_usage"))
    graded = read_score(score, "score")
    correct, detail = judge(graded)
    cost_usd = read_usd(cost, "cost")
    response = text_of(result.get("generated_answer")) if success else None
    # Rows without a price in model_cost.json stand there with tokens and $0.
    is_free = not cost_usd and usage is not None and usage.total_input_tokens
    return ReportedEpisode(
        place=place,
        task=TASK,
        problem_id=read_id(problem, "global index"),
        system=system,
        calls=(
            ReportedCall(
                model,
                model,
                text=response,
                usage=usage,
                cost_usd=None if is_free else cost_usd,
                status="ok" if success else "server_error",
                finish="stop" if success else None,
                detail="" if success else read_detail(result.get("error")),
            ),
        ),
        response=response,
        correct=correct if success else None,
        score=graded,
        statement=statement,
        gold=gold,
        error="" if success else read_detail(result.get("error")) or "the model did not answer",
        detail=detail,
        events=(f"{hidden:,} tokens beyond input and output in total_tokens",) if hidden else (),
    )


def _usage(value: object) -> tuple[Usage | None, int]:
    """The counts, and how many tokens the total has beyond them."""
    if not value:
        return None, 0
    if not isinstance(value, dict):
        raise RowError(f"token_usage must be an object, not {quoted(value)}")
    usage = Usage(
        input_tokens=read_count(value.get("input_tokens"), "input_tokens"),
        output_tokens=read_count(value.get("output_tokens"), "output_tokens"),
    )
    total = value.get("total_tokens")
    beyond = 0 if total is None else read_count(total, "total_tokens")
    return usage, max(0, beyond - usage.input_tokens - usage.output_tokens)
