"""Which charts a training run's figures make: by budget, by expert, and of the update.

by_budget(lines, {"low": Decimal("0.0006")})[0].title      # 'Reward'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import rough_percent
from corl_train.report.chart import Panel, Series

HUES = 8
Line = Mapping[str, Any]
"""One iteration; see `runs.files.MetricsLine`."""
Read = Callable[[Mapping[str, Any]], float]
"""A figure of a budget's score."""

_UPDATE: Mapping[str, tuple[str, str]] = {
    "zero_groups": (
        "Groups without a reward",
        "Share of groups whose every reward is zero",
    ),
    "kl": ("KL to the reference", "Nats a token, over the controller's own tokens"),
    "entropy": ("Entropy", "Nats a token"),
    "value_error": (
        "Value error",
        "1 − explained variance; at 1 the critic explains nothing",
    ),
    "clipped": ("Clipped tokens", "Share of tokens whose probability ratio left the clip"),
    "grad_norm": ("Gradient norm", "Before it is clipped"),
    "policy_loss": ("Policy loss", "Mean over the update's minibatches"),
    "value_loss": ("Value loss", "Mean over the update's minibatches"),
    "learning_rate": ("Learning rate", "In force in the iteration"),
    "kl_weight": ("KL weight", "In force in the iteration"),
    "tokens_per_s": ("Tokens per second", "Tokens of the rollouts, per second of the iteration"),
    "gpu_busy": ("GPU in use", "Share of the driver's last sampling period in which a kernel ran"),
    "gpu_memory_gib": ("GPU memory", "GiB, the most that was ever allocated"),
}
"""Title and meaning of the figures that an update leaves, in the order of their charts; others
follow under their own names."""
_SHARES = ("zero_groups", "clipped", "gpu_busy")
_NOT_DRAWN = frozenset({"iteration", "cpu_s"})


def usd(cost_usd: float) -> str:
    """A mean cost for the eye; it comes from a file as a float."""
    return display_usd(Decimal(str(cost_usd)))


def total_calls(score: Mapping[str, Any], own: Sequence[str]) -> float:
    """Calls to experts an episode, the controller's own attempts aside."""
    return math.fsum(number for name, number in score["calls"].items() if name not in own)


def calls_to(name: str) -> Read:
    """Reads calls to one expert an episode."""
    return lambda score: float(score["calls"].get(name, 0.0))


def by_budget(
    lines: Sequence[Line],
    budgets_usd: Mapping[str, Decimal],
    own: Sequence[str],
    *,
    reward: str = "gate",
) -> list[Panel]:
    """What each budget's episodes came to.

    Args:
        lines: of the run.
        budgets_usd: as far as they are known.
        own: names under which the controller's own attempts are counted.
        reward: what training counts; validation always counts the gate.
    """
    about = "Mean of an episode"
    if reward != "gate":
        about += f": lines in the recipe's {reward} reward, marks of validations in the gate's"
    amounts = [
        (name, float(budgets_usd[name])) for name in budgets_of(lines) if name in budgets_usd
    ]
    panels = [
        Panel("Reward", about, _series(lines, "reward"), _three, _plain),
        Panel(
            "Accuracy", "Share of right answers", _series(lines, "accuracy"),
            rough_percent, _percent, ceiling=1,
        ),
        Panel(
            "Mean cost", "List cost of an episode, log scale; dotted: the budgets",
            _series(lines, "mean_cost_usd"), usd, _plain, is_dollars=True, budgets=amounts,
        ),
        Panel(
            "Over the budget", "Share of episodes that cost more than their budget",
            _series(lines, "violation_rate"), rough_percent, _percent, ceiling=1,
        ),
        Panel(
            "Call ratio", "Calls to experts an episode, own attempts aside",
            _series(lines, lambda score: total_calls(score, own)), _two, _plain,
        ),
        Panel(
            "Unreadable turns", "An episode: neither a call nor an answer",
            _series(lines, "invalid"), _two, _plain,
        ),
    ]  # fmt: skip
    return [panel for panel in panels if panel.series]


def by_expert(lines: Sequence[Line], own: Sequence[str]) -> list[Panel]:
    """Whom the controller calls, a panel for each budget."""
    names = experts_of(lines)
    ours = [name for name in names if name in own]
    about = "Calls an episode, by expert"
    if ours:
        about += f"; {' and '.join(ours)}: its own attempt"
    panels = []
    for budget in budgets_of(lines):
        series = _with_points(
            Series(
                name,
                index % HUES,
                _points(lines, "train", budget, calls_to(name)),
                _points(lines, "validation", budget, calls_to(name)),
            )
            for index, name in enumerate(names)
        )
        if series:
            panels.append(Panel(f"Budget {budget}", about, series, _two, _plain))
    return panels


def of_update(lines: Sequence[Line]) -> list[Panel]:
    """The figures of the update, each a panel of its own; those that no line has are left out."""
    panels = []
    for name in update_names(lines):
        title, about = _UPDATE.get(name, (name, "As the trainer has noted it"))
        points = [
            (line["iteration"], value)
            for line in lines
            if (value := number(line, name)) is not None
        ]
        said, label, ceiling = (
            (rough_percent, _percent, 1.0) if name in _SHARES else (digits, _plain, math.inf)
        )
        panels.append(Panel(title, about, [Series("", 0, points)], said, label, ceiling))
    return panels


def update_names(lines: Sequence[Line]) -> list[str]:
    """Figures of the update that at least one line has as a finite number."""
    names = list(dict.fromkeys([*_UPDATE, *(name for line in lines for name in line)]))
    return [
        name
        for name in names
        if name not in _NOT_DRAWN and any(number(line, name) is not None for line in lines)
    ]


def number(line: Mapping[str, Any], name: str) -> float | None:
    """A figure of a line; None where it has none, or none that is finite."""
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def budgets_of(lines: Sequence[Line]) -> list[str]:
    """Names of the budgets in the order in which they were scored."""
    return list(dict.fromkeys(score["budget"] for score in _scores(lines)))


def experts_of(lines: Sequence[Line]) -> list[str]:
    """Names of the experts whose calls were counted, in the order of the pool."""
    return list(dict.fromkeys(name for score in _scores(lines) for name in score["calls"]))


def _scores(lines: Sequence[Line]) -> Iterator[Mapping[str, Any]]:
    """Of training and of validation: a run without iterations has a validation alone."""
    for line in lines:
        yield from line["train"]
        yield from line.get("validation", ())


def _series(lines: Sequence[Line], what: str | Read) -> list[Series]:
    read: Read = (lambda score: float(score[what])) if isinstance(what, str) else what
    return _with_points(
        Series(
            budget,
            index % HUES,
            _points(lines, "train", budget, read),
            _points(lines, "validation", budget, read),
        )
        for index, budget in enumerate(budgets_of(lines))
    )


def _with_points(series: Iterable[Series]) -> list[Series]:
    return [one for one in series if one.points or one.marks]


def _two(figure: float) -> str:
    return f"{figure:.2f}"


def _three(figure: float) -> str:
    return f"{figure:.3f}"


def digits(figure: float) -> str:
    """A figure of the update with the digits that matter."""
    return f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"


def _plain(step: float) -> str:
    return f"{step:,.0f}" if abs(step) >= 1000 else f"{step:g}"


def _percent(step: float) -> str:
    return f"{100 * step:g}%"


def _points(lines: Sequence[Line], part: str, budget: str, read: Read) -> list[tuple[float, float]]:
    return [
        (line["iteration"], figure)
        for line in lines
        for score in line.get(part, ())
        if score["budget"] == budget and math.isfinite(figure := read(score))
    ]
