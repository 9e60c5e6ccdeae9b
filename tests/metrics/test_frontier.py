from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from corl_bench.metrics.frontier import non_dominated

points = st.lists(
    st.tuples(st.integers(0, 6).map(Decimal), st.integers(0, 6).map(lambda n: n / 6)), max_size=12
)


@given(points)
def test_it_keeps_exactly_what_nothing_dominates(points: list[tuple[Decimal, float]]) -> None:
    def dominated(index: int) -> bool:
        cost, accuracy = points[index]
        return any(
            other[0] <= cost and other[1] >= accuracy and other != (cost, accuracy)
            for other in points
        )

    kept = non_dominated(points)
    assert set(kept) == {index for index in range(len(points)) if not dominated(index)}
    assert [points[index] for index in kept] == sorted(points[index] for index in kept)


def test_equal_points_stay_together_in_their_order() -> None:
    same = (Decimal("0.1"), 0.5)
    assert non_dominated([same, (Decimal("0.2"), 0.5), same]) == (0, 2)
