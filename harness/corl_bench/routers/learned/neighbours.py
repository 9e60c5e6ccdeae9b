"""k nearest neighbours: what the experts did on the statements that are most alike.

All examples that are as near as the k-th count, so which of several equals comes first in a
table decides nothing. Similarities are cosines, equal where nine decimals are.

    model = Neighbours(vectors, correct, cost_usd, k=20)
    accuracy, cost_usd = model.estimate(encoder.encode([statement]))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corl_bench.metrics.arrays import Array

COUNTS = (160, 80, 40, 20, 10, 5)
"""Candidates for k, the smoothest first: it wins a tie."""
_DECIMALS = 9
"""Sums in another order (another machine, another library) agree to more than these."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The examples themselves."""

    vectors: Array
    """(examples, width), each of length 1 or 0."""
    correct: Array
    """(examples, experts)"""
    cost_usd: Array
    """(examples, experts)"""
    k: int

    def estimate(self, vectors: Array) -> tuple[Array, Array]:
        """Mean accuracy and dollars of the neighbours.

        Args:
            vectors: (problems, width).

        Returns:
            Two tables, (problems, experts).
        """
        near = self._is_near(np.round(vectors @ self.vectors.T, _DECIMALS))
        weights = near / near.sum(axis=1, keepdims=True)
        return weights @ self.correct, weights @ self.cost_usd

    def _is_near(self, similarity: Array) -> Array:
        """(problems, examples), 1 for neighbours: at least k where there are as many."""
        k = min(self.k, similarity.shape[1])
        kth = np.partition(similarity, -k, axis=1)[:, -k]
        return (similarity >= kth[:, None]).astype(float)
