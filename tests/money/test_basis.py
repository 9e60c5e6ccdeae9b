from __future__ import annotations

import itertools

import pytest

from corl_bench.money.basis import BASIS_WORDS, COST_BASES, is_known, read_basis, weakest


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_sum_is_as_sure_as_the_least_sure_of_its_parts(length: int) -> None:
    for bases in itertools.product(COST_BASES, repeat=length):
        assert weakest(bases) == max(bases, key=COST_BASES.index)
    assert weakest([]) == "metered"


def test_nobody_is_ranked_by_what_nobody_has_checked() -> None:
    assert [basis for basis in COST_BASES if is_known(basis)] == ["metered", "stated"]
    assert set(BASIS_WORDS) == set(COST_BASES)


@pytest.mark.parametrize("text", ["", "Metered", None, 1, ["metered"]])
def test_anything_else_is_no_basis(text: object) -> None:
    with pytest.raises(ValueError, match="is no basis of a cost"):
        read_basis(text)
