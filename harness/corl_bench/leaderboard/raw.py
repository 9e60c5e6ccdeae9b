"""The raw side of an entry: its episodes and ledger lines, as files beside it.

Invariants: lines are sorted and written canonically, so equal content has equal bytes and one
digest, whatever the compressor does; and a line of a task whose statements must not be published
holds no text at all. Such a line keeps the sha256 and the size of each text, so that whoever has
the texts can prove that they are the ones, and token counts can still be held against sizes.

    write_packed(path, lines)
    rows = list(read_packed(path))
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.files import write_bytes
from corl_bench.leaderboard.edges import read_regular
from corl_bench.money.ledger import LedgerLine
from corl_bench.results import EpisodeRecord, encode_episode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EPISODES_SUFFIX = ".episodes.jsonl.zst"
LEDGER_SUFFIX = ".ledger.jsonl.zst"
FULL_SUFFIX = ".full.jsonl.zst"
"""Of the file with all texts, where the one beside the entry has none."""

_LEVEL = 19
LIMIT_BYTES = 64 << 20
"""Of one file, uncompressed: what a stranger sends in must not fill the memory."""
_OF_ONE_RUN = ("billed_cost_usd", "stored")
"""Of a ledger line: who happened to ask first and pay. It differs between runs that agree in all
else, and a board counts list costs."""


def episode_row(
    record: EpisodeRecord, request_of: Callable[[str], str | None] = lambda call: None
) -> dict[str, Any]:
    """The row of `episodes.jsonl`, with the `request` of calls that were no plain ones.

    Args:
        record: the episode.
        request_of: by id of a call, the canonical request, where it is not the task's prompt.
    """
    row = encode_episode(record)
    for call in row["calls"]:
        request = request_of(call["id"])
        if request is not None:
            call["request"] = request
    return row


def withhold(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without anything that could hold a statement, a gold or a reply.

    `response`, `answer`, `detail`, the words of `events` and `charges`, and `text`, `request`,
    `detail` of each call are gone; sha256 and size in UTF-8 bytes of the texts stand under
    `response_is` and `text_is`.
    """
    calls = [
        {
            **{name: value for name, value in call.items() if name not in ("request", "detail")},
            "text": None,
            "text_is": _stamp(call["text"]),
        }
        for call in row["calls"]
    ]
    blank: dict[str, Any] = {"response": None, "answer": None, "detail": ""}
    if "charges" in row:  # What a fee is for is a system's own words.
        blank["charges"] = [{**charge, "what": ""} for charge in row["charges"]]
    if "events" in row:  # How many is a figure; a system may have written anything in them.
        blank["events"] = [""] * len(row["events"])
    return {**row, **blank, "response_is": _stamp(row["response"]), "calls": calls}


def stamp_of(row: Mapping[str, Any], name: str) -> tuple[str, int] | None:
    """sha256 and size of a row's text; None where there was none.

    A text that is there speaks for itself: what stands beside it counts only where it is withheld.
    """
    stamp = row.get(f"{name}_is") if row[name] is None else _stamp(row[name])
    return None if stamp is None else (str(stamp["sha256"]), int(stamp["bytes"]))


def ledger_row(line: LedgerLine) -> dict[str, Any]:
    """The row of a ledger line, without what one run alone knows (who paid for a stored reply).

    What a fee is for stands in its episode, if its texts may be shown.
    """
    row = {name: value for name, value in line.encode().items() if name not in _OF_ONE_RUN}
    return row if not line.fee else {**row, "fee": "fee"}


def ledger_line(row: Mapping[str, Any]) -> LedgerLine:
    """The inverse of `ledger_row`; billed is nothing, as nobody was billed for a board."""
    return LedgerLine.decode({**row, "billed_cost_usd": "0", "stored": False})


def canonical(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as sorted lines of canonical JSON."""
    lines = (
        json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
        for row in rows
    )
    return "".join(sorted(lines)).encode()


def sha256_of(data: bytes) -> str:
    """`sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_packed(path: Path, data: bytes) -> None:
    """Compresses lines into a file, in one step.

    Raises:
        StorageError: it cannot be written.
    """
    write_bytes(path, zstd.compress(data, level=_LEVEL))


def unpack(path: Path) -> bytes:
    """The lines of a packed file, as they were digested.

    Raises:
        ConfigError: it is missing, no regular file, not one zstd frame, or larger than any
            entry is.
    """
    packed = read_regular(path, LIMIT_BYTES)
    frame = zstd.ZstdDecompressor()
    try:
        data: bytes = frame.decompress(packed, max_length=LIMIT_BYTES + 1)
    except zstd.ZstdError as error:
        raise ConfigError(f"{path}: not a zstd file: {error}") from None
    if len(data) > LIMIT_BYTES:
        raise ConfigError(f"{path}: more than {LIMIT_BYTES:,} bytes of lines are no entry")
    if not frame.eof or frame.unused_data:
        raise ConfigError(f"{path}: one whole zstd frame is needed, and nothing behind it")
    return data


def rows_of(data: bytes, name: str) -> list[dict[str, Any]]:
    """The JSON objects of lines.

    Raises:
        ConfigError: a line is none; `name:line`.
    """
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{name}:{number}: no JSON: {error}") from None
        if not isinstance(row, dict):
            raise ConfigError(f"{name}:{number}: a line is a JSON object")
        rows.append(row)
    return rows


def read_packed(path: Path) -> list[dict[str, Any]]:
    """Rows of a packed file.

    Raises:
        ConfigError: as `unpack` and `rows_of`.
    """
    return rows_of(unpack(path), str(path))


def _stamp(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    data = text.encode("utf-8", "surrogatepass")
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
