r"""What a relation says: the name it gives, the value it defines, the equation up to a factor.

Nothing here decides about two answers; `comparison` asks these questions and does.

    >>> from corl_bench.grading.structure import read
    >>> body(read("x = 3+4 = 7"), sums=False) == read("7")
    True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from corl_bench.grading.approximation import approximate, letters
from corl_bench.grading.equality import compare_scalars
from corl_bench.grading.expression import Expression, Step, operands
from corl_bench.grading.identity import PRIME, TooLarge, Undefined, image
from corl_bench.grading.tokens import MAX_STEPS
from corl_bench.grading.values import (
    Based,
    Matrix,
    Relation,
    Scalar,
    Sequence,
    Value,
)
from corl_bench.patterns import regex

FLIPPED: Final = {
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
    "=": "=",
    "!=": "!=",
    "approx": "approx",
}
INEQUALITIES: Final = ("<", "<=", ">", ">=", "!=")
_SUBSCRIPT: Final = regex(r"_(?:\{[^{}]*\}|\\?\w)")
_APPLIED: Final = regex(r"(?<=[A-Za-z])(?:\^\{?-1\}?)?\(-?\d+\)")
_NAME: Final = regex(
    r"(?:[A-Za-z']|\\(?:angle|triangle|frac|alpha|beta|gamma|theta|varphi|lambda|mu|omega|Delta|square"
    r"|Box)"
    r"(?![a-z])|[|(){},:/ ]|\\text|\\mathbb)+"
)
_SIZE: Final = regex(r"\| ?[xyt] ?\|")
_MAX_DENOMINATORS: Final = 4
_DIVIDE: Final = Step("div", "", 2)
_MULTIPLY: Final = Step("mul", "", 2)
_SUBTRACT: Final = Step("sub", "", 2)
_NEGATE: Final = Step("neg", "", 1)


def is_name(text: str, *, sums: bool = False) -> bool:
    """Whether text only names a quantity: `x`, `x_1`, `f(2)`, `AB`, `|AB|`, `(p,q)`, `V_1:V_2`.

    With `sums`, `m+n` too: an answer may repeat what was asked for, but a gold `x+y=5` is an
    equation.
    """
    bare = without_subscripts(_APPLIED.sub("", text))
    if sums and not bare.startswith("-"):
        bare = bare.replace("+", "").replace("-", "")
    if not sums and _SIZE.fullmatch(bare):
        return False  # |x| = 5 has two solutions
    return bool(bare) and _NAME.fullmatch(bare) is not None


def without_subscripts(name: str) -> str:
    """`x_{1}` and `x_2` are two values of one unknown."""
    return _SUBSCRIPT.sub("", name)


def body(relation: Relation, *, sums: bool) -> Value | None:
    r"""What a definition defines: 7 in `x = 3+4 = 7`, `x \in 7`, `x \approx 7`, `3+4 = 7`."""
    sides, signs, names = list(relation.sides), list(relation.signs), list(relation.names)
    while signs and signs[-1] == "approx" and (len(signs) > 1 or not is_name(names[0], sums=sums)):
        sides.pop()
        signs.pop()
        names.pop()
    if not signs:
        return sides[0]
    if any(sign not in ("=", "approx", "in") for sign in signs):
        return None
    if "in" in signs and signs != ["in"]:
        return None
    if is_name(names[0], sums=sums) or names[0] == "" or isinstance(sides[-1], Matrix):
        return sides[-1]
    if len(signs) == 1 and is_name(names[1]):
        return sides[0]
    if len(signs) > 1 and any(is_name(name) for name in names[:-1]):
        return sides[-1]
    if _is_true_sum(sides) or (sums and _is_evaluated(sides)):
        return sides[-1]
    return None


def _is_true_sum(sides: list[Value]) -> bool:
    r"""Whether a chain such as `12 \cdot 17 = 204` holds numbers only, and is right."""
    numbers = [number for side in sides if (number := _closed(side)) is not None]
    return len(numbers) == len(sides) and _agree(numbers)


def _is_evaluated(sides: list[Value]) -> bool:
    r"""Whether a chain such as `x^3-y^3 = 9+99 = 108` works out what something with letters is.

    The sides that are numbers must agree. `2x+z = 1` alone is an equation, not an answer of 1.
    """
    numbers = [number for side in sides if (number := _closed(side)) is not None]
    if _closed(sides[-1]) is None or not 2 <= len(numbers) < len(sides):
        return False
    return _agree(numbers)


def _agree(numbers: list[Scalar]) -> bool:
    """Whether all are the last one; an angle in degrees may be that in radians."""
    return all(compare_scalars(numbers[-1], number, False) == "equal" for number in numbers[:-1])


def _closed(value: Value) -> Scalar | None:
    """The number that a side is, `12:4` and digits in a base too; None where it has letters."""
    if isinstance(value, Sequence) and (quotient := ratio(value)) is not None:
        value = Scalar(quotient)
    if isinstance(value, Based):
        try:
            return Scalar((Step("num", str(int(value.digits, value.base))),))
        except ValueError:
            return None
    if not isinstance(value, Scalar) or letters(value.expression):
        return None
    return None if any(step.op == "call" for step in value.expression) else value


def ratio(value: Sequence) -> Expression | None:
    """`3:4` as the fraction that it is; None for other sequences."""
    if value.opening != ":":
        return None
    one, *others = value.items
    if len(others) == 1 and isinstance(one, Scalar) and isinstance(others[0], Scalar):
        return (*one.expression, *others[0].expression, Step("div", "", 2))
    return None


def defined(relation: Relation) -> str:
    """The name that a definition gives, whichever side it stands on."""
    first, last = relation.names[0], relation.names[-1]
    return first if is_name(first) or not is_name(last) else last


def turned(relation: Relation) -> Relation:
    """The relation read from right to left."""
    signs = tuple(FLIPPED.get(sign, sign) for sign in reversed(relation.signs))
    return Relation(relation.sides[::-1], signs, relation.names[::-1])


# --- equations up to a factor ----------------------------------------------------------------


def proportional(gold: Relation, answer: Relation) -> bool | None:
    """Whether two single relations differ by a constant factor; None where that is not shown.

    Equations are also multiplied by the denominators in them (`y = 6/x` is `xy = 6`).
    """
    one, other = _difference(gold), _difference(answer)
    if one is None or other is None or not (letters(one) and letters(other)):
        return None
    signs = {gold.signs[0], answer.signs[0]}
    equations = signs <= {"="} or signs <= {"!="}
    if equations:
        one, other = _cleared(one), _cleared(other)
    try:
        ratios: list[int] = []
        for seed in (0, 1, 2):
            above, below = image(one, seed=seed), image(other, seed=seed)
            if above.residue == 0 or below.residue == 0:
                return None
            ratios.append(above.residue * pow(below.residue, -1, PRIME) % PRIME)
    except (Undefined, TooLarge):
        return None
    if len(set(ratios)) > 1:
        return None
    if equations:
        return True
    try:
        quotient = approximate((*one, *other, _DIVIDE), seed=0)
    except Undefined:
        return None
    if abs(quotient.centre.real) <= quotient.radius:
        return None
    sign = answer.signs[0] if quotient.centre.real > 0 else FLIPPED.get(answer.signs[0], "")
    return sign == gold.signs[0]


def _difference(relation: Relation) -> Expression | None:
    """Left side minus right side."""
    left, right = relation.sides
    if not (isinstance(left, Scalar) and isinstance(right, Scalar)):
        return None
    if left.unit or right.unit or relation.signs[0] not in FLIPPED:
        return None
    return (*left.expression, *right.expression, _SUBTRACT)


def _cleared(expression: Expression) -> Expression:
    """The expression times all denominators in it that have letters."""
    denominators: dict[Expression, None] = {}
    for step, parts in operands(expression):
        if step == _DIVIDE and letters(parts[1]):
            denominators[parts[1]] = None
    if len(denominators) > _MAX_DENOMINATORS:
        return expression
    cleared = expression
    for below in denominators:
        cleared = (*cleared, *below, _MULTIPLY)
    return cleared if len(cleared) <= MAX_STEPS else expression


def as_digits(value: int) -> Expression:
    digits = (Step("num", str(abs(value))),)
    return (*digits, _NEGATE) if value < 0 else digits


def substituted(expression: Expression, values: Mapping[str, int]) -> Expression:
    """The expression with whole numbers in place of letters."""
    out: list[Step] = []
    for step in expression:
        out += (
            as_digits(values[step.value]) if step.op == "var" and step.value in values else (step,)
        )
    return tuple(out)


# --- lists of definitions --------------------------------------------------------------------


def names_of(items: tuple[Value, ...]) -> list[str]:
    """The names of `x = 1, y = 2`; empty unless every item has one."""
    names = [
        item.names[0]
        for item in items
        if isinstance(item, Relation) and item.signs[0] == "=" and is_name(item.names[0])
    ]
    return names if len(names) == len(items) else []


def unknowns_of(items: tuple[Value, ...]) -> set[str]:
    """What `x_1 = 1, x_2 = 2` and `X = 1, 2` are values of; applied functions not counted."""
    names = [i.names[0] for i in items if isinstance(i, Relation) and i.signs[0] == "="]
    return {
        without_subscripts(name).casefold() for name in names if is_name(name) and "(" not in name
    }


def bodies(items: tuple[Value, ...]) -> tuple[Value, ...]:
    bodies = [body(item, sums=False) if isinstance(item, Relation) else item for item in items]
    return tuple(b if b is not None else i for b, i in zip(bodies, items, strict=True))
