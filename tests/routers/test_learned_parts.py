"""The parts of learned routers, held against scikit-learn, brute force and shuffled rows."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.recording_files import import_files
from corl_bench.experts.store import RecordingStore
from corl_bench.routers.learned.chains import play_chain, search_chains
from corl_bench.routers.learned.choosing import Point, choose, point_at, point_within
from corl_bench.routers.learned.examples import FOLDS
from corl_bench.routers.learned.fitting import Kind, fit
from corl_bench.routers.learned.linear import Lines, fit_chances, fit_costs
from corl_bench.routers.learned.neighbours import Neighbours
from corl_bench.routers.learned.tfidf import fit_tfidf, terms
from routers.learnable import examples_in, make_store, statement

STATEMENTS = [statement(number) for number in range(30)]


def test_tfidf_is_that_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    library = text.TfidfVectorizer(analyzer=lambda t: list(terms(t)), min_df=2, sublinear_tf=True)
    table = library.fit_transform(STATEMENTS).toarray()
    ours = fit_tfidf(STATEMENTS)
    assert list(ours.terms) == list(library.get_feature_names_out())
    unseen = ["Add 7 and 7 and 7", "nothing of this", ""]
    assert np.allclose(ours.encode(STATEMENTS), table, atol=1e-12)
    assert np.allclose(ours.encode(unseen), library.transform(unseen).toarray(), atol=1e-12)


def test_texts_without_a_common_term_are_refused() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ConfigError, match="TF-IDF"):
        fit_tfidf(["one", "two", "three"])


def test_neighbours_are_those_of_scikit_learn_where_none_tie() -> None:
    neighbours = pytest.importorskip("sklearn.neighbors")
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(50, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    values = draw.random((50, 3))
    asked = vectors[:5] + 0.1
    library = neighbours.KNeighborsRegressor(7, metric="cosine").fit(vectors, values)
    ours, costs = Neighbours(vectors, values, 2 * values, 7).estimate(asked)
    assert np.allclose(ours, library.predict(asked))
    assert np.allclose(costs, 2 * ours)


def test_all_neighbours_at_the_last_distance_count_in_any_order() -> None:
    # Four alike, one apart: with k = 2 none of the four may be preferred to another.
    vectors = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]])
    correct = np.array([[1.0], [0.0], [0.0], [0.0], [1.0]])
    for order in ([0, 1, 2, 3, 4], [3, 4, 2, 1, 0]):
        model = Neighbours(vectors[order], correct[order], correct[order], 2)
        assert model.estimate(np.array([[1.0, 0.0]]))[0] == pytest.approx(0.25)


def test_a_tie_goes_to_the_cheaper_prediction_then_to_the_cheaper_expert() -> None:
    accuracy = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5 + 1e-15, 0.4]])
    cost = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert choose(accuracy, cost, price=0.0).tolist() == [1, 0, 0]
    # The price decides where it is dear enough.
    assert choose(np.array([[0.5, 0.9]]), np.array([[1.0, 10.0]]), price=0.1).tolist() == [0]


def test_a_point_says_what_was_called_and_what_came_of_it() -> None:
    predicted = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[1.0, 2.0], [1.0, 2.0]])
    actual = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.5, 9.0], [9.0, 2.5]])
    point = point_at(0.0, predicted, actual, unit_usd=2.0, experts=["a", "b"])
    assert (point.accuracy, point.cost_usd) == (0.5, 2.0)
    assert point.calls == {"a": 0.5, "b": 0.5}


def test_a_budget_takes_the_most_accurate_point_within_it() -> None:
    points = [Point(0, 0.9, 3.0, {}), Point(1, 0.8, 2.0, {}), Point(2, 0.8, 1.0, {})]
    chosen = [point_within(points, Decimal(usd)).trade_off for usd in ("3", "2.5", "1", "0.5")]
    assert chosen == [0, 2, 2, 2]
    assert point_within(points, None).trade_off == 0


def test_an_expert_that_is_always_right_has_a_constant_chance() -> None:
    pytest.importorskip("sklearn")
    vectors = np.eye(6)
    correct = np.array([[1.0, 1.0, 0.0]] * 3 + [[1.0, 0.0, 0.0]] * 3)
    chances = fit_chances([vectors] * 3, correct, strength=1.0).chances(vectors)
    assert chances[:, 0] == pytest.approx(7 / 8)
    assert chances[:, 2] == pytest.approx(1 / 8)
    assert (chances[:3, 1] > chances[3:, 1]).all()


def test_chances_and_costs_are_what_scikit_learn_predicts() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(40, 5))
    correct = (vectors[:, :2] + draw.normal(size=(40, 2)) > 0).astype(float)
    cost = 1e-4 * (3 + vectors[:, 2:4])
    chances = fit_chances([vectors] * 2, correct, strength=1.0).chances(vectors)
    for expert in range(2):
        model = linear.LogisticRegression(C=1.0, tol=1e-8, max_iter=1000)
        library = model.fit(vectors, correct[:, expert]).predict_proba(vectors)[:, 1]
        assert np.allclose(chances[:, expert], library, atol=1e-4)
    costs = fit_costs(vectors, cost, penalty=1.0).values(vectors)
    assert np.allclose(costs, linear.Ridge(alpha=1.0).fit(vectors, cost).predict(vectors))


def brute_force(
    chain: tuple[int, ...], thresholds: tuple[float, ...], *tables: np.ndarray
) -> tuple[float, float]:
    scores, correct, cost = tables
    rights, spents = [], []
    for row in range(len(scores)):
        spent = 0.0
        for place, expert in enumerate(chain):
            spent += cost[row, expert]
            if place == len(thresholds) or scores[row, expert] >= thresholds[place]:
                rights.append(correct[row, expert])
                break
        spents.append(spent)
    return float(np.mean(rights)), float(np.mean(spents))


def test_a_chain_is_played_as_it_would_be_called() -> None:
    draw = np.random.default_rng(2)
    tables = draw.random((25, 3)), (draw.random((25, 3)) < 0.5).astype(float), draw.random((25, 3))
    for chain in ((1,), (0, 2), (0, 1, 2)):
        played = play_chain(chain, *tables)
        assert len(played.thresholds) == 9 ** (len(chain) - 1)
        for place, thresholds in enumerate(played.thresholds):
            expected = brute_force(chain, thresholds, *tables)
            assert (played.accuracy[place], played.cost_usd[place]) == pytest.approx(expected)


def test_the_best_chain_of_all_is_found() -> None:
    draw = np.random.default_rng(3)
    cost = np.sort(draw.random((30, 3)), axis=1)
    tables = draw.random((30, 3)), (draw.random((30, 3)) < 0.5).astype(float), cost
    chains = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    unit = float(cost.mean(axis=0).max())
    points = search_chains(*tables, trade_offs=(0.0, 0.5), unit_usd=unit, experts=["a", "b", "c"])
    for point in points:
        values = [
            accuracy - point.trade_off / unit * spent
            for chain in chains
            for thresholds in play_chain(chain, *tables).thresholds
            for accuracy, spent in [brute_force(chain, thresholds, *tables)]
        ]
        found = point.accuracy - point.trade_off / unit * point.cost_usd
        assert found == pytest.approx(max(values))
        assert point.calls[point.chain[0]] == 1.0


def test_of_equal_chains_the_shorter_and_cheaper_is_taken() -> None:
    same = np.ones((10, 2))
    scores = np.linspace(0, 1, 10)[:, None].repeat(2, axis=1)
    (point,) = search_chains(scores, same, same, trade_offs=(0.0,), unit_usd=1, experts=["a", "b"])
    assert point.chain == ("a",)


def test_examples_stand_in_an_order_of_their_own(tmp_path: Path) -> None:
    make_store(tmp_path / "a")
    make_store(tmp_path / "b", order=1)
    first, second = examples_in(tmp_path / "a"), examples_in(tmp_path / "b")
    assert first.statements == second.statements
    assert (first.digest, first.experts) == (second.digest, ("small", "large"))
    assert np.array_equal(first.correct, second.correct)
    assert sorted(np.bincount(first.folds)) == [8] * FOLDS


def test_draws_of_one_problem_are_examples_in_one_fold(tmp_path: Path) -> None:
    make_store(tmp_path)
    rows = (tmp_path / "answers.jsonl").read_text().splitlines()
    again = [row.replace('"problem_id"', '"sample": 1, "problem_id"') for row in rows]
    (tmp_path / "again.jsonl").write_text("\n".join(again))
    with RecordingStore.open(tmp_path / "store.sqlite") as store:
        import_files(store, [tmp_path / "again.jsonl"], problems=[tmp_path / "problems.jsonl"])
    examples = examples_in(tmp_path)
    assert (examples.problems, len(examples.statements)) == (40, 80)
    folds = dict(zip(examples.statements, examples.folds, strict=True))
    assert all(
        folds[s] == fold for s, fold in zip(examples.statements, examples.folds, strict=True)
    )


@pytest.mark.parametrize("kind", ["knn", "predictor"])
def test_what_can_be_learned_is(tmp_path: Path, kind: Kind) -> None:
    pytest.importorskip("sklearn")
    make_store(tmp_path)
    examples, unseen = examples_in(tmp_path), examples_in(tmp_path, split="test")
    fitted = fit(kind, examples, statements=fit_tfidf(examples.statements))
    assert not isinstance(fitted.model, Lines)
    accuracy, cost = fitted.model.estimate(fitted.statements.encode(unseen.statements))
    chosen = choose(accuracy, cost, price=0.1 / fitted.unit_usd)
    is_sum = np.array([text.startswith("Add") for text in unseen.statements])
    assert np.array_equal(chosen == 0, is_sum)


def test_every_product_of_thresholds_stands_in_the_order_of_its_figures() -> None:
    scores = np.linspace(0, 1, 11)[:, None].repeat(3, axis=1)
    played = play_chain((0, 1, 2), scores, scores, scores)
    assert played.thresholds == tuple(product(*[tuple(np.linspace(0.1, 0.9, 9).round(6))] * 2))
