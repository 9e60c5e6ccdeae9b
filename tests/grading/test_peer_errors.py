"""What other checkers get wrong, in both directions; each was seen in one of them."""

from __future__ import annotations

import pytest

from corl_bench.grading import equivalent, grade, is_correct

WORKING = "We set up $3x+4=25$; there are 12 ways for the first.\n\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1011_2", "1011_3"),
        ("(1,2)", r"\{1,2\}"),
        ("1,2", "1,1,2"),
        ("x", "X"),
        ("10^{-30}", r"2\cdot10^{-30}"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"),
        ("4", r"4\sqrt(2)"),
        (r"12\text{ cm}", r"12\text{ m}"),
        ("73", "73.00001"),
        (r"90^\circ", r"90\%"),
        (r"x \text{ is even}", r"x \text{ is odd}"),
        ("2:00 pm", "2:00 am"),
        ("12:00", "1:00"),
        (r"x<-1 \text{ and } x>1", r"(-\infty,-1)\cup(1,\infty)"),
        (r"\pi r^2 h", r"\pi r^2"),
        ("209", r"\le 209"),
        ("47", "47:1"),
    ],
)
def test_false_accepts(one: str, other: str) -> None:
    assert not equivalent(one, other)
    assert not equivalent(other, one)


def test_an_answer_found_only_in_thinking_is_none() -> None:
    assert grade("73", r"<think>It is \boxed{73}.</think> Let me see.").status != "correct"
    assert grade("73", r"<think>It is \boxed{73}.").status == "no_answer"


@pytest.mark.parametrize(
    "answer",
    [
        "**73**",
        "７３",
        r"\fbox{73}",
        r"\framebox{73}",
        r"\boxed{73",
        r"The answer is 73. \boxed{}",
        r"\boxed{\textbf{(C) }73}",
        r"\boxed{73\ \text{(C)}}",
        "<answer>73</answer>",
        "```\n73\n```",
        "Answer → 73",
        r"\boxed{\text{The answer is }73}",
        r"\boxed{60 + 13 = 73}",
        "She sold 73 clips.",
        "seventy-three",
        "73 (seventy-three)",
        "Total: 73",
        "答案：73",
        "So the answer is… 73.",
        "73\n\nExplanation: 60 and 13.",
    ],
)
def test_false_rejects_of_73(answer: str) -> None:
    assert is_correct("73", WORKING + answer) or is_correct("73", answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("1000", r"1\,000"),
        (r"4\pi", "4pi"),
        (r"\sqrt{2}", "√2"),
        (r"74^\circ", "74°"),
        ("x<2", r"(-\infty,2)"),
        (r"\sqrt{-4}", "2i"),
        (r"5\sqrt{2}", r"\sqrt50"),
        ("14916", "14 {, }916"),
        (r"\frac{1}{6}", r"0.1\overline{6}"),
        (r"\frac{1}{3}", "0.333..."),
        (r"\mathbb{R}", "all real numbers"),
        ("18", "Over 18 hours"),
        ("2", "2:00 pm"),
    ],
)
def test_false_rejects(gold: str, answer: str) -> None:
    assert equivalent(gold, answer)
    assert equivalent(answer, gold)


@pytest.mark.parametrize(
    "response",
    ["A or C", "Either (A) or (C).", "I cannot choose.", "The answer is B."],
)
def test_choices_that_are_not_made(response: str) -> None:
    assert not is_correct(r"\text{(C)}", response)


def test_a_choice_in_a_short_sentence() -> None:
    assert is_correct("B", "I choose B.")
    assert is_correct(r"\text{(C)}", "Choose (C).")


@pytest.mark.parametrize(
    "text",
    [
        "e^{-11/2004!}",
        "10^{1/2004!}",
        r"\sqrt[2004!]{5}",
        "a_{" + "*".join(["999999999"] * 600) + "}",
        r"\sum_{k=1}^{" + "*".join(["999999999"] * 600) + "}k",
        "33.5 per",
        "So it is " + "bec" * 60 + "?",
        "It is 3 " + "x" * 300 + "\\",
        "\\boxed{" * 3000,
        "0." + "12" * 300 + "...",
    ],
)
def test_texts_found_by_fuzzing(text: str) -> None:
    assert equivalent(text, text)
    assert not is_correct("7", text)
    assert not is_correct(text, "7")


def test_a_set_of_one_thing_beside_an_interval() -> None:
    assert not equivalent(r"\{x+\cup\}", r"1\le|z|\le\frac{3}{2}")
    assert not equivalent(r"\{a\}", "[1,b]")
    assert not is_correct(r"\textbf{(C)}{+\sqrtx{n\cup]}", r"$1\leq|z|\leq \frac{3}{2}$")
