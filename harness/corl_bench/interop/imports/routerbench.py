"""RouterBench tables: each model's graded reply and cost for each prompt, in wide format.

Read: withmartian/routerbench, `convertors/` and `evaluate_routers.py` at commits 30e0925 and
8ef22cf. A row has `sample_id`, `prompt`, `eval_name`, and for each model M the columns `M` (a
score from 0 to 1), `M|model_response` and `M|total_cost`; `oracle_model_to_route_to` may follow.
Prompts and replies are lists of texts, written as Python does. There are no golds and no token
counts, so such a table becomes results and never recordings.

Each model becomes the system `single:M` on the task `routerbench`, with `eval_name` as the subject
of a problem. Scores between 0 and 1 are not called correct. The table's costs are the word of its
authors, whose prices of some models were a tenth of the list price.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, read_label, read_name
from corl_bench.interop.imports.bounded import Reader
from corl_bench.interop.imports.tables import read_table
from corl_bench.interop.reported import (
    Reading,
    ReportedCall,
    ReportedEpisode,
    Wanted,
    judge,
    note_partial,
    read_decimal,
    read_id,
    read_score,
    read_usd,
)

_RESPONSE, _COST = "|model_response", "|total_cost"
_LIST_LIMIT_CHARACTERS = 1_000_000


def read(path: Path, wanted: Wanted) -> Reading:
    """Reads a table.

    Raises:
        ConfigError: a column is missing, or a cell is not what it should be.
    """
    reader = Reader()
    episodes: list[ReportedEpisode] = []
    models: list[str] = []
    for place, row in read_table(path, reader):
        models = models or _models(row, path)
        try:
            episodes += _episodes(row, models, place)
        except RowError as error:
            raise ConfigError(f"{place}: {error}") from None
    notes = ["costs as the table has them; it counts no tokens"]
    notes += note_partial(episodes)
    return Reading("routerbench", episodes, reader.digest, notes)


def _models(row: Mapping[str, Any], path: Path) -> list[str]:
    models = [name.removesuffix(_COST) for name in row if name.endswith(_COST)]
    models = [name for name in models if name != "oracle"]
    for name in ("sample_id", "eval_name", *models):
        if name not in row:
            raise ConfigError(f"{path}: no column {name!r}: a RouterBench table has one")
    if not models:
        raise ConfigError(
            f"{path}: no column ends in {_COST!r}, as each model's of RouterBench does"
        )
    return models


def _episodes(row: Mapping[str, Any], models: list[str], place: str) -> Iterator[ReportedEpisode]:
    problem = read_id(row["sample_id"], "sample_id")
    subject = read_label(row["eval_name"], "eval_name")
    statement = _texts(row.get("prompt"))
    for model in models:
        name = read_name(model, "model")
        score = read_score(_number(row[model]), f"score of {model}")
        correct, detail = judge(score)
        if correct is None:
            raise RowError(f"no score of {model}")
        response = _texts(row.get(model + _RESPONSE))
        yield ReportedEpisode(
            place=place,
            task="routerbench",
            problem_id=problem,
            system=f"single:{name}",
            calls=(
                ReportedCall(
                    name,
                    name,
                    text=response,
                    cost_usd=read_usd(_number(row[model + _COST]), f"total_cost of {model}"),
                ),
            ),
            response=response,
            correct=correct,
            score=score,
            statement=statement,
            detail=detail,
            subject=subject,
        )


def _number(cell: Any) -> Any:
    """A cell of a CSV file as a number, where it is one."""
    if not isinstance(cell, str):
        return cell
    if cell in ("True", "False"):
        return cell == "True"
    return read_decimal(cell)


def _texts(cell: Any) -> str | None:
    """A prompt or reply; several turns follow each other after an empty line."""
    if cell is None or isinstance(cell, float):  # an empty cell of a frame is NaN
        return None
    if isinstance(cell, str) and cell.startswith("[") and len(cell) <= _LIST_LIMIT_CHARACTERS:
        try:
            cell = ast.literal_eval(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return str(cell)
    if isinstance(cell, list):
        return "\n\n".join(str(part) for part in cell)
    return str(cell)
