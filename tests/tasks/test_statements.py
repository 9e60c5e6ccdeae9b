"""What counts as typing alone, and what makes another problem."""

from __future__ import annotations

import pytest

from corl_bench.tasks.statements import normalise, read_statement

ALIKE = [
    ("What is  $x^2$ ?\n", "what is x^{2}"),
    (r"Find $\dfrac{1}{2}$.", r"Find \(\frac12\)"),
    (r"\tfrac ab", r"$\frac{a}{b}$"),
    (r"Let $m+n^{}_{}.$", "Let $m+n$."),
    (r"\left( 1,\,2 \right)", "(1, 2)"),
    (r"1{,}000", "1,000"),
    (r"$24,\!000$", "24,000"),
    ("x ≤ 3 × 4 − 1", r"$x \le 3 \times 4 - 1$"),
    ("x² + ½", r"x^2 + \frac{1}{2}"),
    (r"30^\circ", "30°"),
    (r"30^{\circ}", "30°"),
    (r"\text{cm}^2", r"\mathrm{cm}^{2}"),
    (r"\sin x + \gcd(a, b)", "sin x + gcd(a,b)"),
    ("a, b, …, z", r"$a, b, \ldots, z$"),
    ("``even'' or “odd”", '"even" or "odd"'),
    ("Note: it costs \\$5. Why?", "note it costs $5, why"),
    ("Bob’s\u200b car", "Bob's car"),
    ("in .5 h", "in 0.5 h"),
    ("1,000 cats for 12{,}345,678 mice.", "1000 cats for 12345678 mice"),
    (r"$\frac{1000}{3}$ or 12,345.6", r"\frac{1{,}000}{3} or 12345.6"),
    ("(100,200), {100,200,300} and [-500,500]", "(100, 200), {100, 200, 300} and [-500, 500]"),
]
OTHERS = [
    ("tan 225", "tan 22.5"),
    ("What is 5!?", "What is 5?"),
    (r"\frac{1}{23}", r"\frac{12}{3}"),
    ("x^{12}", "x^1 2"),
    ("x^{ab}", "x^a b"),
    ("1.5", "15"),
    ("1, 5", "15"),
    ("2,100,10", "210010"),
    ("0.123,456", "0.123456"),
    ("10,00", "1000"),
    ("1000", "100 0"),
    ("-3", "3"),
    (r"\Delta x", r"\delta x"),
    ("f'(x)", "f(x)"),
    ("3:4", "34"),
    ("x_1", "x 1"),
    ("10%", "10"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_typing_does_not_count(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_what_makes_another_problem_does(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("Find x. [asy] draw((0,0) -- (1,1)); [/asy] Now.", "draw((0,0)--(1,1));"),
        ("Find x. \\begin{asy}\ndot(O);\n\\end{asy} Now.", "dot(O);"),
        ("Find x. ![a triangle](img/1.png) Now.", "img/1.png"),
        (r"Find x. \includegraphics[width=3cm]{t.pdf} Now.", "t.pdf"),
    ],
)
def test_figures_are_set_aside(text: str, figure: str) -> None:
    read = read_statement(text)
    assert read.words == ("find", "x", "now")
    assert read.figures == (figure,)


def test_a_figure_that_does_not_end_takes_the_rest() -> None:
    assert read_statement("Find x. [asy] draw(A").figures == ("draw(A",)


@pytest.mark.parametrize("text", ["", "}{}{{{", "\\", "$$", "^", "[asy]", "\\text{", "{" * 3000])
def test_any_text_can_be_read(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
