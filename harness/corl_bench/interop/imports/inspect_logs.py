"""inspect logs, `.eval` and `.json`, read as what they are: JSON, in a zip archive or not.

Read: inspect-ai 0.3.285, files that it wrote, and its models `EvalLog`, `EvalSample`, `Score` and
`ModelUsage`. An archive has `header.json` (`eval`, `plan`, `results`, `stats`) and a member
`samples/<id>_epoch_<n>.json` for each sample, packed by deflate or zstd; a `.json` log is the
header with a list `samples`. inspect itself is not needed, and every read is bounded.

The system is the log's model, or `--system`; the task is `eval.task`; epochs are samples. The
verdict is the one score, or the one that `--scorer` names: C or 1 is correct, P and partial
numbers are not, and an unscored sample is in error. inspect counts tokens by model, cached ones
apart; it has costs only where it was told prices. Logs that `corl-bench export` wrote have the
episode in the sample's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.base import FinishReason
from corl_bench.experts.recording_columns import RowError, quoted, read_count, read_name
from corl_bench.interop.carried import KEY, read_carried, require_unnamed
from corl_bench.interop.imports.bounded import (
    NOT_A_NUMBER,
    Reader,
    find_files,
    require_object,
)
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    judge,
    note_partial,
    read_detail,
    read_id,
    read_latency,
    read_score,
    read_usd,
    text_of,
)
from corl_bench.types import Usage

_SAMPLE = re.compile(r"samples/.+_epoch_\d+\.json")
_GRADES = {"C": Decimal(1), "I": Decimal(0), "P": Decimal("0.5"), "N": Decimal(0)}
"""inspect's letters; N is no answer."""
_FINISHES: Mapping[str, FinishReason] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
}


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a log, or all of a folder.

    Raises:
        ConfigError: a log or sample is not what it should be, or nothing says which of several
            scores is the verdict.
    """
    reader = Reader()
    episodes: list[ReportedEpisode] = []
    notes: list[str] = []
    for file in find_files(path, lambda name: name.endswith((".eval", ".json")), ".eval or .json"):
        for place, header, sample in _samples(file, reader, notes):
            try:
                episodes.append(_episode(sample, header, wanted, place))
            except RowError as error:
                raise ConfigError(f"{place}: {error}") from None
    notes += note_partial(episodes)
    return Reading("inspect", episodes, reader.digest, notes)


def _samples(
    file: Path, reader: Reader, notes: list[str]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Places, what the log's header says of the evaluation, and samples."""
    if file.suffix == ".json":
        log = require_object(reader.document(file), str(file))
        header = _header(log, file, notes)
        samples = log.get("samples")
        if not isinstance(samples, list):
            raise ConfigError(f"{file}: no samples: it was written without them")
        for number, sample in enumerate(samples, 1):
            place = f"{file}:sample {number}"
            yield place, header, require_object(sample, place)
        return
    with reader.archive(file) as archive:
        header = _header(require_object(archive.document("header.json"), str(file)), file, notes)
        names = [name for name in archive.names if _SAMPLE.fullmatch(name)]
        if not names:
            raise ConfigError(f"{file}: no samples: it was written without them")
        if len(set(names)) < len(names):
            raise ConfigError(f"{file}: a sample is there twice")
        for name in names:
            place = f"{file}:{name}"
            yield place, header, require_object(archive.document(name), place)


def _header(log: Mapping[str, Any], file: Path, notes: list[str]) -> dict[str, Any]:
    header = log.get("eval")
    if log.get("version") != 2 or not isinstance(header, dict):
        raise ConfigError(f"{file}: no log of inspect, version 2")
    if log.get("status") != "success":
        notes.append(f"{file.name}: its status is {quoted(log.get('status'))}, not success")
    return header


def _episode(
    sample: Mapping[str, Any], header: Mapping[str, Any], wanted: Wanted, place: str
) -> ReportedEpisode:
    output = sample.get("output")
    output = output if isinstance(output, dict) else {}
    response = text_of(output.get("completion"))
    metadata = sample.get("metadata")
    statement, gold = _statement(sample.get("input")) or None, _gold(sample.get("target"))
    if isinstance(metadata, dict) and KEY in metadata:
        require_unnamed(wanted)
        value = metadata[KEY]
        answered = not isinstance(value, dict) or value.get("answered") is not False
        return read_carried(
            value,
            place=place,
            response=response if answered else None,
            statement=statement,
            gold=gold,
        )
    score, answer = _score(sample, wanted)
    correct, detail = judge(score)
    error = sample.get("error")
    why = read_detail(error.get("message")) or "no message" if isinstance(error, dict) else ""
    epoch = read_count(sample.get("epoch"), "epoch")
    return ReportedEpisode(
        place=place,
        task=read_id(header.get("task"), "task"),
        problem_id=read_id(sample.get("id"), "id"),
        system=read_id(wanted.system or header.get("model"), "model"),
        sample=max(0, epoch - 1),
        calls=_calls(sample, output, response),
        response=None if why else response,
        correct=None if why else correct,
        score=score,
        answer=answer,
        statement=statement,
        gold=gold,
        error=why,
        detail=detail,
    )


def _score(sample: Mapping[str, Any], wanted: Wanted) -> tuple[Decimal | None, str | None]:
    """The value of the score that counts, and the answer that it was given for."""
    scores = sample.get("scores")
    if not isinstance(scores, dict) or not scores:
        return None, None
    name = wanted.scorer(scores)
    score = scores[name]
    if not isinstance(score, dict):
        raise RowError(f"score {name} must be an object, not {quoted(score)}")
    value = score.get("value")
    answer = score.get("answer")
    if value is NOT_A_NUMBER:  # inspect's mark of a sample that could not be scored
        return None, None
    if isinstance(value, str) and value in _GRADES:
        value = _GRADES[value]
    return read_score(value, f"score {name}"), answer if isinstance(answer, str) else None


def _calls(
    sample: Mapping[str, Any], output: Mapping[str, Any], response: str | None
) -> tuple[ReportedCall, ...]:
    """One call for each model whose tokens were counted; the answering one has the reply."""
    usages = sample.get("model_usage")
    usages = usages if isinstance(usages, dict) else {}
    answering = text_of(output.get("model")) or ""
    choices = output.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    stop = choice.get("stop_reason") if isinstance(choice, dict) else None
    calls = []
    for model, counts in usages.items():
        if not isinstance(counts, dict):
            raise RowError(f"model_usage must hold objects, not {quoted(counts)}")
        name = read_name(model, "model")
        # The key has the provider, the output perhaps not.
        answers = len(usages) == 1 or name == answering or name.endswith(f"/{answering}")
        calls.append(
            ReportedCall(
                name,
                name,
                text=response if answers else None,
                usage=_usage(counts),
                cost_usd=read_usd(counts.get("total_cost"), "total_cost"),
                finish=_FINISHES.get(str(stop), "stop") if answers else None,
                latency_s=read_latency(sample.get("working_time"), "working_time")
                if answers
                else 0.0,
            )
        )
    # inspect names the model of a sample that was never asked, too; it has no choices then.
    if not calls and answering and choices:
        calls.append(ReportedCall(answering, answering, text=response))
    return tuple(calls)


def _usage(counts: Mapping[str, Any]) -> Usage:
    def count(name: str) -> int:
        value = counts.get(name)
        return 0 if value is None else read_count(value, name)

    return Usage(
        input_tokens=count("input_tokens"),
        cached_input_tokens=count("input_tokens_cache_read"),
        cache_write_tokens=count("input_tokens_cache_write"),
        output_tokens=count("output_tokens"),
        reasoning_tokens=count("reasoning_tokens"),
    )


def _statement(value: object) -> str | None:
    """The input as text; of a conversation, what its user says."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    said = [
        message["content"]
        for message in value
        if isinstance(message, dict)
        and message.get("role") == "user"
        and isinstance(message.get("content"), str)
    ]
    return "\n\n".join(said) or None


def _gold(value: object) -> str | None:
    if isinstance(value, list):
        return str(value[0]) if len(value) == 1 else None
    return value if isinstance(value, str) and value else None
