"""The axes of a chart over iterations: figures upwards on round steps, dollars by decades.

axis = linear_axis([0.14, 0.72], 190, 20)      # from the floor of the plot to its ceiling
axis.at(0.5), [tick.label for tick in axis.ticks]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corl_bench.report.axes import Tick, round_dollars

MOST_STEPS = 5
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_LEAST_DECADES = 0.6


@dataclass(frozen=True, slots=True)
class Axis:
    """Where figures stand in the units of the SVG's view box."""

    at: Callable[[float], float]
    ticks: tuple[Tick, ...]


def linear_axis(
    figures: Sequence[float],
    start: float,
    end: float,
    *,
    label: Callable[[float], str] = "{:g}".format,
    ceiling: float = math.inf,
) -> Axis:
    """An axis that holds zero and all figures, from one round step to another.

    Args:
        figures: finite ones.
        start: where its lower end stands.
        end: where its upper end stands.
        label: a step in words.
        ceiling: it goes no further, as shares end at 1.
    """
    low, high = min([0.0, *figures]), max([0.0, *figures])
    if low == high:
        high = low + 1.0
    step = _round_step((high - low) / MOST_STEPS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    bottom, top = first * step, min(last * step, ceiling)

    def at(figure: float) -> float:
        return round(start + (figure - bottom) / (top - bottom) * (end - start), 2)

    steps = [round(index * step, 12) for index in range(first, last + 1)]
    return Axis(at, tuple(Tick(at(figure), label(figure)) for figure in steps if figure <= top))


def dollar_axis(costs_usd: Sequence[float], start: float, end: float) -> Axis:
    """A log axis in dollars; what costs nothing stands at its lower end."""
    priced = [math.log10(cost) for cost in costs_usd if cost > 0] or [-3.0]
    low, high = min(priced), max(priced)
    missing = max(0.0, _LEAST_DECADES - (high - low)) / 2
    low, high = low - missing - 0.05, high + missing + 0.05

    def at(cost_usd: float) -> float:
        place = math.log10(cost_usd) if cost_usd > 0 else low
        return round(start + (place - low) / (high - low) * (end - start), 2)

    is_wide = high - low >= 2
    ticks = [
        Tick(at(float(cost)), f"${cost.normalize():f}")
        for step, cost in round_dollars(low, high)
        if step == 1 or not is_wide
    ]
    return Axis(at, tuple(ticks))


def iteration_axis(last: int, start: float, end: float) -> Axis:
    """From iteration 0, which is before the first update, to the last one."""
    step = max(1, int(_round_step(max(1, last) / MOST_STEPS)))

    def at(iteration: float) -> float:
        return round(start + iteration / max(1, last) * (end - start), 2)

    return Axis(at, tuple(Tick(at(i), f"{i:,}") for i in range(0, last + 1, step)))


def _round_step(least: float) -> float:
    """The smallest round number that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in _ROUND if factor * power >= least * (1 - 1e-9))
