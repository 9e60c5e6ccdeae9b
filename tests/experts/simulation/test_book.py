from __future__ import annotations

from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.tasks.distractors import distractors
from corl_bench.types import Problem


def _problem(text: str, answer: str = "1") -> Problem:
    return Problem(id=text[:8], text=text, answer=answer)


def test_finds_by_exact_text_by_folded_text_and_inside_a_message() -> None:
    problem = _problem("Let $x$ be a real number\nwith $x + 1 = 3$. Find $x$.", "2")
    book = ProblemBook([problem, _problem("Something else entirely, of no use here.")])
    assert book.find(problem.text) is problem
    assert book.find("Let $x$ be a real number with   $x + 1 = 3$. Find $x$.\n") is problem
    message = f"Solve the problem.\n<problem>{problem.text}</problem>\nBox the answer."
    assert book.find(message) is problem
    assert book.find("Let $x$ be a real number with $x + 1 = 4$. Find $x$.") is None


def test_takes_the_longest_of_several_statements() -> None:
    short = _problem("What is 1 + 1?")
    long = _problem("Ann asks Bob: What is 1 + 1? Bob answers twice that. What does he say?")
    book = ProblemBook([short, long])
    assert book.find(f"Please answer. {long.text} Thank you.") is long
    assert book.find("Please answer. What is 1 + 1? Thank you.") is short


def test_a_decimal_point_makes_another_problem() -> None:
    book = ProblemBook([_problem("tan 22.5"), _problem("tan 225")])
    found = book.find("Compute tan 22.5 now")
    assert found is not None and found.text == "tan 22.5"


def test_a_statement_ends_where_its_last_number_does() -> None:
    book = ProblemBook([_problem("Find the tangent tan 22"), _problem("an 7")])
    assert book.find("Find the tangent tan 225, please") is None
    assert book.find("Find the tangent tan 22.5") is None
    assert book.find("Find the tangent tan 22. Thank you") is not None
    assert book.find("We plan 7 dinners") is None


def test_the_first_problem_with_a_statement_stays() -> None:
    first, second = _problem("Same text.", "1"), _problem("Same  text.", "2")
    book = ProblemBook([first])
    book.add([second, _problem("  ")])
    assert book.find("Same text.") is first
    assert len(book) == 1


def test_wrong_answers_are_found_once() -> None:
    problem = _problem("What is 6 times 7?", "42")
    book = ProblemBook([problem])
    found = book.distractors(problem)
    assert found == distractors(problem)
    assert book.distractors(problem) is found
