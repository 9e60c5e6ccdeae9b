"""How experts' answers hang together: problems are hard or easy, and some wrong answers are traps.

An item-response model. A problem's difficulty z is standard normal and known to nobody; expert j
is right with probability σ(b_j + a_j z), independently given z. One that is not right gives no
answer, walks into one of two traps, wrong answers that the experts of a problem have in common,
or says what nobody else says. So an agreement tells of the answer, of the problem, and of every
other expert, and two that agree against six are believed less than two of two. A handful of
figures an expert is all that is learned from some hundred problems.

    jury = fit_jury(sightings)
    jury.tables(states)          # of each state: how probable it is, together with who is right

Source: the two-parameter logistic model, A. Birnbaum, in Lord and Novick, "Statistical Theories
of Mental Test Scores", 1968; traps are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

UNASKED, SILENT, FIRST_GROUP = 0, 1, 2
"""Codes of an expert in a state: not asked, without an answer, and from 2 on its group."""

State = tuple[int, ...]
"""The code of each expert; groups are numbered by first appearance."""

_TRAPS = 2
_NODES = 9
"""Of the quadrature over difficulty; more change no figure that is used."""
_STEPS = 150
_CHUNK = 20_000
"""States that are worked out at once."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of one problem."""

    state: State
    right: int
    """Number of the group that is right, from 0; -1 where none is."""
    costs_usd: tuple[float, ...]
    """Of each expert's call; NaN where it was not asked."""
    problem: str = ""
    """Its id; empty where it was drawn."""
    answers: tuple[str | None, ...] = ()
    """Of each expert, as a controller reads it; none where the problem was drawn."""

    @property
    def is_whole(self) -> bool:
        """Whether every expert was asked."""
        return UNASKED not in self.state


class Jury(nn.Module):
    """The model; `fit_jury` makes one."""

    def __init__(self, experts: int) -> None:
        super().__init__()

        def figures(shape: tuple[int, ...], value: float) -> nn.Parameter:
            return nn.Parameter(torch.full(shape, value, dtype=torch.float64))

        self.ability = figures((experts,), 0.0)
        self.log_slope = figures((experts,), math.log(2))
        self.mean_ability = figures((), 0.0)
        self.mean_log_slope = figures((), math.log(2))
        self.silence = figures((experts,), -3.0)
        self.trap = nn.Parameter(-1.0 - torch.arange(_TRAPS, dtype=torch.float64))
        self.trap_slope = figures((), 0.0)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        self.nodes, self.weights = torch.tensor(nodes), torch.tensor(weights / weights.sum())

    def penalty(self) -> Tensor:
        """Minus the logarithm of the prior: experts are alike until they show otherwise."""
        return (
            ((self.ability - self.mean_ability) ** 2).sum() / 2
            + ((self.log_slope - self.mean_log_slope) ** 2).sum() / (2 * 0.3**2)
            + ((self.silence + 3) ** 2).sum() / (2 * 1.5**2)
            + 2 * self.trap_slope**2
        )

    def of(self, places: Sequence[int]) -> Jury:
        """The jury of some of its experts."""
        some, chosen = Jury(len(places)), torch.tensor(places)
        figures = self.state_dict()
        own = ("ability", "log_slope", "silence")
        some.load_state_dict({**figures, **{name: figures[name][chosen] for name in own}})
        return some

    def joint(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Of each state: the probability of seeing it, together with which group is right.

        Args:
            states: (n, experts), codes.

        Returns:
            (n, groups) for each group, and (n,) for none of them; all of it sums to the
            probability of the state.
        """
        right, silent, traps, alone = self.chances(self.nodes)
        one = torch.ones((), dtype=torch.float64)

        def together(member: Tensor, chances: Tensor) -> Tensor:
            return torch.where(member[:, :, None], chances[None], one).prod(dim=1)

        groups = int(states.max()) - FIRST_GROUP + 1
        begin = together(states == SILENT, silent)
        ways: list[tuple[Tensor, list[Tensor], Tensor]] = []
        for group in range(groups):
            member = states == group + FIRST_GROUP
            is_there = member.any(dim=1)[:, None].double()
            ways.append(
                (
                    together(member, right) * is_there,
                    [together(member, trap) * is_there for trap in traps],
                    together(member, alone) * (member.sum(dim=1) <= 1)[:, None],
                )
            )
        unused = {(False,) * (1 + _TRAPS): begin}
        for way in ways:
            unused = _placed(unused, way)
        none = sum((p for used, p in unused.items() if not used[0]), torch.zeros_like(begin))
        each = []
        for group in range(groups):
            found = {(True,) + (False,) * _TRAPS: begin * ways[group][0]}
            for other, way in enumerate(ways):
                if other != group:
                    found = _placed(found, way)
            each.append(sum(found.values(), torch.zeros_like(begin)) @ self.weights)
        if not each:
            return begin.new_zeros(len(states), 0), none @ self.weights
        return torch.stack(each, dim=1), none @ self.weights

    @torch.no_grad()
    def tables(self, states: Sequence[State]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Of each state: its probability (n,), and with each group being right (n, experts)."""
        codes = torch.tensor(states)
        whole = np.zeros(len(states))
        each = np.zeros((len(states), codes.shape[1]))
        for start in range(0, len(states), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            by_group, none = self.joint(codes[chunk])
            each[chunk, : by_group.shape[1]] = by_group.numpy()
            whole[chunk] = (by_group.sum(dim=1) + none).numpy()
        return whole, each

    def chances(self, difficulties: Tensor) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        """How each expert answers at some difficulties; the larger, the easier.

        Args:
            difficulties: (n,), standard normal.

        Returns:
            (experts, n) each: right, silent, in each of the traps, and alone.
        """
        slopes = self.log_slope.exp()[:, None]
        right = torch.sigmoid(self.ability[:, None] + slopes * difficulties)
        silent = torch.sigmoid(self.silence)[:, None]
        leanings = self.trap[:, None] + self.trap_slope * difficulties
        shares = torch.cat([leanings, torch.zeros_like(leanings[:1])]).softmax(dim=0)
        said = (1 - right) * (1 - silent)
        return (
            right,
            (1 - right) * silent,
            [said * share for share in shares[:-1]],
            said * shares[-1],
        )


def fit_jury(sightings: Sequence[Sighting]) -> Jury:
    """The likeliest model of what was seen, penalised; the same to the last bit each time.

    Args:
        sightings: of training problems, with who was right.
    """
    states = torch.tensor([sighting.state for sighting in sightings])
    jury = Jury(states.shape[1])
    rights = torch.tensor([sighting.right for sighting in sightings])
    optimiser = torch.optim.LBFGS(
        jury.parameters(), max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        by_group, none = jury.joint(states)
        each = torch.cat([by_group, none[:, None]], dim=1)
        places = torch.where(rights < 0, each.shape[1] - 1, rights)
        seen = each.gather(1, places[:, None]).clamp_min(1e-300).log().sum()
        total: Tensor = jury.penalty() - seen
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]  # torch's own stub lacks its types
    return jury


def _placed(
    found: dict[tuple[bool, ...], Tensor], way: tuple[Tensor, list[Tensor], Tensor]
) -> dict[tuple[bool, ...], Tensor]:
    """One more group: the right one, one of the traps, or somebody alone; each of them once."""
    right, traps, alone = way
    after: dict[tuple[bool, ...], Tensor] = {}
    for (used, chance), place in product(found.items(), range(-1, 1 + _TRAPS)):
        if place >= 0 and used[place]:
            continue
        step = alone if place < 0 else (right, *traps)[place]
        now = used if place < 0 else (*used[:place], True, *used[place + 1 :])
        after[now] = after[now] + chance * step if now in after else chance * step
    return after
