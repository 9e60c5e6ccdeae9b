"""An episode of ours inside another format's row, so that no figure is lost on the way.

Other formats have no place for a ledger: lm-eval's samples and inspect's logs keep one score and
perhaps a token count. An export puts the episode beside it under the key `corl`, amounts as
decimal text, and an import takes it from there. What comes back is somebody's word like all else
that is imported: nothing in it is metered any more.

    row["corl"] = carry(record, is_oracle=False, simulated=True)
    record = read_carried(row["corl"], response=text)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_columns import RowError, quoted, read_count
from corl_bench.experts.recording_rows import read_usage
from corl_bench.interop.reported import read_id, read_latency
from corl_bench.money.basis import CostBasis
from corl_bench.results import EpisodeRecord, decode_episode, encode_episode

KEY = "corl"
MAX_CALLS = 10_000


def carry(record: EpisodeRecord, *, is_oracle: bool, simulated: bool) -> dict[str, Any]:
    """The episode as a JSON object, but for its response, which the row itself has.

    Args:
        record: the episode.
        is_oracle: whether its system saw the golds.
        simulated: whether its experts were simulated.
    """
    row = encode_episode(record)
    del row["response"]
    return {**row, "is_oracle": is_oracle, "simulated": simulated}


def is_marked(value: object, mark: Literal["is_oracle", "simulated"]) -> bool:
    """Whether what stands under `KEY` bears a mark."""
    return isinstance(value, dict) and value.get(mark) is True


def read_carried(value: object, *, response: str | None) -> EpisodeRecord:
    """The episode that `carry` wrote, as a report.

    Args:
        value: what stands under `KEY`.
        response: the text that was graded, from the row itself.

    Raises:
        RowError: it is no episode, or a figure in it cannot be meant.
    """
    if not isinstance(value, dict):
        raise RowError(f"{KEY} must be an object, not {quoted(value)}")
    try:
        row = {**value, "response": response, "timings": _timings(value["timings"])}
        for name in ("task", "problem_id", "system"):
            read_id(row[name], name)
        if row["budget"] is not None:
            read_id(row["budget"], "budget")
        if len(row["calls"]) > MAX_CALLS:
            raise RowError(f"more than {MAX_CALLS:,} calls")
        for call in row["calls"]:
            if call["usage"] is not None:
                read_usage({"input_tokens": 0, "output_tokens": 0, **call["usage"]})
            read_count(call["attempts"], "attempts")
            read_id(call["expert"], "expert")
        record = decode_episode(row)
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise RowError(f"{KEY} is no episode ({quoted(str(error) or repr(error))})") from None
    return replace(
        record,
        calls=tuple(replace(call, basis=believed(call.basis)) for call in record.calls),
        charges=tuple(replace(fee, basis=believed(fee.basis)) for fee in record.charges),
    )


def believed(basis: CostBasis) -> CostBasis:
    """What is left of a basis in somebody else's file."""
    return "opaque" if basis == "opaque" else "self_reported"


def _timings(value: Mapping[str, Any]) -> dict[str, Any]:
    """Decimals of a JSON file back to the floats that readings of a clock are."""
    return {
        "latency_s": read_latency(value["latency_s"], "latency_s"),
        "calls_s": [read_latency(reading, "calls_s") for reading in value["calls_s"]],
    }
