"""Golds come out in one form, or are refused with a reason."""

from __future__ import annotations

import pytest

from corl_bench.tasks.golds import gold_of_solution, is_integer, normalise_gold


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("27", "27"),
        ("27.0", "27"),
        (27.0, "27"),
        (27, "27"),
        ("073", "73"),
        ("000", "0"),
        ("-7", "-7"),
        ("−7", "-7"),
        ("-0", "0"),
        ("1,234", "1234"),
        ("$1,234,567.00", "1234567"),
        ("They pay 5 * 3 = <<5*3=15>>15.\n#### 1,234", "1234"),
        (1e21, "1000000000000000000000"),
        (" 385\n", "385"),
    ],
)
def test_integer_golds_become_plain_digits(answer: object, gold: str) -> None:
    assert normalise_gold(answer, "integer") == gold


@pytest.mark.parametrize("answer", ["27.5", "1,23", "12 apples", "x", "1/2", "٣", float("nan")])
def test_what_is_no_integer_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="not an integer"):
        normalise_gold(answer, "integer")


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("27.0", "27"),
        (0.5, "0.5"),
        ("0.5", "0.5"),
        ("1,234", "1,234"),
        ("072", "72"),
        ("-3.00", "-3"),
        (r" \frac{1}{2} ", r"\frac{1}{2}"),
        (r"\$42409", r"\$42409"),
        ("101_2", "101_2"),
        ("so the sum is\n#### 7", "7"),
    ],
)
def test_math_golds_stand_but_for_plain_numbers(answer: object, gold: str) -> None:
    assert normalise_gold(answer, "math") == gold


@pytest.mark.parametrize("answer", ["b", "B", "(B)", "(b).", r"\text{(B)}", r"\textbf{B}"])
def test_choice_golds_become_a_capital_letter(answer: str) -> None:
    assert normalise_gold(answer, "choice") == "B"


def test_a_choice_must_be_one_letter() -> None:
    with pytest.raises(ValueError, match="'BC' is not a letter"):
        normalise_gold("BC", "choice")


def test_text_golds_stand_as_they_are() -> None:
    assert normalise_gold(" #### Évariste 1.0 ", "text") == "#### Évariste 1.0"


@pytest.mark.parametrize("answer", ["", "  \n", "####  "])
def test_an_empty_gold_is_refused(answer: str) -> None:
    with pytest.raises(ValueError, match="the answer is empty"):
        normalise_gold(answer, "math")


@pytest.mark.parametrize("answer", [True, None, ["7"], {"a": 1}])
def test_a_gold_is_a_text_or_a_number(answer: object) -> None:
    with pytest.raises(ValueError, match="a text or a number"):
        normalise_gold(answer, "math")


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        (r"Hence $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"First \boxed{1}, then \boxed{2}.", "2"),
        (r"so \fbox{7}", "7"),
        (r"so \boxed 5$ is it", "5"),
        (r"so \boxed  {x \in \{1, 2\}}", r"x \in \{1, 2\}"),
    ],
)
def test_the_last_box_of_a_solution_is_its_answer(solution: str, gold: str) -> None:
    assert gold_of_solution(solution) == gold


@pytest.mark.parametrize("solution", ["no box", r"an \boxedsomething{1}", r"open \boxed{1"])
def test_a_solution_without_a_whole_box_is_refused(solution: str) -> None:
    with pytest.raises(ValueError, match="boxed answer"):
        gold_of_solution(solution)


@pytest.mark.parametrize(
    "answer",
    [
        *("7", "-7", "\u22127", " 1,234 ", "$18.00", "073", "18.", "1{,}234", r"\$1,042", "-$5"),
        *("x = 7", "18 cm", r"18\text{ cm}", "25%", r"25\%", "30°", r"30^\circ", "5 apples"),
        *("18 cm^2", "18 cm²", r"18\ \text{cm}^2", "60 km/h", r"\text{18}", r"18\,\mathrm{m}^{2}"),
        *(r"\(7\)", r"$120^\circ$", r"$7\text{ cm}$", "= 7", "(7)", "**7**", "12 m", "7m", "3 km"),
        *("$7$.", "18 cm.", "3 h", "25 square feet", "6 pies", "12 times", "3 times a day"),
    ],
)
def test_whole_numbers(answer: str) -> None:
    assert is_integer(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *("", "0.5", "1/2", "2, -1", "6√2", r"\sqrt{109}", "1,23", "²", "infinity", "No solution"),
        *("15 - 42√2", r"\frac{1}{2}", "2^{10}", "3 + 2sqrt(2)", "7 or 8", "(1, 2)", "12.50"),
        *(
            *(
                "3 x",
                "7 i",
                "2 n",
                "2 pi",
                "3 times pi",
                "5 to the power n",
                "12 over q",
                "3 times x",
            ),
            "3x",
            "2n",
            "7i",
            "12e",
            "$3x$",
            "$$",
            "()",
            "18^2",
            "2 3",
            r"5\sqrt{2}",
            "9" * 401,
            "x =" + " " * 200_000 + "!",
        ),
    ],
)
def test_no_whole_numbers(answer: str) -> None:
    assert not is_integer(answer)
