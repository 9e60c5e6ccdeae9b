"""What replies that agree or differ say about which answer is right.

A *view* is all that a policy can know of the answers it has seen: the groups of equal
answers, each with the experts who gave it. Invariant: `weights` are exact joint
probabilities under the distribution that `draws` samples from, so that the posterior of a
group is its weight divided by the sum, and the probability of the next view is the ratio of
two sums.

    A view of two replies that agree and one that differs (experts by number):

    >>> extend(extend(extend((), 0, None), 2, 0), 1, None)
    ((0, 2), (1,))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from corl_bench.experts.simulation.draws import answer_probabilities
from corl_bench.experts.simulation.tables import Cell, SimulatedExpert

Floats = NDArray[np.float64]
View = tuple[tuple[int, ...], ...]
"""Groups of equal answers; a group is the sorted numbers of the experts who gave it."""

_RIGHT, _TRAP, _OTHER = 0, 1, 2


def extend(view: View, expert: int, group: int | None) -> View:
    """The view after one more answer: into a group, or None: into a new one."""
    groups = list(view)
    if group is None:
        groups.append((expert,))
    else:
        groups[group] = tuple(sorted((*groups[group], expert)))
    return tuple(sorted(groups))


def children(view: View, expert: int) -> dict[View, int]:
    """The views that one more answer can lead to, and how many groups lead to each."""
    found: dict[View, int] = {}
    for group in (*range(len(view)), None):
        child = extend(view, expert, group)
        found[child] = found.get(child, 0) + 1
    return found


class Beliefs:
    """Weights of views for several cells at once; every array has one entry a cell."""

    def __init__(self, experts: Sequence[SimulatedExpert], cells: Sequence[Cell]) -> None:
        self.cells = tuple(cells)
        rows = [[answer_probabilities(expert, cell) for cell in cells] for expert in experts]
        table = np.asarray(rows, dtype=np.float64)
        self._share: Floats = np.moveaxis(table, 2, 1)  # expert, right | trap | other, cell
        self._consistency = [expert.consistency for expert in experts]
        self._others: Floats = np.asarray([cell.wrong_answers - 1 for cell in cells], np.float64)
        self._known: dict[View, Floats] = {}
        self._heard: dict[tuple[int, tuple[tuple[int, int], ...]], Floats] = {}

    def weights(self, view: View) -> Floats:
        """Joint probability of the groups and of each of them being right.

        This is the probability that given replies fall into given groups, in whatever order
        they come. Where several ways to divide the replies lead to one view (two replies of
        one expert, of which either may stand alone), it is the probability of each way.

        Returns:
            Array of shape (groups + 1, cells); the last row is *no group is right*. The
            column sums are the probability of the groups.
        """
        if view not in self._known:
            rows = np.zeros((len(view) + 1, len(self._others)))
            for right, labels in _worlds(len(view)):
                rows[right] += self._world(view, labels)
            self._known[view] = rows
        return self._known[view]

    def _world(self, view: View, labels: Sequence[int]) -> Floats:
        """Probability of the view if each group's answer is right, the trap or another."""
        weight = np.ones_like(self._others)
        for taken in range(sum(label == _OTHER for label in labels)):
            weight = weight * np.maximum(self._others - taken, 0)
        for expert in sorted({expert for group in view for expert in group}):
            given = zip(labels, (group.count(expert) for group in view), strict=True)
            said = expert, tuple((label, count) for label, count in given if count)
            # Views by the thousand come down to the same few replies of one expert.
            if said not in self._heard:
                self._heard[said] = self._replies(*said)
            weight = weight * self._heard[said]
        return weight

    def _replies(self, expert: int, given: Sequence[tuple[int, int]]) -> Floats:
        """Probability of one expert's answers, of each its label and how often it came.

        Sums over the fixed opinion, which may be one of these answers or an unseen one.
        """
        steady = self._consistency[expert]
        said = [(self._share[expert, label], count) for label, count in given]
        unseen = 1 - sum(share for share, _ in said)
        total = unseen * _product(((1 - steady) * share) ** count for share, count in said)
        for opinion in range(len(said)):
            total = total + said[opinion][0] * _product(
                ((1 - steady) * share + steady * (place == opinion)) ** count
                for place, (share, count) in enumerate(said)
            )
        return np.asarray(total)


def _product(factors: Iterator[Floats]) -> Floats:
    result: Floats = np.ones(1)
    for factor in factors:
        result = result * factor
    return result


def _worlds(groups: int) -> Iterator[tuple[int, list[int]]]:
    """(index of the right group or `groups` for none, label of each group), for all worlds."""
    for right in range(groups + 1):
        for trap in range(groups + 1):
            if trap == right and trap < groups:
                continue
            labels = [_OTHER] * groups
            if right < groups:
                labels[right] = _RIGHT
            if trap < groups:
                labels[trap] = _TRAP
            yield right, labels
