"""Where the answer stands in a reply, place by place, and where there is none."""

from __future__ import annotations

import json

import pytest

from corl_bench.grading import extract, find_answer
from corl_bench.grading.extraction import MAX_CHARS

WORKING = r"We need $m+n$ where the ratio is $\frac{3}{70}$. "


@pytest.mark.parametrize(
    ("tail", "answer"),
    [
        (r"So \boxed{73}.", "73"),
        (r"\boxed{72} is wrong, it is \boxed{73}.", "73"),
        (r"\boxed{\frac{3}{70}}", r"\frac{3}{70}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\fbox{73}", "73"),
        (r"\boxed 73", "73"),
        (r"\boxed{73}, in \boxed{} form", "73"),
        (r"\boxed{73", "73"),
        ("The final answer is $73$.", "$73$"),
        ("**Final Answer**: 73 apples", "73 apples"),
        ("Answer: 73\n\n\n", "73"),
        ("The answer is 73, not 37.", "73"),
        ("The answer is 73 because 7+3=10.", "73"),
        ("#### 1,234", "1,234"),
        ("So there are **73** of them in all, as we have seen", "73"),
        ("Therefore the total is $73$.", "$73$"),
        ("Thus, the sum is 73.", "73"),
        ("So there are 73 ways to do it.", "73 ways to do it"),
        ("First this.\n73", "73"),
    ],
)
def test_places(tail: str, answer: str) -> None:
    assert extract(WORKING + tail) == answer


@pytest.mark.parametrize(
    "response",
    [
        "",
        "   ",
        WORKING + "Let us go on",
        WORKING + "Now $7+3=10$ and then 73 divides",
        r"<think>so \boxed{73}</think>",
        r"<think>so \boxed{73}",
        r'{"reasoning": "7 and 3", "answer": ""}',
        r'{"reasoning": "7 and 3", "answer": "___"}',
        r'{"reasoning": "7 and 3", "answer": null}',
    ],
)
def test_no_answer(response: str) -> None:
    assert extract(response) is None


def test_none_is_no_answer() -> None:
    assert extract(None) is None


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ('{"reasoning": "2+3", "answer": "5"}', "5"),
        ('```json\n{"reasoning": "2+3",\n "answer": 5\n}\n```', "5"),
        ('{"reasoning": "so \\boxed{4}", "answer": "5"}', "5"),
        ('{"reasoning": "broken "quotes" here", "answer": "5 cm"}', "5 cm"),
        ('{"reasoning": "2+3", "answer": "5', "5"),
        (r'{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
        (r'{"answer": "\frac{1}{2}"}', r"\frac{1}{2}"),
        (r'{"answer": "$\\boxed{7}$"}', "7"),
        ('{"answer": "5"}\n\nThe key steps are:\n1. Add 2.\n2. Add 3.', "5"),
        ('{"answer": "4"} No, wait.\n{"answer": "5"}', "5"),
        ('{"answer": [1, 2]}', "[1, 2]"),
    ],
)
def test_json_field(reply: str, answer: str) -> None:
    assert extract(reply) == answer


def test_a_box_after_the_field_wins() -> None:
    assert extract('{"answer": "4"} I mean \\boxed{5}') == "5"


def test_escapes_survive_a_round_trip() -> None:
    reply = json.dumps({"reasoning": "x", "answer": 'a "b" \\neq \\sqrt{2}'})
    assert extract(reply) == r'a "b" \neq \sqrt{2}'


def test_boxes_that_stand_together_are_kept() -> None:
    found = find_answer(r"Trying \boxed{9}.  The roots are \boxed{1} and \boxed{2}.")
    assert found is not None
    assert found.answer == "2"
    assert found.boxes == ("1", "2")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The answer is for sure D, it can't be A or B", "D"),
        ("I think the correct option is (C).", "C"),
        ("It's not A, therefore I think it's B", "B"),
        ("D. it can't be A or B", "D"),
        ("(C) 12", "C"),
    ],
)
def test_choices(reply: str, letter: str) -> None:
    found = find_answer(reply, kind="choice")
    assert found is not None
    assert found.answer == letter


def test_only_the_end_of_a_giant_reply_is_read() -> None:
    assert extract(r"\boxed{1}" + " word" * MAX_CHARS) is None
    assert extract("word " * MAX_CHARS + r"\boxed{1}") == "1"


def test_a_turn_mark_ends_the_reply() -> None:
    assert extract("The answer is 5.<|im_end|> The answer is 6.") == "5"
