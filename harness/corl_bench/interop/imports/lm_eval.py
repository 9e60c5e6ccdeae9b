"""lm-eval: files of `--log_samples`, with the results beside them where they are.

Read: lm-eval 0.4.13, files that it wrote, and `loggers/evaluation_tracker.py`. A folder
`<model>/` holds `results_<date>.json` and a file `samples_<task>_<date>.jsonl` for each task,
whose rows have `doc_id`, `doc`, `target`, `arguments`, `resps`, `filtered_resps`, `filter`,
`metrics` and each metric under its name; a task with several filters has a row for each.

The system is the `model_name` of the results, else the folder's name, or `--system`. The verdict
is a metric at a filter, `--scorer exact_match,strict-match` where there are several. A row of
several replies (`repeats`) has one verdict and becomes an episode of as many calls. lm-eval
counts no tokens and no dollars, so costs are opaque, but for those of `corl-lm-eval` on our tasks
(the metric `list_cost_usd`) and for files that `corl-bench export` wrote, which have the episode
under `corl`. Rows of log-likelihoods have no reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, quoted
from corl_bench.interop.carried import KEY, read_carried, require_unnamed
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

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.-]+)\.jsonl")
_COST = "list_cost_usd"
"""A metric that our tasks report beside the accuracy, where the model says what it cost."""
_STATEMENTS = ("problem", "question")

Row = tuple[str, Mapping[str, Any]]


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a file of samples, or all of a folder.

    Raises:
        ConfigError: a file or row is not what it should be, or nothing says which of several
            scores is the verdict.
    """
    reader = Reader()
    episodes: list[ReportedEpisode] = []
    repeated = 0
    for file in find_files(path, lambda name: bool(_SAMPLES.fullmatch(name)), "samples_*.jsonl"):
        match = _SAMPLES.fullmatch(file.name)
        task = match["task"] if match else file.stem
        name, simulated = _model(file, match["date"] if match else "", reader)
        system = wanted.system or name
        rows = list(reader.rows(file))
        if not rows:
            raise ConfigError(f"{file} is empty")
        metric, chosen = _scorer(rows, wanted, file)
        for place, row in rows:
            if row.get("filter", chosen) == chosen:
                try:
                    if KEY in row:
                        require_unnamed(wanted)
                        episodes += _carried(row, place)
                    else:
                        episodes.append(_episode(row, task, system, metric, simulated, place))
                        repeated += len(episodes[-1].calls) > 1
                except RowError as error:
                    raise ConfigError(f"{place}: {error}") from None
    notes = []
    if all(e.carried is None and e.calls[0].cost_usd is None for e in episodes):
        notes.append("the source counts no tokens and no cost")
    if repeated:
        notes.append(
            f"{repeated:,} rows have several replies under one verdict: each is a call, the first"
            " stands as the answer"
        )
    notes += note_partial(episodes)
    return Reading("lm-eval", episodes, reader.digest, notes)


def _model(file: Path, date: str, reader: Reader) -> tuple[str, bool]:
    """The name of the model, and whether it says of itself that its experts are simulated."""
    results = file.with_name(f"results_{date}.json")
    if results.exists():
        document = require_object(reader.document(results), str(results))
        config = document.get("config")
        ours = config.get(KEY) if isinstance(config, dict) else None
        if isinstance(ours, dict) and isinstance(ours.get("system"), str):
            budget = ours.get("budget")
            name = f"{ours['system']}@{budget}" if budget else str(ours["system"])
            return name, ours.get("simulated") is True
        if isinstance(said := document.get("model_name"), str) and said:
            return said, False
    return file.resolve().parent.name, False


def _scorer(rows: Sequence[Row], wanted: Wanted, file: Path) -> tuple[str, str]:
    """The metric and the filter that give the verdict."""
    pairs: dict[str, tuple[str, str]] = {}
    for place, row in rows:
        metrics, name = row.get("metrics"), row.get("filter")
        if not isinstance(metrics, list) or not isinstance(name, str):
            raise ConfigError(
                f"{place}: no metrics and filter: no sample of lm-eval 0.4.5 or later"
            )
        for metric in map(str, metrics):
            if metric == _COST:
                continue
            pairs[f"{metric},{name}"] = (metric, name)
    try:
        return pairs[wanted.scorer(pairs)]
    except RowError as error:
        raise ConfigError(f"{file} has {error}") from None


def _episode(
    row: Mapping[str, Any], task: str, system: str, metric: str, simulated: bool, place: str
) -> ReportedEpisode:
    responses = _responses(row)
    score = read_score(row.get(metric), metric)
    correct, detail = judge(score)
    cost_usd = read_usd(row.get(_COST), _COST)
    name = read_id(system, "system")
    return ReportedEpisode(
        place=place,
        task=read_id(task, "task"),
        problem_id=read_id(row.get("doc_id"), "doc_id"),
        system=name,
        calls=tuple(
            # The cost of a row is that of all its replies.
            ReportedCall(name, name, text=text, cost_usd=Decimal(0) if cost_usd and n else cost_usd)
            for n, text in enumerate(responses)
        ),
        response=responses[0],
        correct=correct,
        score=score,
        answer=_first_text(row.get("filtered_resps")),
        statement=_statement(row),
        gold=text_of(row.get("target")),
        detail=detail,
        simulated=simulated,
    )


def _carried(row: Mapping[str, Any], place: str) -> Iterator[ReportedEpisode]:
    """The episodes of a row that an export of ours wrote: one for each sample."""
    rows, responses = row[KEY], _responses(row)
    if not isinstance(rows, list) or len(rows) != len(responses):
        raise RowError(f"{KEY} must be a list with an episode for each reply")
    for number, (value, response) in enumerate(zip(rows, responses, strict=True), 1):
        yield read_carried(
            value,
            place=f"{place}, sample {number}",
            response=response,
            statement=_statement(row) or None,
            gold=text_of(row.get("target")) or None,
        )


def _statement(row: Mapping[str, Any]) -> str | None:
    """The statement as the task's rows have it, else the prompt that was sent."""
    doc = row.get("doc")
    if not isinstance(doc, dict):
        raise RowError(f"doc must be an object, not {quoted(doc)}")
    for column in _STATEMENTS:
        if isinstance(doc.get(column), str):
            return str(doc[column])
    arguments = row.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    prompt = first.get("arg_0") if isinstance(first, dict) else None
    return prompt if isinstance(prompt, str) else None


def _responses(row: Mapping[str, Any]) -> list[str | None]:
    """The replies of the row's one request; None for what is no text, as log-likelihoods."""
    resps = row.get("resps")
    if not isinstance(resps, list) or not resps or not isinstance(resps[0], list) or not resps[0]:
        raise RowError(f"resps must be a list of lists, not {quoted(resps)}")
    return [reply if isinstance(reply, str) else None for reply in resps[0]]


def _first_text(values: object) -> str | None:
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, str) else None
