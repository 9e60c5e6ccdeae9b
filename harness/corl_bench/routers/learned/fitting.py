"""Fitting a router on examples: hyperparameters by cross-validation, then operating points.

Everything is chosen on the training split alone. The models that routing uses are fitted on all
of it; hyperparameters, the points' figures and a cascade's thresholds come from models that had
not seen the problem they predict. Of hyperparameters with equal error the smoother wins.

    fitted = fit("predictor", examples, statements=encoder)
    fitted.points[0].accuracy
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from corl_bench.extras import require
from corl_bench.metrics.arrays import Array
from corl_bench.routers.learned.chains import reply_vectors, search_chains, signs_of
from corl_bench.routers.learned.choosing import LAMBDAS, Point, point_at
from corl_bench.routers.learned.embedding import Embedding
from corl_bench.routers.learned.examples import FOLDS, Examples
from corl_bench.routers.learned.linear import (
    PENALTIES,
    STRENGTHS,
    Lines,
    Predictor,
    fit_chances,
    fit_costs,
    fit_predictor,
)
from corl_bench.routers.learned.neighbours import COUNTS, Neighbours
from corl_bench.routers.learned.tfidf import Tfidf

Kind = Literal["knn", "predictor", "cascade"]
KINDS: tuple[Kind, ...] = ("knn", "predictor", "cascade")
Encoder = Tfidf | Embedding
_ERROR_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter, and the cross-validated error of each candidate."""

    name: str
    value: float
    errors: Mapping[float, float]
    """Mean squared error: of chances, or of dollars over the expert's mean cost."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """All that routing needs, and what it came to in training."""

    kind: Kind
    experts: tuple[str, ...]
    """From cheap to dear by mean cost in training."""
    accuracy: Array
    """(experts,), in training."""
    cost_usd: Array
    """(experts,), mean in training."""
    statements: Encoder
    replies: Encoder | None
    """Of a cascade."""
    model: Neighbours | Predictor | Lines
    hyperparameters: tuple[Hyperparameter, ...]
    points: tuple[Point, ...]

    @property
    def unit_usd(self) -> float:
        """What λ is measured in: the dearest expert's mean cost in training."""
        return unit_of(self.cost_usd)


def unit_of(mean_cost_usd: Array) -> float:
    """The dearest expert's mean cost; 1 where none costs anything."""
    return float(mean_cost_usd.max()) or 1.0


def fit(
    kind: Kind,
    examples: Examples,
    *,
    statements: Encoder,
    replies: Encoder | None = None,
    trade_offs: Sequence[float] = LAMBDAS,
) -> Fitted:
    """Fits one router, on one thread.

    Sums in numpy's libraries then have one order on any number of cores, and tables of this size
    are not slowed by threads that wait for each other.

    Args:
        kind: which.
        examples: of the training split.
        statements: turns statements into vectors.
        replies: turns replies into vectors; a cascade needs it.
        trade_offs: each λ whose operating point is kept.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    threads = require("threadpoolctl", extra="learned", why="fitting a router")
    with threads.threadpool_limits(1):
        return _fit(kind, examples, statements, replies, trade_offs)


def _fit(
    kind: Kind,
    examples: Examples,
    statements: Encoder,
    replies: Encoder | None,
    trade_offs: Sequence[float],
) -> Fitted:
    correct, cost_usd = examples.correct, examples.cost_usd
    vectors = statements.encode(examples.statements)
    unit_usd = unit_of(cost_usd.mean(axis=0))
    model: Neighbours | Predictor | Lines
    if kind == "cascade":
        assert replies is not None
        model, hyperparameters, points = _fit_cascade(
            examples, vectors, replies, trade_offs, unit_usd
        )
    else:
        fitted = _fit_neighbours if kind == "knn" else _fit_predictor
        model, hyperparameters, predicted = fitted(examples, vectors)
        points = tuple(
            point_at(
                trade_off,
                predicted,
                (correct, cost_usd),
                unit_usd=unit_usd,
                experts=examples.experts,
            )
            for trade_off in trade_offs
        )
    return Fitted(
        kind=kind,
        experts=examples.experts,
        accuracy=correct.mean(axis=0),
        cost_usd=cost_usd.mean(axis=0),
        statements=statements,
        replies=replies if kind == "cascade" else None,
        model=model,
        hyperparameters=hyperparameters,
        points=points,
    )


_Estimated = tuple[Neighbours | Predictor, tuple[Hyperparameter, ...], tuple[Array, Array]]
_Mask = NDArray[np.bool_]


def _fit_neighbours(examples: Examples, vectors: Array) -> _Estimated:
    correct, cost_usd = examples.correct, examples.cost_usd

    def estimate(k: float) -> Array:
        def of_fold(known: _Mask) -> Array:
            model = Neighbours(vectors[known], correct[known], cost_usd[known], int(k))
            return np.stack(model.estimate(vectors[~known]), axis=-1)

        return _out_of_fold(examples.folds, of_fold)

    fewest = min(int(np.sum(examples.folds != fold)) for fold in range(FOLDS))
    candidates = [k for k in COUNTS if k <= fewest] or [fewest]
    estimates = {float(k): estimate(k) for k in candidates}
    choice = _chosen("k", {k: _error(made[..., 0], correct) for k, made in estimates.items()})
    made = estimates[choice.value]
    model = Neighbours(vectors, correct, cost_usd, int(choice.value))
    return model, (choice,), (made[..., 0], made[..., 1])


def _fit_predictor(examples: Examples, vectors: Array) -> _Estimated:
    correct, cost_usd = examples.correct, examples.cost_usd
    mean_usd = np.where(cost_usd.mean(axis=0) > 0, cost_usd.mean(axis=0), 1.0)
    tables = [vectors] * correct.shape[1]
    strength, _ = _choose_strength(examples, tables)

    def costs(penalty: float) -> Array:
        def of_fold(known: _Mask) -> Array:
            lines = fit_costs(vectors[known], cost_usd[known], penalty=penalty)
            return lines.values(vectors[~known])

        return _out_of_fold(examples.folds, of_fold)

    penalty = _chosen(
        "cost_penalty",
        {value: _error(costs(value) / mean_usd, cost_usd / mean_usd) for value in PENALTIES},
    )

    def of_fold(known: _Mask) -> Array:
        model = fit_predictor(
            vectors[known],
            correct[known],
            cost_usd[known],
            strength=strength.value,
            penalty=penalty.value,
        )
        return np.stack(model.estimate(vectors[~known]), axis=-1)

    made = _out_of_fold(examples.folds, of_fold)
    model = fit_predictor(
        vectors, correct, cost_usd, strength=strength.value, penalty=penalty.value
    )
    return model, (strength, penalty), (made[..., 0], made[..., 1])


def _fit_cascade(
    examples: Examples,
    statements: Array,
    replies: Encoder,
    trade_offs: Sequence[float],
    unit_usd: float,
) -> tuple[Lines, tuple[Hyperparameter, ...], tuple[Point, ...]]:
    tables = []
    for expert in range(len(examples.experts)):
        drawn = [row[expert] for row in examples.drawn]
        signs = [signs_of(reply.text, reply.finish, reply.has_answer) for reply in drawn]
        vectors = replies.encode([reply.text for reply in drawn])
        tables.append(reply_vectors(statements, vectors, signs))
    strength, scores = _choose_strength(examples, tables)
    points = search_chains(
        scores,
        examples.correct,
        examples.cost_usd,
        trade_offs=trade_offs,
        unit_usd=unit_usd,
        experts=examples.experts,
    )
    return fit_chances(tables, examples.correct, strength=strength.value), (strength,), points


def _choose_strength(examples: Examples, tables: list[Array]) -> tuple[Hyperparameter, Array]:
    """The best strength, and the cross-validated chances that it gives."""
    correct = examples.correct

    def chances(strength: float) -> Array:
        def of_fold(known: _Mask) -> Array:
            lines = fit_chances([t[known] for t in tables], correct[known], strength=strength)
            # Each expert is scored by a table of its own.
            made = [lines.chances(t[~known])[:, place] for place, t in enumerate(tables)]
            return np.stack(made, axis=1)

        return _out_of_fold(examples.folds, of_fold)

    made = {strength: chances(strength) for strength in STRENGTHS}
    choice = _chosen("strength", {value: _error(each, correct) for value, each in made.items()})
    return choice, made[choice.value]


def _out_of_fold(folds: NDArray[np.intp], predict: Callable[[_Mask], Array]) -> Array:
    """Predictions for every example by a model of the other folds.

    Args:
        folds: (examples,).
        predict: from a mask of the examples to learn from to predictions for the others.
    """
    made: Array | None = None
    for fold in range(FOLDS):
        predicted = predict(folds != fold)
        if made is None:
            made = np.empty((len(folds), *predicted.shape[1:]))
        made[folds == fold] = predicted
    assert made is not None
    return made


def _error(predicted: Array, actual: Array) -> float:
    return round(float(np.mean((predicted - actual) ** 2)), _ERROR_DECIMALS)


def _chosen(name: str, errors: Mapping[float, float]) -> Hyperparameter:
    """The candidate with the lowest error; `min` takes the first, the smoothest, of equals."""
    return Hyperparameter(name, min(errors, key=lambda value: errors[value]), errors)
