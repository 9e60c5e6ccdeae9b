"""ZeroEval result folders: a JSON file for each model, its outputs for each problem.

Read: WildEval/ZeroEval (yuchenlin/ZeroEval) `result_dirs/gsm/Meta-Llama-3.1-70B-Instruct.json`
at commit b716656 and `src/evaluation/math_eval.py` at 5e59582. A file is a list of `id`,
`question` (or only `chat_history`), `answer` (the gold, `# 18` for GSM8K), `output` (a list of
replies), `generator`, `dataset`. The name of the file is the model's. Files of parsed results
also have `matched`, the verdict of the source's grader.

Each model becomes the system `single:<model>` on the task that `dataset` names. There are no
token counts and no costs: results are opaque, and recordings need `--estimate-tokens`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, quoted, read_name
from corl_bench.interop.imports.bounded import Reader, find_files, require_object
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    read_id,
    text_of,
)

_NO_ANSWER = "No answer extracted"


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a model's file, or all of a folder.

    Raises:
        ConfigError: a file or row is not what it should be.
    """
    reader = Reader()
    episodes: list[ReportedEpisode] = []
    for file in find_files(path, _is_result, "*.json file"):
        rows = reader.document(file)
        if not isinstance(rows, list):
            raise ConfigError(f"{file}: results of ZeroEval are a list")
        for number, row in enumerate(rows, 1):
            place = f"{file}:row {number}"
            try:
                episodes += _episodes(require_object(row, place), file.stem, place)
            except RowError as error:
                raise ConfigError(f"{place}: {error}") from None
    notes = ["the source counts no tokens and no cost"]
    return Reading("zeroeval", episodes, reader.digest, notes)


def _is_result(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(".summary.json")


def _episodes(row: Mapping[str, Any], model: str, place: str) -> Iterator[ReportedEpisode]:
    outputs = row.get("output")
    if not isinstance(outputs, list) or not outputs:
        raise RowError(f"output must be a list of replies, not {quoted(outputs)}")
    history = row.get("chat_history")
    prompt = history[0] if isinstance(history, list) and history else None
    gold = text_of(row.get("answer"))
    name = read_name(model, "the file's name")
    for sample, output in enumerate(outputs):
        if not isinstance(output, str):
            raise RowError(f"output must be text, not {quoted(output)}")
        yield ReportedEpisode(
            place=f"{place}, output {sample + 1}",
            task=read_id(row.get("dataset") or "zeroeval", "dataset"),
            problem_id=read_id(row.get("id"), "id"),
            system=f"single:{name}",
            calls=(ReportedCall(name, name, text=output),),
            response=output,
            correct=_matched(row.get("matched")) if sample == 0 else None,
            statement=text_of(row.get("question")) or text_of(prompt),
            gold=None if gold is None else gold.replace("#", "").strip(),
            sample=sample,
        )


def _matched(value: object) -> bool | None:
    if value == _NO_ANSWER:
        return False
    if value is None or isinstance(value, bool):
        return value
    raise RowError(f"matched must be true or false, not {quoted(value)}")
