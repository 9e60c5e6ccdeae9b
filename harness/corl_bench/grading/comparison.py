r"""Are two answers the same? The house rules for structures and relations.

They stand in docs/grading.md: brackets are kept apart, an open list has no order, names give
one, a definition is its value, an inequality is its solution set. Single expressions and
quantities are `equality`'s. The verdict does not depend on the process, the hash seed or the
time of day.

    >>> from corl_bench.grading.structure import read
    >>> compare(read("(1,2)"), read("[1,2]"))
    'unequal'
    >>> compare(read("x<2"), read(r"(-\infty,2)"))
    'equal'
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from corl_bench.grading import conditions, realsets, relations, singles
from corl_bench.grading.approximation import letters
from corl_bench.grading.equality import compare_expressions, compare_scalars, worst
from corl_bench.grading.expression import Step
from corl_bench.grading.matching import Compare, distinct, in_order, match
from corl_bench.grading.realsets import Undecided
from corl_bench.grading.values import (
    Based,
    Clock,
    Congruence,
    Matrix,
    Meet,
    Relation,
    Scalar,
    Sequence,
    Series,
    Union,
    Value,
    Without,
    Words,
)
from corl_bench.grading.vectors import as_matrix, as_tuple, by_units
from corl_bench.grading.workers import Settlement
from corl_bench.patterns import regex

_APPLIED_LETTER: Final = regex(r"([A-Za-z])\(([a-z])\)")


def compare(gold: Value, answer: Value, *, lenient: bool = False) -> Settlement:
    """Compares two answers that were read.

    Args:
        gold: the answer that is known to be right.
        answer: the one to be judged.
        lenient: forgive rounding to three digits, kinds of brackets and units.
    """
    gold, answer = conditions.simplest(gold), conditions.simplest(answer)
    if isinstance(gold, Scalar) and isinstance(answer, Scalar):
        return compare_scalars(gold, answer, lenient)
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return _compare_relations(gold, answer, lenient)
    for kind, compare_kind in _BY_KIND:
        if isinstance(gold, kind) or isinstance(answer, kind):
            one, other = (gold, answer) if isinstance(gold, kind) else (answer, gold)
            return compare_kind(one, other, lenient)
    return "unequal"


def _same(lenient: bool) -> Compare:
    return partial(compare, lenient=lenient)


def _compare_sets(gold: Value, answer: Value, lenient: bool) -> Settlement:
    """As sets of reals where both can be worked out, else part by part."""
    names, other_names = conditions.unknowns(gold), conditions.unknowns(answer)
    if names and other_names and names != other_names:
        return "unequal"
    named, other_named = conditions.products(gold), conditions.products(answer)
    if named and other_named and named != other_named:
        return "unequal"  # xy = 1 and x/y = 1
    try:
        return realsets.same(conditions.real_set(gold), conditions.real_set(answer))
    except Undecided:
        one, other = conditions.as_interval(gold), conditions.as_interval(answer)
    if isinstance(one, Relation) or isinstance(other, Relation):
        return "unequal"
    if any(isinstance(side, Sequence) and not side.opening for side in (one, other)):
        return "unequal"  # 1 < x < 2 is not x = 1, x = 2
    if type(one) is not type(other):
        return "unequal"
    if isinstance(one, Union | Meet) and isinstance(other, Union | Meet):
        return match(one.parts, other.parts, _same(lenient))
    if isinstance(one, Without) and isinstance(other, Without):
        return in_order((one.whole, one.removed), (other.whole, other.removed), _same(lenient))
    return compare(one, other, lenient=lenient)


def _compare_sequence(gold: Sequence, answer: Value, lenient: bool) -> Settlement:
    if isinstance(answer, Sequence):
        return _compare_sequences(gold, answer, lenient)
    if gold.opening == "{" and len(gold.items) == 1:
        return compare(gold.items[0], answer, lenient=lenient)
    if (
        gold.opening == ":"
        and isinstance(answer, Scalar)
        and (ratio := relations.ratio(gold)) is not None
    ):
        if singles.is_whole(answer.expression):
            return "unequal"  # who answers 47:1 does not answer 47
        return compare_scalars(Scalar(ratio), answer, lenient)
    if isinstance(answer, Scalar) and letters(answer.expression) & {"j", "k"}:
        vector = by_units(gold)
        if vector is not None:
            return compare_expressions(vector, answer.expression, lenient=lenient)
    return "unequal"


def _compare_sequences(gold: Sequence, answer: Sequence, lenient: bool) -> Settlement:
    gold, answer = _listed(gold, answer), _listed(answer, gold)
    one, other = (gold.opening, gold.closing), (answer.opening, answer.closing)
    if one == other == (":", ":"):
        return _compare_ratios(gold, answer, lenient)
    if one == other and gold.opening not in ("", "{"):
        return in_order(gold.items, answer.items, _same(lenient))
    if one == other == ("{", "}"):
        return match(
            distinct(gold.items, _same(lenient)),
            distinct(answer.items, _same(lenient)),
            _same(lenient),
        )
    if one == other:
        return _compare_open(gold.items, answer.items, lenient)
    if "" in (gold.opening, answer.opening):
        closed = gold if gold.opening else answer
        bare = answer if gold.opening else gold
        names = relations.names_of(bare.items)
        if closed.opening == "{" and len(set(map(relations.without_subscripts, names))) < 2:
            return match(
                relations.bodies(gold.items), relations.bodies(answer.items), _same(lenient)
            )
        if closed.opening == "(" and closed.closing == ")" and len(bare.items) > 1:
            if len(set(names)) < len(names):
                return "unequal"  # x = 1, x = 2 are two values and no point
            return in_order(
                relations.bodies(gold.items), relations.bodies(answer.items), _same(lenient)
            )
    elif "{" in (gold.opening, answer.opening) and 1 in (len(gold.items), len(answer.items)):
        single, whole = (gold, answer) if gold.opening == "{" else (answer, gold)
        if len(single.items) == 1 and isinstance(single.items[0], Sequence):
            return compare(single.items[0], whole, lenient=lenient)
        if len(single.items) == 1 and (whole.opening, whole.closing) == ("[", "]"):
            try:
                return realsets.same(conditions.real_set(single), conditions.real_set(whole))
            except Undecided:
                return "unequal"
    if lenient:
        return match(gold.items, answer.items, _same(lenient))
    return "unequal"


def _listed(value: Sequence, other: Sequence) -> Sequence:
    """A list as programs print it, `[1, 2, 3]`; an interval, which goes upwards, stays one."""
    if (value.opening, value.closing) != ("[", "]") or other.opening not in ("", "{"):
        return value
    if len(value.items) == 2 and all(isinstance(item, Scalar) for item in value.items):
        try:
            if conditions.real_set(value):
                return value
        except Undecided:
            return value
    return Sequence("", "", value.items)


def _compare_ratios(gold: Sequence, answer: Sequence, lenient: bool) -> Settlement:
    """Part by part, or all parts by one factor."""
    outcome = in_order(gold.items, answer.items, _same(lenient))
    parts = [s.items for s in (gold, answer)]
    if outcome == "equal" or len(parts[0]) != len(parts[1]):
        return outcome
    rows = [[i.expression for i in items if isinstance(i, Scalar)] for items in parts]
    if any(len(row) < len(parts[0]) for row in rows):
        return outcome
    if any(not number[0].value.strip("0.") for row in rows for number in row[1:]):
        return outcome  # of a ratio to nothing no factor is known
    cross = (
        compare_expressions(
            (*a, *rows[1][0], Step("mul", "", 2)), (*b, *rows[0][0], Step("mul", "", 2))
        )
        for a, b in zip(rows[0][1:], rows[1][1:], strict=True)
    )
    return worst(cross)


def _compare_open(gold: tuple[Value, ...], answer: tuple[Value, ...], lenient: bool) -> Settlement:
    """Lists without brackets have no order, unless names or only one side's names give one."""
    names, other_names = relations.names_of(gold), relations.names_of(answer)
    if names and other_names and set(names) == set(other_names) and len(set(names)) == len(names):
        by_name = dict(zip(other_names, relations.bodies(answer), strict=True))
        bodies = zip(names, relations.bodies(gold), strict=True)
        return worst([compare(body, by_name[name], lenient=lenient) for name, body in bodies])
    unknowns = {relations.without_subscripts(name) for name in names or other_names}
    if len(unknowns) > 1 and not (names and other_names):
        return in_order(relations.bodies(gold), relations.bodies(answer), _same(lenient))
    if names and other_names and len(unknowns) > 1:
        return "unequal"
    named, other_named = relations.unknowns_of(gold), relations.unknowns_of(answer)
    if named and other_named and named != other_named:
        return "unequal"
    one, other = relations.bodies(gold), relations.bodies(answer)
    if all(isinstance(item, Sequence) for item in (*one, *other)):
        # Solutions named twice are the same solutions; a number named twice may be a double root.
        one, other = distinct(one, _same(lenient)), distinct(other, _same(lenient))
    return match(one, other, _same(lenient))


def _compare_matrix(gold: Matrix, answer: Value, lenient: bool) -> Settlement:
    if isinstance(answer, Scalar) and (vector := as_tuple(gold)) is not None:
        return _compare_sequence(vector, answer, lenient)
    other = as_matrix(answer, gold)
    if other is None or [len(row) for row in gold.rows] != [len(row) for row in other.rows]:
        return "unequal"
    cells = [[cell for row in matrix.rows for cell in row] for matrix in (gold, other)]
    return in_order(cells[0], cells[1], _same(lenient))


def _compare_relations(gold: Value, answer: Value, lenient: bool) -> Settlement:
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _compare_two_relations(gold, answer, lenient)
    relation, other = (gold, answer) if isinstance(gold, Relation) else (answer, gold)
    assert isinstance(relation, Relation)
    body = relations.body(relation, sums=relation is answer)
    if body is not None:
        pair = (body, other) if relation is gold else (other, body)
        return compare(*pair, lenient=lenient)
    if isinstance(other, Sequence | Union | Meet | Without):
        return _compare_sets(gold, answer, lenient)
    return "unequal"


def _compare_two_relations(gold: Relation, answer: Relation, lenient: bool) -> Settlement:
    if gold.names == answer.names and gold.signs == answer.signs:
        return "equal"
    body, other = (relations.body(relation, sums=False) for relation in (gold, answer))
    if body is not None and other is not None:
        names = [relations.defined(r) for r in (gold, answer)]
        if _same_name(names, (body, other)) or all(n == "y" or n.endswith("(x)") for n in names):
            return compare(body, other, lenient=lenient)
        if (renamed := _same_function(names, other)) is not None:
            return compare(body, renamed, lenient=lenient)
    if len(gold.signs) == 1 and len(answer.signs) == 1:
        multiple = relations.proportional(gold, answer)
        if multiple is not None:
            return "equal" if multiple else "unequal"
    for candidate in (answer, relations.turned(answer)):
        if candidate.signs == gold.signs and len(candidate.sides) == len(gold.sides):
            outcome = in_order(gold.sides, candidate.sides, _same(lenient))
            if outcome == "equal":
                return outcome
    return _compare_sets(gold, answer, lenient)


def _same_name(names: list[str], bodies: tuple[Value, Value]) -> bool:
    """The same name; that of a number keeps no case (`n = 6` and `N = 6`)."""
    one, other = names
    numbers = all(isinstance(b, Scalar) and not letters(b.expression) for b in bodies)
    return one == other or (numbers and one.casefold() == other.casefold())


def _same_function(names: list[str], body: Value) -> Value | None:
    """The body of `f(t) = …` written for `f(x) = …`; None where those are not the names."""
    one, other = (_APPLIED_LETTER.fullmatch(name) for name in names)
    if one is None or other is None or one[1] != other[1] or not isinstance(body, Scalar):
        return None
    if one[2] in letters(body.expression):
        return None
    old, new = Step("var", other[2]), Step("var", one[2])
    return Scalar(tuple(new if step == old else step for step in body.expression))


_BY_KIND: Final[tuple[tuple[type, Callable[[Any, Value, bool], Settlement]], ...]] = (
    (Series, singles.compare_series),
    (Congruence, singles.compare_congruence),
    (Clock, singles.compare_clock),
    (Based, singles.compare_based),
    (Matrix, _compare_matrix),
    (Union, _compare_sets),
    (Meet, _compare_sets),
    (Without, _compare_sets),
    (Sequence, _compare_sequence),
    (Words, singles.compare_text),
)
"""What is compared by the rules of its kind whatever it faces, in this order."""
