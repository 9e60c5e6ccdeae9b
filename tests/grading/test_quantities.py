"""Single values as people write them, and the frames around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corl_bench.grading import equivalent
from corl_bench.grading.frames import unwrap
from corl_bench.grading.normalise import fold
from corl_bench.grading.quantities import read_quantity, unit_name
from corl_bench.grading.values import Based, Clock, Scalar
from corl_bench.grading.vocabulary import NUMBER_WORDS

SMALL = {number: word for word, number in NUMBER_WORDS.items()}


def in_words(n: int) -> str:
    if n >= 1000:
        rest = f" {in_words(n % 1000)}" if n % 1000 else ""
        return f"{in_words(n // 1000)} thousand{rest}"
    if n >= 100:
        return f"{SMALL[n // 100]} hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
    if n in SMALL:
        return SMALL[n]
    return f"{SMALL[n - n % 10]}-{SMALL[n % 10]}"


@given(st.integers(0, 999_999).filter(lambda n: len(in_words(n).replace("-", " ").split()) <= 8))
def test_numbers_in_words(n: int) -> None:
    assert equivalent(str(n), in_words(n))
    assert equivalent(in_words(n), str(n))
    assert not equivalent(str(n + 1), in_words(n))


@pytest.mark.parametrize("text", ["twenty twenty", "hundred", "five ten", "one one"])
def test_words_that_are_no_number(text: str) -> None:
    assert not equivalent("25", text)
    assert not equivalent("15", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1011_2", Based("1011", 2)),
        ("(1011)_{2}", Based("1011", 2)),
        (r"1011_{\text{two}}", Based("1011", 2)),
        ("1011 in base 2", Based("1011", 2)),
        ("2:30 pm", Clock(2, 30, "p")),
        ("14:05", Clock(14, 5, "")),
        ("5 o'clock", Clock(5, 0, "")),
        (r"12:30\text{ p.m.}", Clock(12, 30, "p")),
    ],
)
def test_kinds(text: str, value: object) -> None:
    assert read_quantity(fold(text)) == value


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (r"12\text{ cm}", "cm"),
        ("12 sq. cm", "sq. cm"),
        ("12cm", "cm"),
        ("5 m", "m"),
        ("5m", ""),
        ("18 eggs", "eggs"),
        ("6yx^2", ""),
        ("4pi", ""),
        (r"\frac{5}{9} cups", "cups"),
        (r"\pi r^2 h", ""),
        (r"60\frac{\text{km}}{\text{h}}", "km/h"),
        ('14"', "inch"),
        ("3 thousand", ""),
        ("17th", ""),
        (r"5^{\text{th}}", ""),
        ("USD 5", "$"),
        ("about 7 kg", "kg"),
    ],
)
def test_units(text: str, unit: str) -> None:
    value = read_quantity(fold(text))
    assert isinstance(value, Scalar)
    assert value.unit == unit


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("centimeters", "cm"),
        ("square feet", "ft2"),
        ("cubic cm", "cm3"),
        ("cm squared", "cm2"),
        ("m 3", "m3"),
        ("mph", "mi/h"),
        ("miles per hour", "mi/h"),
        ("km / h", "km/h"),
        ("eggs per day", None),
        ("per", None),
        ("/", None),
        ("", None),
        ("very old cats", None),
    ],
)
def test_names_of_units(text: str, name: str | None) -> None:
    assert unit_name(text) == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2:30 pm", "14:30", True),
        ("2:30 pm", "2:30", True),
        ("2:30 pm", "2:31 pm", False),
        ("2:30", "2:30 am", True),
        ("12:15 am", "12:15 pm", False),
        ("2:30 pm", "1:15", False),
        ("7:32", r"\frac{7}{32}", True),
        ("7:32", "14:64", True),
        ("3:45", "4:45", False),
        ("2:05 pm", r"\frac{2}{5}", False),
        ("3:4", "6:8", True),
        ("1:2:3", "2:4:6", True),
        ("1:2:3", "2:4:7", False),
        ("1:2", "1:2:3", False),
        ("a:b", "2a:2b", True),
        ("3 to 4", r"\frac34", True),
        ("one half", "0.5", True),
        ("two thirds", r"\frac{2}{3}", True),
        ("a dozen", "12", False),
        ("10'000", "10000", True),
        ("3 x 10^8", "300000000", True),
        ("C(10,3)", "120", True),
        ("{}_{8}C_{3}", "56", True),
        (r"10 \choose 3", "120", True),
        ("3+4I", "3+4i", True),
        ("3+4j", "4i+3", True),
        ("aI", "3i", False),
        (r"\frac{\pi}{4}+n\pi", r"\frac{\pi}{4}+k\pi", True),
        (r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}", r"\frac{\pi}{4}+k\pi", True),
        (r"2n+1", r"2k+1", False),
        (r"\frac{\pi}{4}+n\pi", r"\frac{\pi}{4}+2k\pi", False),
        ("abc", "a b c", True),
        ("odd", "2", False),
        (r"17 \bmod 5", "2", True),
        (r"x\equiv3\pmod7", r"x\equiv10\pmod{7}", True),
        (r"x\equiv3\pmod7", "3 (mod 7)", True),
        (r"x\equiv3\pmod7", "3", True),
        (r"x\equiv3\pmod7", r"3\pmod8", False),
        (r"x\equiv3\pmod7", r"4\pmod7", False),
        (r"x\equiv3\pmod7", "(3,7)", False),
        (r"\overline{3+4i}", "3-4i", True),
        (r"\text{Re}(3+4i)", "3", True),
        (r"\text{Im}(3+4i)", "4", True),
        (r"2\text{cis}(30^\circ)", r"\sqrt3+i", True),
        (r"\lg 1000", "3", True),
        ("P(2,-3)", "(2,-3)", True),
        (r"\text{circle}", "a circle", True),
        (r"\text{DNE}", "does not exist", True),
        ("1A_{16}", "1B", False),
        ("1A_{16}", "(1,2)", False),
        ("-101_2", "-101", True),
    ],
)
def test_pairs(one: str, other: str, same: bool) -> None:
    assert equivalent(one, other) is same
    assert equivalent(other, one) is same


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("**17**", "17"),
        ("_17_", "17"),
        ('"17"', "17"),
        (r"\text{The answer is }17", "17"),
        (r"\Rightarrow 17", "17"),
        ("=> 17", "17"),
        (r"${1,3}$", "1,3"),
        ("f'", "f'"),
        (r"\{1,2\}", r"\{1,2\}"),
        ("{1},{2}", "{1},{2}"),
        (r"\$5 or \$6", r"\$5 or \$6"),
    ],
)
def test_frames(text: str, inner: str) -> None:
    assert unwrap(text) == inner
