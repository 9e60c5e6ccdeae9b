"""Each family's right choice is found by a second route, and nothing else among the choices is."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.pools import load_pool
from corl_bench.experts.simulation.tables import Cell, read_simulation
from corl_bench.grading import grade
from corl_bench.tasks import load_task
from corl_bench.tasks.distractors import distractors
from corl_bench.tasks.everyday import COUNT, EACH, LETTERS, generate
from corl_bench.tasks.everyday.families import FAMILIES
from corl_bench.tasks.everyday.words import ANALOGIES, DIRECTIONS, KINDS, MONTHS, OPPOSITES
from corl_bench.tasks.validation import find_faults


def questions(family: str) -> list[tuple[str, dict[str, str], str]]:
    """Stem, choices by letter, and the right one's text; of two seeds."""
    found = []
    for problem in (*generate("test"), *generate("test", seed=1)):
        if problem.metadata["family"] == family:
            stem, *listed = problem.text.split("\n")
            choices = {line[1]: line[4:] for line in listed}
            found.append((stem, choices, choices[problem.answer]))
    assert len(found) == 2 * EACH
    return found


def test_the_set_is_balanced_and_its_own_in_every_process() -> None:
    problems = generate("test")
    assert len({problem.text for problem in problems}) == len(problems) == COUNT == 180
    assert set(Counter(problem.answer for problem in problems).values()) == {COUNT // 5}
    assert set(Counter(problem.metadata["family"] for problem in problems).values()) == {EACH}
    assert generate("test", count=7) == problems[:7]
    with pytest.raises(ConfigError, match="no split 'train'"):
        generate("train")


def test_every_question_has_five_choices_that_differ() -> None:
    for family in FAMILIES:
        for _, choices, _ in questions(family.name):
            assert "".join(choices) == LETTERS
            assert len(set(choices.values())) == 5


def test_it_is_a_task_like_others() -> None:
    task = load_task("everyday")
    assert (task.total, task.digest_status, task.spec.licence) == (180, "pinned", "Apache-2.0")
    assert find_faults(task, grade) == []


def test_simulated_experts_answer_with_its_letters() -> None:
    simulation = read_simulation(load_pool("sim"))
    problem = generate("test", count=1)[0]
    assert simulation.cell(problem) == Cell(simulation.fallback.subject, 2, 4)
    assert set(distractors(problem)) == set(LETTERS) - {problem.answer}


def test_weekdays() -> None:
    for stem, _, right in questions("weekday"):
        today, number = re.findall(r"Today is (\w+)", stem)[0], int(re.findall(r"\d+", stem)[0])
        start = next(
            day
            for offset in range(7)
            if f"{(day := date(2024, 1, 1) + timedelta(offset)):%A}" == today
        )
        days = timedelta(number if "will it be" in stem else -number)
        assert f"{start + days:%A}" == right


def test_months() -> None:
    for stem, _, right in questions("month"):
        number, side, start = re.findall(r"(\d+) months (after|before) (\w+)", stem)[0]
        place = MONTHS.index(start)
        for _ in range(int(number)):
            place = (place + (1 if side == "after" else 11)) % 12
        assert MONTHS[place] == right


def test_clocks() -> None:
    for stem, _, right in questions("clock"):
        begins, lasts = re.findall(r"at (\d\d:\d\d) and lasts (\d+) minutes", stem)[0]
        end = datetime.strptime(begins, "%H:%M") + timedelta(minutes=int(lasts))
        assert f"{end:%H:%M}" == right


def test_turns() -> None:
    for stem, _, right in questions("turning"):
        facing = DIRECTIONS.index(re.findall(r"You face (\w+)", stem)[0]) * 45
        for degrees, side in re.findall(r"(\d+) degrees to the (right|left)", stem):
            facing += int(degrees) if side == "right" else -int(degrees)
        assert DIRECTIONS[facing % 360 // 45] == right


PLACES = {
    "the tallest": 0,
    "the second tallest": 1,
    "the third tallest": 2,
    "the fourth tallest": 3,
    "the shortest": 4,
    "at the left end": 0,
    "second from the left": 1,
    "in the middle": 2,
    "second from the right": 3,
    "at the right end": 4,
}


def test_people_in_order() -> None:
    for stem, choices, right in questions("ordering"):
        pairs = re.findall(r"(\w+) is taller than (\w+)", stem)
        (order,) = (
            people
            for people in permutations(sorted(choices.values()))
            if all(people.index(one) < people.index(other) for one, other in pairs)
        )
        assert order[PLACES[re.findall(r"Who is (.+)\?", stem)[0]]] == right


def test_people_in_a_row() -> None:
    for stem, choices, right in questions("next_to"):
        left = re.findall(r"(\w+) stands directly left of (\w+)", stem)
        left += [(b, a) for a, b in re.findall(r"(\w+) stands directly right of (\w+)", stem)]
        name, place = re.findall(r"(\w+) stands in place (\d) from the left", stem)[0]
        (row,) = (
            people
            for people in permutations(sorted(choices.values()))
            if people[int(place) - 1] == name
            and all(people.index(b) - people.index(a) == 1 for a, b in left)
        )
        assert row[PLACES[re.findall(r"Who is (.+)\?", stem)[0]]] == right


def test_alphabetical_order() -> None:
    places = ["first", "second", "third", "fourth", "last"]
    for stem, choices, right in questions("alphabet"):
        place = places.index(re.findall(r"comes (\w+) in", stem)[0])
        assert sorted(choices.values())[place] == right


def holds(claim: str, sets: dict[str, frozenset[int]]) -> bool:
    quantity, one, other = re.findall(r"(All|No|Some) (\w+) are (\w+)", claim)[0]
    shared = sets[one] & sets[other]
    return {"All": sets[one] <= sets[other], "No": not shared, "Some": bool(shared)}[quantity]


def test_conclusions() -> None:
    """Against every world of three things; sets that are empty are no worlds of everyday speech."""
    worlds = [frozenset(thing for thing in range(3) if code >> thing & 1) for code in range(1, 8)]
    for stem, choices, right in questions("syllogism"):
        premises = re.findall(r"(?:All|No|Some) \w+ are \w+", stem)
        words = sorted({word for p in premises for word in re.findall(r"\w+", p)[1::2]})
        possible = [
            sets
            for a in worlds
            for b in worlds
            for c in worlds
            if all(holds(p, sets := dict(zip(words, (a, b, c), strict=True))) for p in premises)
        ]
        certain = [x for x in choices.values() if all(holds(x, sets) for sets in possible)]
        assert possible
        assert certain == [right]


def related(stem: str) -> list[tuple[str, str]]:
    a, b = re.findall(r"“(\w+)” is to “(\w+)”", stem)[0]
    return next(list(pairs) for pairs in ANALOGIES.values() if (a, b) in pairs)


def test_words() -> None:
    both_ways = {*OPPOSITES, *((b, a) for a, b in OPPOSITES)}
    for stem, choices, right in questions("opposite"):
        word = re.findall(r"“(\w+)”", stem)[0]
        assert [x for x in choices.values() if (word, x) in both_ways] == [right]
    for stem, choices, right in questions("odd_one_out"):
        kind = re.findall(r"are (.+)\. Which", stem)[0]
        assert [x for x in choices.values() if x not in KINDS[kind]] == [right]
    for stem, choices, right in questions("analogy"):
        word = re.findall(r"as “(\w+)”", stem)[0]
        assert [x for x in choices.values() if (word, x) in related(stem)] == [right]


def test_no_word_belongs_to_two_kinds() -> None:
    counts = Counter(word for words in KINDS.values() for word in words)
    assert set(counts.values()) == {1}
    firsts = Counter(first for first, _ in OPPOSITES) + Counter(second for _, second in OPPOSITES)
    assert set(firsts.values()) == {1}


def test_a_task_of_another_name_has_no_generator(tmp_path: Path) -> None:
    file = tmp_path / "task.toml"
    file.write_text(
        'name = "mine"\ntitle = "x"\nkind = "choice"\nprompt = "{problem}"\nlicence = "x"\n'
        'default_split = "test"\nredistributable = true\n[splits.test]\ngenerated = true\n'
    )
    with pytest.raises(ConfigError, match="mine has no generator"):
        load_task(str(file))
