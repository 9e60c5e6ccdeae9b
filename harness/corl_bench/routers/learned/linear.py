"""Linear models on scikit-learn: who will be right (logistic) and what it will cost (ridge).

scikit-learn fits them; what is kept are coefficients, and predicting is one product. Where an
expert was right every time, or never, its chance is a constant: (right + 1) / (examples + 2).

    coefficients = fit_chances(vectors, correct, strength=1.0)
    coefficients.chances(encoder.encode([statement]))       # (1, experts)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corl_bench.extras import require
from corl_bench.metrics.arrays import Array

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Candidates for the inverse weight of the penalty on coefficients, the smoothest first."""
PENALTIES = (100.0, 10.0, 1.0, 0.1)
"""Candidates for the weight of the penalty of the costs' ridge, the smoothest first."""
_MOST_STEPS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """One linear function for each expert."""

    slopes: Array
    """(experts, width)"""
    offsets: Array
    """(experts,)"""

    def values(self, vectors: Array) -> Array:
        """(rows, experts) of vectors (rows, width)."""
        return vectors @ self.slopes.T + self.offsets

    def chances(self, vectors: Array) -> Array:
        """The logistic of the values."""
        # tanh does not overflow; this is 1 / (1 + exp(-value)).
        return 0.5 * (1 + np.tanh(0.5 * self.values(vectors)))


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Chances and costs of every expert from a statement alone."""

    chance: Lines
    cost: Lines
    """In dollars."""
    least_usd: Array
    """(experts,), the lowest cost seen; no prediction is lower."""
    most_usd: Array

    def estimate(self, vectors: Array) -> tuple[Array, Array]:
        """Accuracies and dollars, (problems, experts) each."""
        cost_usd = np.clip(self.cost.values(vectors), self.least_usd, self.most_usd)
        return self.chance.chances(vectors), cost_usd


def fit_predictor(
    vectors: Array, correct: Array, cost_usd: Array, *, strength: float, penalty: float
) -> Predictor:
    """Fits chances and costs; see `fit_chances` and `fit_costs`."""
    return Predictor(
        fit_chances([vectors] * correct.shape[1], correct, strength=strength),
        fit_costs(vectors, cost_usd, penalty=penalty),
        cost_usd.min(axis=0),
        cost_usd.max(axis=0),
    )


def fit_chances(vectors: list[Array], correct: Array, *, strength: float) -> Lines:
    """A logistic regression for each expert.

    Args:
        vectors: for each expert (examples, width); what it is judged by may be its own reply.
        correct: (examples, experts), 0 or 1.
        strength: inverse weight of the squared coefficients.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    library = require("sklearn.linear_model", extra="learned", why="fitting a router")
    slopes, offsets = [], []
    for table, right in zip(vectors, correct.T, strict=True):
        if right.min() == right.max():
            share = (right.sum() + 1) / (len(right) + 2)
            slopes.append(np.zeros(table.shape[1]))
            offsets.append(float(np.log(share / (1 - share))))
            continue
        model = library.LogisticRegression(C=strength, max_iter=_MOST_STEPS, tol=1e-6)
        model.fit(table, right)
        slopes.append(model.coef_[0])
        offsets.append(float(model.intercept_[0]))
    return Lines(np.array(slopes), np.array(offsets))


def fit_costs(vectors: Array, cost_usd: Array, *, penalty: float) -> Lines:
    """A ridge regression of dollars for each expert.

    Costs are put in units of each expert's mean while they are fitted, so that one penalty suits
    all.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    library = require("sklearn.linear_model", extra="learned", why="fitting a router")
    mean = cost_usd.mean(axis=0)
    unit = np.where(mean > 0, mean, 1.0)
    model = library.Ridge(alpha=penalty, solver="cholesky").fit(vectors, cost_usd / unit)
    slopes = np.asarray(model.coef_).reshape(cost_usd.shape[1], -1)
    return Lines(slopes * unit[:, None], np.asarray(model.intercept_).reshape(-1) * unit)
