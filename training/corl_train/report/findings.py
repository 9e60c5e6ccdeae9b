"""When something was wrong: the findings of all iterations, put together.

A finding stands in each line of `metrics.jsonl` in which it held. Here they become episodes:
what it was, from which iteration to which, and whether it still holds at the end.

    [told.title for told in tell(lines) if told.holds]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corl_train.runs.files import Found, MetricsLine


@dataclass(frozen=True, slots=True)
class Told:
    """One kind of finding, at one budget or at none in particular."""

    title: str
    what: str
    """As it was seen last."""
    advice: str
    spans: tuple[tuple[int, int], ...]
    """First and last iteration of each time that it held."""
    holds: bool
    """At the last iteration."""

    @property
    def when(self) -> str:
        """The spans in words."""
        parts = [f"{first}" if first == last else f"{first}–{last}" for first, last in self.spans]
        if self.holds:
            parts[-1] = f"{self.spans[-1][0]} to the end"
        plural = "s" if len(parts) > 1 or "–" in parts[0] else ""
        return f"iteration{plural} {', '.join(parts)}"


def tell(lines: Sequence[MetricsLine]) -> list[Told]:
    """What was found, that which still holds first, then by its first iteration."""
    found: dict[tuple[str, str | None], list[tuple[int, Found]]] = {}
    for place, line in enumerate(lines):
        for finding in line.get("findings", []):
            found.setdefault((finding["kind"], finding.get("budget")), []).append((place, finding))
    told = []
    for (kind, budget), times in found.items():
        spans: list[tuple[int, int]] = []
        for place, _ in times:
            if spans and spans[-1][1] == place - 1:
                spans[-1] = (spans[-1][0], place)
            else:
                spans.append((place, place))
        told.append(
            Told(
                title=kind if budget is None else f"{kind} at {budget}",
                what=times[-1][1]["what"],
                advice=times[-1][1]["advice"],
                spans=tuple(
                    (lines[first]["iteration"], lines[last]["iteration"]) for first, last in spans
                ),
                holds=spans[-1][1] == len(lines) - 1,
            )
        )
    return sorted(told, key=lambda one: (not one.holds, one.spans[0]))
