"""What documents must look like: which fit, and the words for one that does not."""

from typing import Any

import pytest

from corl_bench.shapes import AMOUNT, Shape, find_fault

ROW = Shape(
    {
        "id": str,
        "count?": int,
        "costs": {str: AMOUNT},
        "parts": [{"score": (float, None)}],
        "extra": ({"seen": bool}, None),
    }
)
FITTING: dict[str, Any] = {
    "id": "a",
    "costs": {"one": "0.5", "two": "-12"},
    "parts": [{"score": 1}, {"score": None}, {"score": 0.5, "unknown": []}],
    "extra": {"seen": True},
    "unknown": 1,
}


@pytest.mark.parametrize(
    "change", [{}, {"count": 2}, {"parts": []}, {"costs": {}}, {"extra": None}]
)
def test_what_fits_has_no_fault(change: dict[str, Any]) -> None:
    assert ROW.find_fault(FITTING | change) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": 1}, "id is 1 and should be a text"),
        ({"count": True}, "count is True and should be a whole number"),
        ({"count": 2**63}, "count is 9223372036854775808 and should be a whole number"),
        (
            {"costs": {"a b": "1e5"}},
            "costs.'a b' is '1e5' and should be an amount of dollars in digits",
        ),
        ({"costs": []}, "costs is [] and should be an object"),
        ({"parts": {}}, "parts is {} and should be a list"),
        ({"parts": [{"score": 1}, {}]}, "parts.1 lacks score"),
        (
            {"parts": [{"score": float("nan")}]},
            "parts.0.score is nan and should be a number or null",
        ),
        ({"parts": [3]}, "parts.0 is 3 and should be an object"),
        ({"extra": {"seen": 1}}, "extra is {'seen': 1} and should be an object or null"),
    ],
)
def test_the_first_fault_is_told_with_its_place(change: dict[str, Any], fault: str) -> None:
    assert ROW.find_fault(FITTING | change) == fault


def test_a_missing_key_and_a_document_that_is_no_object() -> None:
    assert ROW.find_fault({"id": "a"}) == "the document lacks costs"
    assert ROW.find_fault([]) == "the document is [] and should be an object"


def test_a_shape_that_is_used_once_needs_no_name() -> None:
    assert find_fault({"a": 1}, {str: int}) is None
    assert find_fault(None, dict) == "the document is None and should be an object"
