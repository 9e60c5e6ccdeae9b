"""Copies of problems are found, siblings are kept apart from them, and other ones are let be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corl_bench.tasks import load_task
from corl_bench.tasks.overlap import Kind, count_kinds, find_overlap, without
from corl_bench.tasks.synth import generate
from corl_bench.types import Problem

TRIANGLE = "Triangle $ABC$ has sides $AB = 13$, $BC = 14$ and $CA = 15$, and $D$ lies on $BC$."


def problem(name: str, text: str, answer: str = "7") -> Problem:
    return Problem(name, text, answer)


def kind_of(one: Problem, other: Problem) -> Kind | None:
    found = find_overlap([one], [problem("other", "Something else altogether."), other])
    return found[0].kind if found else None


def test_a_copy_is_found_however_it_is_typed() -> None:
    a = problem("a", r"What is $\tan 22.5^\circ$?")
    assert kind_of(a, problem("b", "what is  tan 22.5°", "8")) == "exact"
    assert kind_of(a, problem("b", "What is tan 225°?")) is None


def test_a_figure_tells_problems_apart_whose_words_are_the_same() -> None:
    text = "What is the value of $x$ in the diagram?"
    a = problem("a", f"{text} [asy] label(60); [/asy]")
    assert kind_of(a, problem("b", f"{text} [asy]label(60);[/asy]", "8")) == "exact"
    assert kind_of(a, problem("b", f"{text} [asy] label(50); [/asy]", "8")) == "premises"
    assert kind_of(a, problem("b", text)) == "figure"


def test_other_words_for_the_same_problem_have_its_numbers_and_its_gold() -> None:
    a = problem("a", f"{TRIANGLE} The tangent of angle $A$ is $m/n$ in lowest terms; find $m+n$.")
    asked = f"{TRIANGLE} Find the tangent of angle $A$."
    assert kind_of(a, problem("b", asked)) == "reworded"
    assert kind_of(a, problem("b", asked, r"\frac{4}{3}")) == "premises"
    assert kind_of(a, problem("b", asked.replace("13", "12"))) is None


def test_templates_without_numbers_of_their_own_are_no_copies() -> None:
    a = problem("a", "Determine the number of ways to arrange the letters of the word CEASE.", "60")
    b = problem("b", "Determine the number of ways to arrange the letters of the word RADII.", "60")
    assert kind_of(a, b) is None


def test_each_problem_is_found_once_as_its_surest_match() -> None:
    text = f"{TRIANGLE} Find the length of $AD$."
    a = [problem("a", text), problem("free", "Anything else?")]
    b = [problem("near", f"{text} Say why."), problem("same", text), problem("again", text)]
    found = find_overlap(a, b)
    assert [(match.a, match.b, match.kind, match.same_gold) for match in found] == [
        ("a", "same", "exact", True)
    ]
    assert without(a, found) == (a[1],)
    assert without(a, found, kinds=["reworded"]) == tuple(a)
    assert count_kinds(found) == {"exact": 1, "figure": 0, "reworded": 0, "premises": 0}


def test_a_gold_may_have_leading_zeros() -> None:
    (found,) = find_overlap([problem("a", "Find n.", "072")], [problem("b", "Find n.", "72")])
    assert found.same_gold


@pytest.mark.parametrize(("one", "other"), [("0", "0"), ("000", "0"), ("0", "000"), ("5", "05")])
def test_zero_is_a_gold_like_any_other(one: str, other: str) -> None:
    text = "A train leaves at 7 and another one at 9: how many hours lie between the two of them?"
    reworded = text.replace("A train leaves", "Suppose a train leaves")
    (found,) = find_overlap([problem("a", text, one)], [problem("b", reworded, other)])
    assert (found.kind, found.same_gold) == ("reworded", True)
    assert not any(
        match.same_gold
        for match in find_overlap([problem("a", text, one)], [problem("b", text, "7")])
    )


def test_the_generator_repeats_no_problem_in_another_split() -> None:
    validation = generate("validation")
    assert find_overlap(generate("test"), validation) == ()


# What is known of published sets, and was read pair by pair.
FACTS: list[tuple[str, str, dict[Kind, int]]] = [
    ("math500", "recordings/math-l5/problems.jsonl.zst", {"exact": 74}),
    ("aime_1983_2023", "math500", {"exact": 6, "reworded": 1, "premises": 2}),
    ("amc23", "amc_validation", {"exact": 40}),
    ("math500", "math:train", {"premises": 1}),
    ("gsm8k", "svamp", {}),
    ("aime24", "aime_1983_2023", {}),
    ("aime25", "math:train", {}),
]


@pytest.mark.parametrize(("a", "b", "known"), FACTS)
def test_published_sets_overlap_as_is_known(
    a: str, b: str, known: dict[Kind, int], shared_dir: Path
) -> None:
    one, other = (
        load_task(str(shared_dir / name) if "/" in name else name, data_dir=shared_dir / "datasets")
        for name in (a, b)
    )
    found = find_overlap(one.problems, other.problems)
    assert {kind: count for kind, count in count_kinds(found).items() if count} == known


def overlap(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "corl_bench.cli.main", "tasks", "overlap", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def write(path: Path, *problems: tuple[str, str]) -> None:
    rows = ({"problem": text, "answer": answer} for text, answer in problems)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_the_command_names_what_it_found_and_writes_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", ("What is 1 + 1?", "2"), ("What is 2 + 2?", "4"))
    write(tmp_path / "theirs.jsonl", ("what is  $1+1$", "2"))
    done = overlap(tmp_path, "mine.jsonl", "theirs.jsonl", "--write", "rest.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 2 problems of mine stand in theirs (1)" in done.stdout
    assert "mine/0" in done.stdout
    (kept,) = load_task(str(tmp_path / "rest.jsonl")).problems
    assert (kept.id, kept.text, kept.answer) == ("mine/1", "What is 2 + 2?", "4")
    (report,) = json.loads(overlap(tmp_path, "mine.jsonl", "theirs.jsonl", "--json").stdout)
    assert report["counts"]["exact"] == 1
    assert [(found["a"], found["b"]) for found in report["found"]] == [("mine/0", "theirs/0")]


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    before = '{"problem": "What is 1 + 1?", "answer": "2", "split": "test"}\n'
    (tmp_path / "mine.jsonl").write_text(before)
    for source in ("mine.jsonl", "mine.jsonl:test"):
        done = overlap(tmp_path, "synth", source, "--write", "mine.jsonl")
        assert done.returncode == 2 and "name another file" in done.stderr
    assert (tmp_path / "mine.jsonl").read_text() == before


def test_an_unknown_set_is_one_line_and_2(tmp_path: Path) -> None:
    done = overlap(tmp_path, "synth", "nothing.jsonl")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
