from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.metrics.latency import quantile


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=50), share=st.sampled_from([0.5, 0.95])
)
def test_quantiles_agree_with_numpy(values: list[float], share: float) -> None:
    expected = float(numpy.quantile(values, share))
    assert quantile(sorted(values), share) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_no_values_have_no_latency() -> None:
    assert quantile([], 0.95) == 0
