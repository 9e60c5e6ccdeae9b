r"""Are two answers the same? The house rules for structures and relations.

They stand in docs/grading.md: brackets are kept apart, an open list has no order, names give
one, a definition is its value, an inequality is its solution set. Single expressions and
quantities are `equality`'s. The verdict does not depend on the process, the hash seed or the
time of day.

    >>> from corl_bench.grading.structure import read
    >>> compare(read("(1,2)"), read("[1,2]"))
    'unequal'
    >>> compare(read("x<2"), read("(-\infty,2)"))
    'equal'
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence as Sized
from typing import Final

from corl_bench.grading.approximation import approximate
from corl_bench.grading.equality import compare_expressions, compare_scalars, worst
from corl_bench.grading.expression import Expression, Step
from corl_bench.grading.identity import PRIME, TooLarge, Undefined, image
from corl_bench.grading.normalise import spelling
from corl_bench.grading.structure import (
    Based,
    Matrix,
    Relation,
    Scalar,
    Sequence,
    Union,
    Value,
    Words,
)
from corl_bench.grading.workers import Settlement as Outcome

_MAX_PAIRS: Final = 400
_FLIPPED: Final = {
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
    "=": "=",
    "!=": "!=",
    "approx": "approx",
}
_SUBSCRIPT: Final = re.compile(r"_(?:\{[^{}]*\}|\\?\w)")
_APPLIED: Final = re.compile(r"(?<=[A-Za-z])\(-?\d+\)")
_NAME: Final = re.compile(
    r"(?:[A-Za-z']|\\(?:angle|triangle|frac|alpha|beta|gamma|theta|varphi|lambda|mu|omega|Delta|zzz)"
    r"(?![a-z])|[|(){},:/ ]|\\text|\\mathbb)+"
)
_WORD_MARKS: Final = re.compile(r"\\text|\\mathbb|[^\w+\-*/=<>^.]+|_")
_INFINITE: Final = (Step("const", "oo"),)


def compare(gold: Value, answer: Value, *, lenient: bool = False) -> Outcome:
    """Compares two answers that were read.

    Args:
        gold: the answer that is known to be right.
        answer: the one to be judged.
        lenient: forgive rounding to three digits, kinds of brackets, units and letter case.
    """
    gold, answer = _simplest(gold), _simplest(answer)
    if isinstance(gold, Scalar) and isinstance(answer, Scalar):
        return compare_scalars(gold, answer, lenient)
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return _compare_relations(gold, answer, lenient)
    if isinstance(gold, Sequence) and isinstance(answer, Sequence):
        return _compare_sequences(gold, answer, lenient)
    if isinstance(gold, Union) and isinstance(answer, Union):
        return _match(gold.parts, answer.parts, lenient)
    rows, other_rows = _rows(gold), _rows(answer)
    if isinstance(gold, Matrix) != isinstance(answer, Matrix) and rows and other_rows:
        return _compare_matrices(rows, other_rows, lenient)
    if isinstance(gold, Matrix) and isinstance(answer, Matrix):
        return _compare_matrices(gold, answer, lenient)
    if isinstance(gold, Based) or isinstance(answer, Based):
        return _compare_based(gold, answer)
    if isinstance(gold, Words) and isinstance(answer, Words):
        return _compare_words(gold.text, answer.text)
    if isinstance(gold, Union) or isinstance(answer, Union):
        union, other = (gold, answer) if isinstance(gold, Union) else (answer, gold)
        solved = _solution_set(other)
        return compare(union, solved, lenient=lenient) if isinstance(solved, Union) else "unequal"
    return "unequal"


def _simplest(value: Value) -> Value:
    r"""A definition such as `D = (0,1)` or `x \in S` stays a relation; `x<2 or x>3` is a set."""
    if isinstance(value, Sequence) and not value.opening and len(value.items) > 1:
        solved = [_solution_set(item) for item in value.items]
        if all(
            s is not None and isinstance(i, Relation)
            for s, i in zip(solved, value.items, strict=True)
        ):
            return Union(tuple(part for s in solved if s is not None for part in _parts(s)))
    return value


def _parts(value: Value) -> tuple[Value, ...]:
    return value.parts if isinstance(value, Union) else (value,)


# --- structures ------------------------------------------------------------------------------


def _compare_sequences(gold: Sequence, answer: Sequence, lenient: bool) -> Outcome:
    one, other = (gold.opening, gold.closing), (answer.opening, answer.closing)
    if one == other and gold.opening not in ("", "{"):
        return _in_order(gold.items, answer.items, lenient)
    if one == other == ("{", "}"):
        return _match(_distinct(gold.items, lenient), _distinct(answer.items, lenient), lenient)
    if one == other:
        return _compare_open(gold.items, answer.items, lenient)
    if "" in (gold.opening, answer.opening):
        closed = gold if gold.opening else answer
        bare = answer if gold.opening else gold
        if closed.opening == "{":
            return _match(_bodies(gold.items), _bodies(answer.items), lenient)
        if closed.opening == "(" and closed.closing == ")" and len(bare.items) > 1:
            return _in_order(_bodies(gold.items), _bodies(answer.items), lenient)
    if lenient:
        return _match(gold.items, answer.items, lenient)
    return "unequal"


def _compare_open(gold: tuple[Value, ...], answer: tuple[Value, ...], lenient: bool) -> Outcome:
    """Lists without brackets have no order, unless names or only one side's names give one."""
    names, other_names = _names(gold), _names(answer)
    if names and other_names and set(names) == set(other_names) and len(set(names)) == len(names):
        by_name = dict(zip(other_names, _bodies(answer), strict=True))
        bodies = zip(names, _bodies(gold), strict=True)
        return worst([compare(body, by_name[name], lenient=lenient) for name, body in bodies])
    unknowns = {_SUBSCRIPT.sub("", name) for name in names or other_names}
    if len(unknowns) > 1 and not (names and other_names):
        return _in_order(_bodies(gold), _bodies(answer), lenient)
    if names and other_names and len(unknowns) > 1:
        return "unequal"
    return _match(_bodies(gold), _bodies(answer), lenient)


def _names(items: tuple[Value, ...]) -> list[str]:
    """The names of `x = 1, y = 2`; empty unless every item has one."""
    names = [
        item.names[0]
        for item in items
        if isinstance(item, Relation) and item.signs[0] == "=" and is_name(item.names[0])
    ]
    return names if len(names) == len(items) else []


def _bodies(items: tuple[Value, ...]) -> tuple[Value, ...]:
    bodies = [_body(item, sums=False) if isinstance(item, Relation) else item for item in items]
    return tuple(b if b is not None else i for b, i in zip(bodies, items, strict=True))


def _in_order(gold: Sized[Value], answer: Sized[Value], lenient: bool) -> Outcome:
    if len(gold) != len(answer):
        return "unequal"
    outcomes: list[Outcome] = []
    for one, other in zip(gold, answer, strict=True):
        outcomes.append(compare(one, other, lenient=lenient))
        if outcomes[-1] == "unequal":
            return "unequal"
    return worst(outcomes)


def _distinct(items: tuple[Value, ...], lenient: bool) -> tuple[Value, ...]:
    if len(items) > 40:
        return tuple(dict.fromkeys(items))
    kept: list[Value] = []
    for item in items:
        if not any(compare(item, other, lenient=lenient) == "equal" for other in kept):
            kept.append(item)
    return tuple(kept)


def _match(gold: Sized[Value], answer: Sized[Value], lenient: bool) -> Outcome:
    """Compares two lists without order: each item must find a partner of its own."""
    if len(gold) != len(answer):
        return "unequal"
    left = Counter(gold)
    left.subtract(Counter(answer))
    missing = [value for value, count in left.items() for _ in range(count)]
    extra = [value for value, count in left.items() for _ in range(-count)]
    if len(missing) * len(extra) > _MAX_PAIRS:
        return "unknown"
    undecided: set[Outcome] = set()
    for value in missing:
        for position, other in enumerate(extra):
            outcome = compare(value, other, lenient=lenient)
            if outcome == "equal":
                del extra[position]
                break
            undecided.add(outcome)
        else:
            return worst(undecided - {"unequal"}) if undecided - {"unequal"} else "unequal"
    return "equal"


def _rows(value: Value) -> Matrix | None:
    """A matrix, or a list of lists that is one in plain text, `[[1,2],[3,4]]`."""
    if isinstance(value, Sequence) and value.opening == "[" and value.items:
        rows = [i.items for i in value.items if isinstance(i, Sequence) and i.opening == "["]
        return Matrix(tuple(rows)) if len(rows) == len(value.items) else None
    return value if isinstance(value, Matrix) else None


def _compare_matrices(gold: Matrix, answer: Matrix, lenient: bool) -> Outcome:
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return "unequal"
    cells = [[cell for row in matrix.rows for cell in row] for matrix in (gold, answer)]
    return _in_order(cells[0], cells[1], lenient)


def _compare_based(gold: Value, answer: Value) -> Outcome:
    """The same digits in the same base; the base may be left out, as the question gives it."""
    if isinstance(gold, Based) and isinstance(answer, Based):
        return "equal" if gold == answer else "unequal"
    based, other = (gold, answer) if isinstance(gold, Based) else (answer, gold)
    assert isinstance(based, Based)
    if isinstance(other, Scalar) and not other.unit and based.digits.lstrip("-").isdigit():
        digits: Expression = (Step("num", based.digits.lstrip("-")),)
        if based.digits[0] == "-":
            digits = (*digits, Step("neg", "", 1))
        return compare_expressions(digits, other.expression)
    return "unequal"


def _compare_words(gold: str, answer: str) -> Outcome:
    one, other = (_WORD_MARKS.sub(" ", text).split() for text in (gold, answer))
    if one == other and one:
        return "equal"
    # Words fold their case; a single letter may be a variable and keeps it.
    if any(len(word) > 1 for word in one):
        folded = [[w.casefold() if w.isalpha() else w for w in words] for words in (one, other)]
        if folded[0] == folded[1]:
            return "equal"
    return "equal" if spelling(gold) == spelling(answer) and gold else "unequal"


# --- relations -------------------------------------------------------------------------------


def is_name(text: str, *, sums: bool = False) -> bool:
    """Whether text only names a quantity: `x`, `x_1`, `f(2)`, `AB`, `|AB|`, `(p,q)`, `V_1:V_2`.

    With `sums`, `m+n` too: an answer may repeat what was asked for, but a gold `x+y=5` is an
    equation.
    """
    bare = _SUBSCRIPT.sub("", _APPLIED.sub("", text))
    if sums:
        bare = bare.replace("+", "").replace("-", "")
    return bool(bare) and _NAME.fullmatch(bare) is not None


def _body(relation: Relation, *, sums: bool) -> Value | None:
    r"""What a definition defines: 7 in `x = 3+4 = 7`, `x \in 7`, `x \approx 7`; else None."""
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
    if is_name(names[0], sums=sums) or names[0] == "":
        return sides[-1]
    if len(signs) == 1:
        return sides[0] if is_name(names[1]) else None
    if any(is_name(name) for name in names[:-1]):
        return sides[-1]
    return None


def _compare_relations(gold: Value, answer: Value, lenient: bool) -> Outcome:
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _compare_two_relations(gold, answer, lenient)
    relation, other = (gold, answer) if isinstance(gold, Relation) else (answer, gold)
    assert isinstance(relation, Relation)
    body = _body(relation, sums=relation is answer)
    if body is not None:
        pair = (body, other) if relation is gold else (other, body)
        return compare(*pair, lenient=lenient)
    solved = _solution_set(relation)
    if solved is not None and not isinstance(other, Words | Scalar):
        return compare(solved, other, lenient=lenient)
    return "unequal"


def _compare_two_relations(gold: Relation, answer: Relation, lenient: bool) -> Outcome:
    if gold.names == answer.names and gold.signs == answer.signs:
        return "equal"
    bodies = [_body(r, sums=False) for r in (gold, answer)]
    if bodies[0] is not None and bodies[1] is not None:
        names = [_defined(r) for r in (gold, answer)]
        if names[0] == names[1] or all(n == "y" or n.endswith("(x)") for n in names):
            return compare(bodies[0], bodies[1], lenient=lenient)
    if len(gold.signs) == 1 and len(answer.signs) == 1:
        outcome = _proportional(gold, answer)
        if outcome is not None:
            return outcome
    for candidate in (answer, _turned(answer)):
        if candidate.signs == gold.signs and len(candidate.sides) == len(gold.sides):
            outcome = _in_order(gold.sides, candidate.sides, lenient)
            if outcome == "equal":
                return outcome
    solved = [_solution_set(r) for r in (gold, answer)]
    if solved[0] is not None and solved[1] is not None and _unknown(gold) == _unknown(answer):
        return compare(solved[0], solved[1], lenient=lenient)
    return "unequal"


def _defined(relation: Relation) -> str:
    first, last = relation.names[0], relation.names[-1]
    return first if is_name(first) or not is_name(last) else last


def _turned(relation: Relation) -> Relation:
    signs = tuple(_FLIPPED.get(sign, sign) for sign in reversed(relation.signs))
    return Relation(relation.sides[::-1], signs, relation.names[::-1])


def _proportional(gold: Relation, answer: Relation) -> Outcome | None:
    """Equations and inequalities that differ by a constant factor; None where unreadable."""
    one, other = _difference(gold), _difference(answer)
    if one is None or other is None:
        return None
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
    signs = {gold.signs[0], answer.signs[0]}
    if signs <= {"="} or signs <= {"!="}:
        return "equal"
    try:
        quotient = approximate((*one, *other, Step("div", "", 2)), seed=0)
    except Undefined:
        return None
    if abs(quotient.centre.real) <= quotient.radius:
        return None
    sign = answer.signs[0] if quotient.centre.real > 0 else _FLIPPED.get(answer.signs[0], "")
    return "equal" if sign == gold.signs[0] else "unequal"


def _difference(relation: Relation) -> Expression | None:
    """Left side minus right side."""
    left, right = relation.sides
    if not (isinstance(left, Scalar) and isinstance(right, Scalar)):
        return None
    if left.unit or right.unit or relation.signs[0] not in _FLIPPED:
        return None
    return (*left.expression, *right.expression, Step("sub", "", 2))


def _unknown(relation: Relation) -> str:
    """The letter that an inequality is about."""
    return next((name for name in relation.names if is_name(name)), "")


def _solution_set(value: Value) -> Value | None:
    """The interval of `x < 2`, `1 <= x < 3`; the two of `x != 3`; None for anything else."""
    if not isinstance(value, Relation):
        return value if isinstance(value, Sequence | Union) else None
    if value.signs == ("in",) and is_name(value.names[0]):
        return value.sides[1]
    infinite, minus = Scalar(_INFINITE), Scalar((*_INFINITE, Step("neg", "", 1)))
    sides, signs = value.sides, value.signs
    if len(signs) == 1 and signs[0] in ("<", "<=", ">", ">=", "!="):
        relation = value if is_name(value.names[0]) else _turned(value)
        if not is_name(relation.names[0]) or not isinstance(relation.sides[1], Scalar):
            return None
        end, sign = relation.sides[1], relation.signs[0]
        if sign == "!=":
            return Union((Sequence("(", ")", (minus, end)), Sequence("(", ")", (end, infinite))))
        if sign[0] == "<":
            return Sequence("(", "]" if sign == "<=" else ")", (minus, end))
        return Sequence("[" if sign == ">=" else "(", ")", (end, infinite))
    if len(signs) == 2 and is_name(value.names[1]):
        if {s[0] for s in signs} == {">"}:
            turned = _turned(value)
            sides, signs = turned.sides, turned.signs
        if {s[0] for s in signs} == {"<"}:
            opening = "[" if signs[0] == "<=" else "("
            return Sequence(opening, "]" if signs[1] == "<=" else ")", (sides[0], sides[2]))
    return None
