"""Operating points in a picture: the shapes they have, the names beside them, what joins them.

The pictures of a report and of a board's site are drawn with these, so that a sign means the
same in both.

    place_labels([("nano", True)], [(200.0, 90.0)], boxes_along(curve), WIDE)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from corl_bench.report.axes import Box, Frame, Place, path_data
from corl_bench.report.figures import percent

Anchor = Literal["start", "end"]
Family = Literal["single", "fixed", "reads", "oracle", "reported"]
FAMILY_TITLES: dict[Family, str] = {
    "single": "One expert alone",
    "fixed": "Blind to the budget",
    "reads": "Told the budget",
    "oracle": "Oracle: sees the golds",
    "reported": "Reported, not measured",
}


def family_of(
    *, is_oracle: bool, told_budget: bool, is_single: bool, is_cost_known: bool = True
) -> Family:
    """What kind of system a measured point is about, for its shape and colour."""
    if is_oracle:
        return "oracle"
    if not is_cost_known:
        return "reported"
    if told_budget:
        return "reads"
    return "single" if is_single else "fixed"


def strand_paths(points: Iterable[tuple[str, Decimal | None, Place]]) -> tuple[str, ...]:
    """Paths that join a system's points from its lowest to its highest budget.

    Args:
        points: system, dollars of the told budget (None for none) and place of each.
    """
    strands: dict[str, list[tuple[Decimal, Place]]] = {}
    for system, budget_usd, place in points:
        if budget_usd is not None:
            strands.setdefault(system, []).append((budget_usd, place))
    return tuple(
        path_data([place for _, place in sorted(strand)])
        for strand in strands.values()
        if len(strand) > 1
    )


def describe_points(number: str, best: str, accuracy: float, cost: str) -> str:
    """A picture in one sentence, for those who do not see it.

    Args:
        number: of the points, counted in words: `12 operating points`.
        best: name of the most accurate.
        accuracy: of it, a share.
        cost: of it, dollars in words.
    """
    return (
        f"Accuracy over mean list cost of {number}; the most accurate is {best} with"
        f" {percent(accuracy)} at {cost} a problem."
    )


def boxes_along(corners: Sequence[Place]) -> list[Box]:
    """Boxes around the pieces of a line, for what had better not cross it."""
    return [
        (min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1)
        for (x0, y0), (x1, y1) in pairwise(corners)
    ]


Label = tuple[str, float, float, Anchor]
"""Text (empty where no place was free), x, y and anchor."""


def place_labels(
    names: Sequence[tuple[str, bool]],
    places: Sequence[Place],
    drawn: Sequence[Box],
    frame: Frame,
) -> list[Label]:
    """Puts each name beside its mark where no mark or name stands.

    Args:
        names: of each mark, and whether it chooses before those that do not (on the frontier).
        places: of the marks.
        drawn: what a name had better not cross (whiskers, the step).
        frame: all names stand inside it.
    """
    taken: list[Box] = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
    labels: list[Label] = [("", 0.0, 0.0, "start")] * len(names)
    order = sorted(range(len(names)), key=lambda index: (not names[index][1], index))
    for index in order:
        text = names[index][0]
        free = [
            (box, label)
            for box, label in _label_places(text, places[index], frame)
            if not any(_overlap(box, other) for other in taken)
        ]
        if free:
            box, labels[index] = min(
                free, key=lambda place: sum(_overlap(place[0], other) for other in drawn)
            )
            taken.append(box)
    return labels


def _label_places(text: str, place: Place, frame: Frame) -> list[tuple[Box, Label]]:
    """Where a label may stand inside the frame, the best place first."""
    x, y = place
    width = frame.letter * len(text)
    # A step leaves its point to the right and comes from below, so its upper left is free.
    offsets: tuple[tuple[float, float, Anchor], ...] = (
        (-6, -11, "end"),
        (6, -11, "start"),
        (11, 4, "start"),
        (-11, 4, "end"),
        (6, 19, "start"),
        (-6, 19, "end"),
    )
    found = []
    for right, down, anchor in offsets:
        left = x + right - (width if anchor == "end" else 0)
        box = (left - 2, y + down - 11, left + width + 2, y + down + 3)
        if (
            box[0] >= frame.left
            and box[2] <= frame.width
            and box[1] >= frame.top - 4
            and box[3] <= frame.height - frame.bottom
        ):
            found.append((box, (text, round(x + right, 2), round(y + down, 2), anchor)))
    return found


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
