r"""Are two expressions, or two quantities with units, the same?

Exact field arithmetic first (`identity`), then floats with error bounds, which can only tell
apart (`approximation`), then a worker with many digits and sympy (`workers`). A decimal may
stand for an irrational number only where the rule in `_rounds` says so.

    >>> from corl_bench.grading.expression import parse
    >>> compare_expressions(parse("(x+1)^2"), parse("x^2+2x+1"))
    'equal'
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from corl_bench.grading import workers
from corl_bench.grading.approximation import approximate, letters
from corl_bench.grading.breakpoints import points
from corl_bench.grading.expression import Expression, Step, parse
from corl_bench.grading.identity import Image, TooLarge, Undefined, image
from corl_bench.grading.quantities import unit_name
from corl_bench.grading.tokens import ParseError
from corl_bench.grading.values import Scalar
from corl_bench.grading.vocabulary import OPPOSED
from corl_bench.grading.workers import Settlement
from corl_bench.patterns import regex

STRICT_DIGITS: Final = 10
"""Significant digits from which a decimal stands for the number that it rounds."""
LENIENT_DIGITS: Final = 3
_I: Final = Step("const", "i")
_PI: Final = Step("const", "pi")
_WHOLE_LETTERS: Final = frozenset("kmn")
_CONSTANT_LETTERS: Final = frozenset("CcKk")
_UNIT_NAME: Final = regex(r"[^\W\d_]+")
_UNIT_POWER: Final = regex(r"(?<=[a-z])([23])(?!\d)")
_ADD: Final = Step("add", "", 2)


def compare_expressions(
    left: Expression, right: Expression, *, lenient: bool = False
) -> Settlement:
    """Decides whether two expressions are the same number or function."""
    if left == right:
        return "equal"
    outcome = _compare(left, right, lenient)
    return "unequal" if outcome == "equal" and _differ_elsewhere(left, right) else outcome


def _compare(left: Expression, right: Expression, lenient: bool) -> Settlement:
    try:
        one, other = _image(left), _image(right)
    except Undefined:
        return "unequal"  # what has no value equals nothing but its own spelling
    if one is not None and other is not None:
        if one.value is not None and other.value is not None:
            if one.value == other.value:
                return "equal"
            if _rounds(left, one, right, lenient) or _rounds(right, other, left, lenient):
                return _close(left, one, right, other, lenient)
            return "unequal"
        if one.residue == other.residue:
            # An answer could be built against the modulus (73 + px); floats see through it.
            return "unequal" if _certainly_differ(left, right) else "equal"
        if one.faithful and other.faithful and not _has_decimal(left, right):
            return "unequal"
    if _rounds(left, one, right, lenient) or _rounds(right, other, left, lenient):
        return _close(left, one, right, other, lenient)
    if _certainly_differ(left, right):
        return "unequal"
    return workers.settle(left, right)


def _image(expression: Expression) -> Image | None:
    """The image, or None for one that is too large to work out.

    Raises:
        Undefined: the expression has no value.
    """
    try:
        return image(expression)
    except TooLarge:
        return None


def _decimal(expression: Expression) -> str | None:
    """The digits of an expression that is a single number with a decimal point."""
    first = expression[0]
    plain = len(expression) == 1 or (len(expression) == 2 and expression[1].op == "neg")
    return first.value if plain and first.op == "num" and "." in first.value else None


def _has_decimal(left: Expression, right: Expression) -> bool:
    return _decimal(left) is not None or _decimal(right) is not None


def _rounds(decimal: Expression, value: Image | None, other: Expression, lenient: bool) -> bool:
    """Whether a rule lets `decimal` stand for the number it may be a rounding of.

    It must be a plain decimal with enough digits, facing something exact that needs more of
    them: never an integer or a decimal.
    """
    text = _decimal(decimal)
    if text is None or value is None or letters(other) or "e" in text.lower():
        return False
    significant = len(text.replace(".", "").lstrip("0"))
    if significant < (LENIENT_DIGITS if lenient else STRICT_DIGITS):
        return False
    if any(step.op == "num" and "." in step.value for step in other):
        return False
    exact = _image(other)
    if exact is None or exact.value is None:
        return True
    below = exact.value.denominator
    for factor in (2, 5):
        while below % factor == 0:
            below //= factor
    return below > 1 or (lenient and exact.value.denominator > 1)


def _close(
    left: Expression, one: Image | None, right: Expression, other: Image | None, lenient: bool
) -> Settlement:
    """Compares a decimal with the number that it rounds or, by the strict rule, cuts off."""
    text = _decimal(left) or _decimal(right) or ""
    unit = Fraction(1, 10 ** len(text.partition(".")[2]))
    if one is not None and other is not None and one.value is not None and other.value is not None:
        exact, decimal = (other, one) if _decimal(left) is not None else (one, other)
        assert exact.value is not None and decimal.value is not None
        above = abs(exact.value) - abs(decimal.value)
        cut = 0 <= above < unit and not lenient
        return "equal" if abs(exact.value - decimal.value) <= unit / 2 or cut else "unequal"
    try:
        a, b = approximate(left, seed=0), approximate(right, seed=0)
    except Undefined:
        return "unknown"
    # Sixteen digits are as many as a program prints; more would be compared with float noise.
    allowed = max(float(unit), abs(a.centre) * 2.0**-50) + 4 * (a.radius + b.radius)
    return "equal" if abs(a.centre - b.centre) <= allowed else "unequal"


def _differ_elsewhere(left: Expression, right: Expression) -> bool:
    r"""Whether functions that agree at seeded points part elsewhere: `\sqrt{x^2}` and `x`.

    Only where neither side chooses a branch there; see `breakpoints` for where that is.
    """
    for point in points(left, right):
        try:
            one, other = (approximate(side, seed=0, at=point) for side in (left, right))
        except Undefined:
            continue
        if one.tame and other.tame and one.differs_from(other):
            return True
    return False


def _certainly_differ(left: Expression, right: Expression) -> bool:
    """Whether floats with error bounds prove a difference at one of four points."""
    constant = not (letters(left) or letters(right))
    for seed in range(1 if constant else 4):
        try:
            a, b = approximate(left, seed=seed), approximate(right, seed=seed)
        except Undefined:
            continue
        if (constant or (a.tame and b.tame)) and a.differs_from(b):
            return True
    return False


def compare_scalars(gold: Scalar, answer: Scalar, lenient: bool) -> Settlement:
    gold, answer = _with_letter(gold, answer), _with_letter(answer, gold)
    if not lenient and _other_kind(gold, answer):
        return "unequal"
    one, other = gold.expression, answer.expression
    one, other = _imaginary(one, other), _parameter(_imaginary(other, one), one)
    outcome = compare_expressions(one, other, lenient=lenient)
    if outcome == "equal" and not (gold.percent != answer.percent and _below_one(gold)):
        return outcome
    if gold.percent != answer.percent:
        return compare_expressions(
            _mark(gold.expression, "percent", gold.percent),
            _mark(answer.expression, "percent", answer.percent),
            lenient=lenient,
        )
    if gold.degrees != answer.degrees:
        return compare_expressions(
            _mark(gold.expression, "degree", gold.degrees),
            _mark(answer.expression, "degree", answer.degrees),
            lenient=lenient,
        )
    return outcome


def _with_letter(scalar: Scalar, other: Scalar) -> Scalar:
    r"""`\frac{8}{5} h` opposite `\frac{8h}{5}` is a factor h, not eight fifths of an hour."""
    names = _UNIT_NAME.findall(scalar.unit)
    if other.unit or not names or not letters(other.expression).issuperset(names):
        return scalar
    try:
        factor = parse(_UNIT_POWER.sub(r"^\1", scalar.unit))
    except ParseError:
        return scalar
    return Scalar((*scalar.expression, *factor, Step("mul", "", 2)))


def _imaginary(expression: Expression, other: Expression) -> Expression:
    """`3+4I` and `3+4j`, as programs print them, opposite a number with an i in it."""
    if _I not in other or _I in expression:
        return expression
    names = letters(expression)
    if "I" in names - letters(other):
        return tuple(_I if step == Step("var", "I") else step for step in expression)
    if names == {"j"} and len(expression) > 1:
        return tuple(_I if step == Step("var", "j") else step for step in expression)
    return expression


def _parameter(expression: Expression, other: Expression) -> Expression:
    r"""`\frac{\pi}{4}+n\pi` written with the `k` of the other side: any whole number, by custom.

    So is `x^2+C` with its `K`: the constant that an integral leaves open.
    """
    names, others = letters(expression) - letters(other), letters(other) - letters(expression)
    if len(names) != 1 or len(others) != 1:
        return expression
    (name,), (new,) = names, others
    shared = (letters(expression) & letters(other)) - {"a", "b"}  # a+b+c is no integral
    period = not shared and _PI in expression and {name, new} <= _WHOLE_LETTERS
    added = expression[-2:] == (Step("var", name), _ADD) and other[-2:] == (Step("var", new), _ADD)
    if not period and not (shared and added and {name, new} <= _CONSTANT_LETTERS):
        return expression
    return tuple(Step("var", new) if step == Step("var", name) else step for step in expression)


def _below_one(scalar: Scalar) -> bool:
    """Whether 0.5 beside 0.5 % is a share rather than a percentage without its sign."""
    try:
        value = _image(scalar.expression)
    except Undefined:
        return False
    return value is not None and value.value is not None and abs(value.value) < 1


def _mark(expression: Expression, op: str, marked: bool) -> Expression:
    return (*expression, Step(op, "", 1)) if marked else expression


def _other_kind(one: Scalar, other: Scalar) -> bool:
    """Whether both say what they measure, and it is not the same."""
    said, also = (_directions(scalar.unit) for scalar in (one, other))
    if any(said[line] != also[line] for line in said.keys() & also.keys()):
        return True
    name, other_name = _measure(one), _measure(other)
    if name is None or other_name is None or name == other_name:
        return False
    plain, measure = (name, other_name) if name.startswith("unit") else (other_name, name)
    volume = measure in ("l", "ml", "gallon") and plain == "unit3"
    return not (volume or (plain in ("unit2", "unit3") and plain[-1] == measure[-1]))


def _directions(unit: str) -> dict[int, str]:
    """What the words after a number say beside the measure: of each line of `OPPOSED` one."""
    return {OPPOSED[word][0]: OPPOSED[word][1] for word in unit.split() if word in OPPOSED}


def _measure(scalar: Scalar) -> str | None:
    if scalar.percent or scalar.degrees:
        return "percent" if scalar.percent else "degree"
    return unit_name(scalar.unit) if scalar.unit else None


def worst(outcomes: Iterable[Settlement]) -> Settlement:
    """The outcome of several comparisons that must all be equal."""
    seen = set(outcomes)
    for outcome in ("unequal", "timeout", "unknown"):
        if outcome in seen:
            return outcome
    return "equal"
