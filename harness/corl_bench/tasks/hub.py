"""Rows through the `datasets` library: one source in, rows in our own names out.

What the columns mean is data in the task file; nothing here knows a dataset by name. Whatever
keeps the library from delivering (no network, no such revision, a column renamed upstream)
ends in one line.

    rows = list(read_source(spec.splits["test"].source, name="gsm8k:test"))
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from corl_bench.errors import ConfigError
from corl_bench.extras import require
from corl_bench.tasks.golds import gold_of_solution
from corl_bench.tasks.spec import Source

REACH_S = 5.0
"""How long to wait for the hub before it counts as out of reach."""


def read_source(source: Source, *, name: str) -> Iterator[dict[str, Any]]:
    """Rows `{problem, answer, id, subject?, level?, …}` of a source, in upstream order.

    Args:
        source: where the rows are and what their columns mean.
        name: what is being loaded (`gsm8k:test`), for messages.

    Raises:
        MissingExtraError: the `datasets` library is not installed.
        ConfigError: it cannot get at the dataset, or a row is not as declared.
    """
    datasets = require("datasets", extra="datasets", why=f"Loading {name} without --data-dir")
    if not Path(source.dataset).exists():
        _stay_offline_without_network(datasets)
    number = 0
    for configuration in source.configurations or (None,):
        for split in source.splits:
            try:
                with _quiet("huggingface_hub", "datasets"):
                    table = datasets.load_dataset(
                        source.dataset, configuration, split=split, revision=source.revision
                    )
            # The library and the hub client raise dozens of types, other ones each year.
            except Exception as error:
                reason = next(iter(str(error).splitlines()), "") or type(error).__name__
                raise ConfigError(
                    f"cannot load {name} from {source.dataset}: {reason}; go online, or pass a "
                    f"folder with its rows as JSONL: --data-dir DIR (or CORL_DATA_DIR)"
                ) from error
            for row in table:
                try:
                    yield _renamed(source, row, number)
                except (KeyError, ValueError) as error:
                    reason = f"no column {error}" if isinstance(error, KeyError) else str(error)
                    raise ConfigError(f"{source.dataset}, row {number}: {reason}") from error
                number += 1


def _stay_offline_without_network(datasets: Any) -> None:
    """Lets the libraries look into their cache alone where the hub cannot be reached.

    Left to themselves they try a dead network again and again for half a minute. Behind a
    proxy nothing can be said beforehand, so there they are left to themselves.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or getproxies():
        return
    host = urlsplit(constants.ENDPOINT)
    try:
        port = host.port or (80 if host.scheme == "http" else 443)
        socket.create_connection((host.hostname, port), timeout=REACH_S).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True
        datasets.config.HF_HUB_OFFLINE = True


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Holds back warnings of these loggers: each retry of a dead network logs two lines."""
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in loggers}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _renamed(source: Source, row: Mapping[str, Any], number: int) -> dict[str, Any]:
    answer = row[source.answer]
    if source.answer_form == "boxed":
        answer = gold_of_solution(str(answer))
    elif source.answer_form == "hashes" and "####" not in str(answer):
        raise ValueError("the answer has no #### before its number")
    renamed: dict[str, Any] = {
        "problem": _joined(str(row[column]) for column in source.problem),
        "answer": answer,
        "id": _id(source, row, number),
    }
    if source.subject:
        renamed["subject"] = row[source.subject]
    if source.level:
        renamed["level"] = row[source.level]
    return renamed | {column: row[column] for column in source.metadata}


def _id(source: Source, row: Mapping[str, Any], number: int) -> str:
    values = {**row, "row": number}
    if source.id_pattern:
        found = re.search(source.id_pattern.pattern, str(row[source.id_pattern.column]))
        if found is None:
            raise ValueError(f"column {source.id_pattern.column} does not fit the id pattern")
        values |= found.groupdict()
    return source.id.format_map(values)


def _joined(parts: Iterator[str]) -> str:
    """Columns as consecutive sentences: SVAMP's body lacks its last full stop."""
    *before, last = (part.strip() for part in parts)
    ended = [part if part.endswith(".") else f"{part}." for part in before]
    return " ".join([*ended, last])
