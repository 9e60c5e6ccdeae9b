"""Every family on its own: its answers by a second route, its wording, its declared type."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import count as count_from
from itertools import islice, pairwise, permutations
from random import Random

import pytest

from corl_bench.grading import grade
from corl_bench.tasks.answer_values import Value, read, same
from corl_bench.tasks.distractors import distractors
from corl_bench.tasks.synth import FAMILIES, SLOTS, Draft, Family, generate, split_of
from corl_bench.tasks.synth.families import family
from corl_bench.tasks.synth.latex import shown

INSTANCES = 20
BY_NAME = pytest.mark.parametrize("source", FAMILIES, ids=lambda f: f.name)
FORMS = {
    "integer": r"-?\d+",
    "fraction": r"-?\\frac\{\d+\}\{\d+\}",
    "radical": r".*\\sqrt.*",
    "pi": r"-?(\d*\\pi|\\frac\{\d*\\pi\}\{\d+\})",
    "interval": r"\\left[(\[].+, .+\\right[)\]]",
    "tuple": r"\(.+, .+\)",
    "set": r"(\\\{.+|\\left\\\{.+\\right)\\\}",
    "matrix": r"\\begin\{pmatrix\} .* \\end\{pmatrix\}",
    "expression": r".*([a-z]|\\pi).*",
    "letter": r"[A-E]",
}


def drafts(source: Family, count: int, seed: int = 7) -> list[Draft]:
    rng = Random(seed)
    drawn = (source.draft(rng) for _ in count_from())
    return list(islice((draft for draft in drawn if draft is not None), count))


def agrees(gold: str, other: object) -> bool:
    """Whether the value found by a second route is the one that was printed."""
    if isinstance(other, str) and gold in "ABCDE":
        return gold == other
    value = read(gold)
    assert value is not None, f"cannot read {gold}"
    if callable(other):
        return holds_exactly_on(value, other)
    if isinstance(other, (list, tuple)):
        flat = [y for x in other for y in (x if isinstance(x, (list, tuple)) else (x,))]
        return close([row[0] for row in value.rows], flat)
    if isinstance(other, (set, frozenset)):
        return close(sorted(row[0] for row in value.rows), sorted(other))
    symbols = getattr(other, "free_symbols", ())
    if symbols:
        return same(value, read(str(other).replace("**", "^")))
    return close([value.rows[0][0]], [other])


def close(ours: list, theirs: list) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(float(a), float(b), rel_tol=1e-8, abs_tol=1e-8)
        for a, b in zip(ours, theirs, strict=True)
    )


def holds_exactly_on(interval: Value, predicate) -> bool:
    (low, *_), (high, *_) = interval.rows
    low, high = Fraction(low), Fraction(high)
    step = (high - low) / 7
    inside = [low + k * step for k in range(1, 7)] + [low + step / 999, high - step / 999]
    outside = [low - step / 999, high + step / 999, low - 5 * step, high + 5 * step]
    return (
        all(map(predicate, inside))
        and not any(map(predicate, outside))
        and predicate(low) == (interval.shape[0] == "[")
        and predicate(high) == (interval.shape[1] == "]")
    )


@BY_NAME
def test_answers_agree_with_a_second_route(source: Family) -> None:
    for draft in drafts(source, INSTANCES):
        assert draft.check is not None
        found = draft.check()
        assert agrees(shown(draft.answer), found), (draft.text, draft.answer, found)


@BY_NAME
def test_answers_have_the_declared_type_and_simplest_form(source: Family) -> None:
    form = re.compile(FORMS[source.answer_type])
    for draft in drafts(source, 60):
        answer = shown(draft.answer)
        assert form.fullmatch(answer), answer
        for top, bottom in re.findall(r"frac\{(\d*)[^{}]*\}\{(\d+)\}", answer):
            assert math.gcd(int(top or 1), int(bottom)) == 1, answer
            assert bottom != "1", answer
        if source.subject == "AIME":
            assert 0 <= int(answer) <= 999


UNTIDY = re.compile(
    r"\+ -|- -|\+ \+|--|[^\d.]1[a-z](?![a-z])|[^\d.,\s]0[xy]|\^1[^\d]|\^\{1\}|  |\{\}|\$\$| [.,?]"
    r"|\b1 (?:[a-z]+s|are)\b(?! (?:in|of|and))|\ba (?:8|11|18)\b|\ban (?!8|11|18|[aeiou]|hour)"
)


@BY_NAME
def test_wording_is_tidy_and_varied(source: Family) -> None:
    made = drafts(source, 150)
    for draft in made:
        assert not UNTIDY.search(draft.text), (UNTIDY.search(draft.text), draft.text)
        assert draft.text == draft.text.strip()
        assert (draft.text.replace(r"\$", "").count("$")) % 2 == 0, draft.text
        assert draft.text.count("{") == draft.text.count("}"), draft.text
    openings = {re.sub(r"\$[^$]*\$|\d+|[A-Z]\w+", "#", d.text)[:25] for d in made}
    assert len(openings) >= 3


@BY_NAME
def test_equal_parameters_mean_equal_answers(source: Family) -> None:
    """`params` leaves nothing out that matters: else one instance could lie in two splits."""
    answers: dict[object, set[str]] = defaultdict(set)
    for draft in drafts(source, 400):
        hash(draft.params)  # only values with a stable repr: no lists, no objects
        if source.answer_type != "letter":
            answers[draft.params].add(shown(draft.answer))
    assert all(len(found) == 1 for found in answers.values())


@BY_NAME
def test_names_and_things_do_not_decide_the_split(source: Family) -> None:
    """Blind to `params`: texts that differ in capitalised words at most share their split."""
    places: dict[object, set[str]] = defaultdict(set)
    for draft in drafts(source, 400):
        stem = draft.text.partition("\n")[0]
        places[re.sub(r"[A-Z][a-z]+", "", stem)].add(split_of(source.name, draft.params))
    assert all(len(found) == 1 for found in places.values())


def test_swapped_parameters_share_a_split() -> None:
    for a, b, c in ((k, k + 3, 5 * k) for k in range(1, 60)):
        places = {split_of("any", ((x, y), z)) for x, y, z in permutations((a, b, c))}
        assert len(places) == 1


@BY_NAME
def test_a_family_has_instances_for_long_training(source: Family) -> None:
    seen = {draft.params for draft in drafts(source, 600)}
    assert len(seen) > 450


def test_every_slot_has_families_and_every_answer_type_is_there() -> None:
    cells = {(f.subject, f.level) for f in FAMILIES}
    assert cells == set(SLOTS)
    assert len(FAMILIES) >= 60
    assert {f.answer_type for f in FAMILIES} == set(FORMS)


def skeleton(text: str) -> str:
    """The text without what varies inside a family: numbers, signs, names, colors."""
    return re.sub(r"\s+", " ", re.sub(r"\d+", "#", text))


def test_no_sentence_is_shared_by_two_cells() -> None:
    owners: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for source in FAMILIES:
        for draft in drafts(source, 150):
            owners[skeleton(draft.text)].add((source.subject, source.level))
    shared = {text for text, cells in owners.items() if len(cells) > 1}
    assert not shared


def test_subject_and_level_can_be_learned_from_the_text() -> None:
    """A bag-of-words classifier, taught on train, must place nearly all of test."""

    def words(text: str) -> Counter[str]:
        pieces = re.findall(r"\\?[A-Za-z]+|#|[^\s\w]", re.sub(r"\d+", "#", text))
        return Counter([*pieces, *map(" ".join, pairwise(pieces))])

    taught: dict[str, Counter[str]] = defaultdict(Counter)
    cell_of = {f.name: (f.subject, f.level) for f in FAMILIES}
    for problem in generate("train", count=3600):
        taught[problem.metadata["family"]].update(words(problem.text).keys())
    vocabulary = len(set().union(*taught.values()))
    totals = {name: sum(counts.values()) + vocabulary / 10 for name, counts in taught.items()}

    def classify(text: str) -> tuple[str, int]:
        present = words(text).keys()
        best = max(
            taught,
            key=lambda name: sum(
                math.log((taught[name][word] + 0.1) / totals[name]) for word in present
            ),
        )
        return cell_of[best]

    test = generate("test")
    right = sum(classify(p.text) == (p.subject, p.level) for p in test)
    assert right >= 0.98 * len(test)


def test_slips_give_most_problems_wrong_answers_of_their_own() -> None:
    problems = generate("validation")
    own = [
        sum(slip in distractors(p) for slip in json_list(p.metadata.get("slips")))
        for p in problems
        if p.kind != "choice"
    ]
    assert sum(n >= 2 for n in own) > 0.9 * len(own)


def test_the_grader_accepts_every_answer_and_no_wrong_one() -> None:
    for problem in generate("test"):
        for answer in (problem.answer, *distractors(problem)):
            response = f"Therefore the answer is $\\boxed{{{answer}}}$."
            verdict = grade(problem.answer, response, kind=problem.kind)
            assert verdict.status == ("correct" if answer == problem.answer else "wrong"), answer


def json_list(text: str | None) -> list[str]:
    return json.loads(text or "[]")


def test_a_family_name_is_taken_once_and_needs_a_cell() -> None:
    with pytest.raises(ValueError, match="two families are called 'linear_equation'"):
        family("linear_equation", subject="Algebra", level=1, answer="integer")(lambda rng: None)
    with pytest.raises(ValueError, match="no cell 'Topology', level 1"):
        family("knots", subject="Topology", level=1, answer="integer")(lambda rng: None)
