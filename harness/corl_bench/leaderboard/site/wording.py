"""What the site says about figures: ranks, intervals, gains and ties as people read them.

Every figure comes with its interval, and what statistics cannot tell apart is said to be so in
words. Rounded for the eye; the CSV files have all digits.

    >>> signed_points(0.0312), usd_span(Estimate(0.004, 0.0035, 0.0047))
    ('+3.1', '[$0.0035, $0.0047]')
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from corl_bench.leaderboard.findings import Finding, Status
from corl_bench.leaderboard.standings import ReportedRow, Row, TaskStanding
from corl_bench.metrics.headline import brief_coin_words, coin_verdict, rival
from corl_bench.metrics.inference.estimate import Estimate
from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import counted, interval, percent, rough_percent

LONGEST_NAME = 120
"""Characters of a name; what is longer is cut."""
LONGEST_PROSE = 6_000
"""Characters of anything else that a page of the site puts in one place."""

# Controls, and the marks that turn the direction of writing: with them a name could be made to
# look like another one.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
)


def printable(value: Any, longest: int = LONGEST_NAME) -> Any:
    """A text without what cannot be seen, and without its end where it is very long.

    Anything but a plain text (a number, finished markup) is given back as it is, so that a
    template can pass all through.
    """
    if type(value) is not str:
        return value
    # Cut first: a megabyte of a name is not to be searched for every place where it stands.
    text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value[:longest])
    return text if len(value) <= longest else f"{text[: longest - 1]}…"


def rank_span(row: Row) -> str:
    """The interval of a rank, or nothing where the row has none: `2–5`."""
    if row.rank_interval is None:
        return ""
    best, last = row.rank_interval
    return f"{best}" if best == last else f"{best}–{last}"


def shared_ranks(rows: Sequence[Row]) -> dict[int, int]:
    """How many rows of one task hold each rank that more than one holds."""
    holders = Counter(row.rank for row in rows if row.rank is not None)
    return {rank: number for rank, number in holders.items() if number > 1}


def signed_points(share: float) -> str:
    """A difference of shares in percentage points, with its sign: `+3.1`, `−0.4`."""
    rounded = round(100 * share, 1)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded):.1f}"


def points_span(estimate: Estimate) -> str:
    """Both ends of a difference in percentage points: `[+0.4, +5.9]`."""
    return f"[{signed_points(estimate.low)}, {signed_points(estimate.high)}]"


def share_span(estimate: Estimate) -> str:
    """Both ends of a share, in per cent."""
    return interval((estimate.low, estimate.high))


def usd(amount: float | Decimal) -> str:
    """Dollars for the eye."""
    return display_usd(Decimal(repr(amount)) if isinstance(amount, float) else amount)


def usd_span(estimate: Estimate) -> str:
    """Both ends of a cost; nothing where one problem alone tells nothing of its spread."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    return f"[{usd(max(0.0, estimate.low))}, {usd(estimate.high)}]"


def versus(row: Row, task: TaskStanding) -> tuple[str, str]:
    """The class of a row's words about the coin, and the words: what they are coloured by.

    The experts that the coin is made of, and oracles, do not compete with it.
    """
    in_coin = row.label in task.coin_labels
    verdict = coin_verdict(row.gain_over_coin, is_oracle=row.oracle)
    return (
        "same" if in_coin else verdict,
        brief_coin_words(row.gain_over_coin, in_coin=in_coin, is_oracle=row.oracle),
    )


def row_name(row: Row) -> str:
    """System and told budget: `mine · low`."""
    return row.system if row.budget is None else f"{row.system} · {row.budget}"


def status_counts(findings: Sequence[Finding]) -> list[tuple[Status, int]]:
    """How many checks ended how, the worst first; what no check ended in is left out."""
    numbers = Counter(finding.status for finding in findings)
    order: tuple[Status, ...] = ("failed", "flagged", "passed", "unchecked")
    return [(status, numbers[status]) for status in order if numbers[status]]


def headlines(task: TaskStanding, rows: Sequence[Row]) -> list[str]:
    """What the table of one task amounts to: who leads, and who beats the coin.

    Oracles do not compete with the coin, and the fixed experts are what it is made of.
    """
    leaders = [row for row in rows if row.rank == 1]
    sentences = []
    if len(leaders) == 1:
        best = leaders[0]
        sentences.append(
            f"{printable(row_name(best))} is the most accurate: {percent(best.accuracy.value)}"
            f" {share_span(best.accuracy)} for {usd(best.cost_usd.value)} a problem."
        )
    elif leaders:
        sentences.append(
            f"{_listed([printable(row_name(row)) for row in leaders])} share rank 1: on"
            f" {counted(task.n_problems, 'problem')} they are indistinguishable."
        )
    verdicts = Counter(
        coin_verdict(row.gain_over_coin)
        for row in rows
        if not row.oracle and row.label not in task.coin_labels
    )
    compared = sum(verdicts.values()) - verdicts["none"]
    if compared:
        beats, loses = verdicts["beats"], verdicts["loses"]
        sentences.append(
            f"At the same spend, {beats} of {counted(compared, 'row')}"
            f" {'beats' if beats == 1 else 'beat'} the coin between fixed experts,"
            f" {loses} {'loses' if loses == 1 else 'lose'} to it and {verdicts['same']} cannot be"
            " told from it."
        )
    return sentences


def _listed(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]])


def row_tip(row: Row, task: TaskStanding) -> list[str]:
    """What a point says when it is hovered over or focused: a heading, then lines."""
    tip = [
        printable(row_name(row)),
        f"Accuracy\t{percent(row.accuracy.value)} {share_span(row.accuracy)}",
        f"List cost a problem\t{usd(row.cost_usd.value)} {usd_span(row.cost_usd)}".rstrip(),
    ]
    if row.rank is not None:
        tip.append(f"Rank\t{row.rank} ({rank_span(row)})")
    if row.gain_over_coin is not None:
        gain = row.gain_over_coin
        other = rival(in_coin=row.label in task.coin_labels)
        tip.append(f"Beyond {other}\t{signed_points(gain.value)} points {points_span(gain)}")
    if row.budget is not None and row.budget in row.violation_rates:
        tip.append(f"Above its budget\t{rough_percent(row.violation_rates[row.budget])}")
    tip.append(f"Costs, system\t{row.cost_mark}, {row.system_mark}")
    if row.oracle:
        tip.append("Sees the gold answers: a bound, no competitor")
    elif row.rank is None:
        tip.append(f"Not ranked: {row.why_unranked}")
    elif row.on_frontier:
        tip.append("Not dominated")
    return tip


def reported_tip(row: ReportedRow) -> list[str]:
    """The same for a figure of the literature."""
    tip = [
        printable(row.system),
        "Reported, not measured",
        f"Accuracy\t{percent(row.accuracy)}",
        f"Cost a problem\t{'not stated' if row.cost_usd is None else usd(row.cost_usd)}",
        f"Source\t{printable(row.source, 80)}",
    ]
    return [*tip, printable(row.note, 80)] if row.note else tip
