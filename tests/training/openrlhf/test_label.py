"""What travels beside a prompt comes back as it was, and what is none is refused in a line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.types import ANSWER_KINDS, Budget, Problem
from corl_train.openrlhf.label import Label, LabelError, label_of

PROBLEM = Problem("a/1", "What is $1 + 1$?", "2", "integer", "Algebra", 3, {"slips": "[3]"})
BUDGET = Budget("low", Decimal("0.000500"))


def test_a_label_is_one_line_and_says_nothing_twice() -> None:
    text = label_of("math:train", PROBLEM, BUDGET, draws=4).to_text()
    assert text == (
        '{"budget": "low", "draws": 4, "gold": "2", "kind": "integer", "level": 3,'
        ' "metadata": {"slips": "[3]"}, "problem": "a/1", "subject": "Algebra",'
        ' "task": "math:train", "usd": "0.0005"}'
    )
    assert PROBLEM.text not in text


def test_with_the_prompt_it_is_the_problem_again() -> None:
    label = Label.from_text(label_of("math:train", PROBLEM, None).to_text())
    assert label.problem(PROBLEM.text) == PROBLEM
    assert label.budget is None


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(
    st.builds(
        Label,
        task=texts,
        problem_id=texts,
        gold=texts,
        kind=st.sampled_from(ANSWER_KINDS),
        budget=st.none()
        | st.builds(
            Budget, texts, st.integers(0, 10**9).map(lambda micro: Decimal(micro).scaleb(-6))
        ),
        subject=st.none() | texts,
        level=st.none() | st.integers(),
        metadata=st.dictionaries(texts, texts, max_size=2),
        draws=st.none() | st.integers(1, 999_999),
    )
)
def test_whatever_is_written_is_read(label: Label) -> None:
    text = label.to_text()
    assert "\n" not in text
    assert Label.from_text(text) == label


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "invalid json"),
        (None, "invalid json"),
        ("[]", "object"),
        ('{"task": "t", "problem": "p"}', "gold"),
        ('{"task": "t", "problem": "p", "gold": "", "kind": "math"}', "gold"),
        ('{"task": "t", "problem": "p", "gold": 7}', "gold"),
        ('{"task": "t", "problem": "p", "gold": "7", "kind": "essay"}', "kind"),
        ('{"task": "t", "problem": "p", "gold": "7", "answer": "8"}', "answer"),
        ('{"task": "t", "problem": "p", "gold": "7", "budget": "low"}', "name and usd"),
        ('{"task": "t", "problem": "p", "gold": "7", "budget": "l", "usd": "-1"}', "plain amount"),
        ('{"task": "t", "problem": "p", "gold": "7", "draws": 0}', "draws"),
        ('{"task": "t", "problem": "p", "gold": "7", "draws": 1000000}', "draws"),
    ],
)
def test_what_is_no_label_is_refused(text: object, said: str) -> None:
    with pytest.raises(LabelError) as refused:
        Label.from_text(text)
    assert said in str(refused.value).lower() and "\n" not in str(refused.value)


def test_draws_are_taken_in_turn() -> None:
    assert [Label("t", "p", "7").draw(i) for i in range(3)] == [0, 1, 2]
    limited = Label("t", "p", "7", draws=2)
    assert [limited.draw(i) for i in range(5)] == [0, 1, 0, 1, 0]
