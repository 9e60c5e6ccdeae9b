"""What lm-eval asks, in the words of an episode: statement, prompt, sample, stop strings.

The messages are lm-eval's own, few-shot examples included; an expert that is called without a
message of the system's own gets exactly these. What the system is told of the problem is its
statement where that is known (a row of ours, or one of `known`), else lm-eval's whole context.
Invariant: nothing else of lm-eval's row reaches the system.

    questions = read_requests(instances, known=[load_task("gsm8k")])
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from corl_bench.errors import ConfigError
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.interop.lm_eval.rows import LABEL, problem_of
from corl_bench.tasks import LoadedTask
from corl_bench.text import well_formed
from corl_bench.types import Message, Problem


class Chat(str):
    """A conversation as one text, which is what lm-eval wants of a chat template: JSON."""

    @classmethod
    def of(cls, messages: Sequence[Mapping[str, str]]) -> Chat:
        return cls(json.dumps(list(messages), ensure_ascii=False))

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(Message(m["role"], m["content"]) for m in json.loads(self))


class Request(Protocol):
    """An `Instance` of lm-eval, as far as it is looked at."""

    doc: Any
    task_name: str | None
    doc_id: int | None

    @property
    def args(self) -> tuple[Any, ...]: ...


@dataclass(frozen=True, slots=True)
class Question:
    """One request of lm-eval."""

    task: str
    """lm-eval's name of the task."""
    label: str
    """The task in the ledger: that of `corl-bench run` where the problem is known."""
    problem: Problem
    """Without a gold where it is not known."""
    is_known: bool
    prompt: tuple[Message, ...]
    sample: int
    """0, and further where a task repeats its requests."""
    until: tuple[str, ...]
    """The response ends in front of the first of these."""


def read_requests(requests: Iterable[Request], known: Sequence[LoadedTask]) -> list[Question]:
    """The questions of a list of requests, in its order.

    Args:
        requests: of `generate_until`; one that is to be repeated stands there repeatedly.
        known: tasks whose statements the requests hold.

    Raises:
        ConfigError: tasks are known and a request holds no statement of theirs.
    """
    book = ProblemBook(problem for task in known for problem in task.problems)
    labels = {id(problem): task.label for task in known for problem in task.problems}
    seen: Counter[tuple[str, int | None]] = Counter()
    owners: dict[tuple[str, str, int], str] = {}
    questions: list[Question] = []
    for request in requests:
        context, options = request.args[:2]
        task = request.task_name or "-"
        prompt = _messages(context)
        sample = seen[task, request.doc_id]
        seen[task, request.doc_id] += 1
        problem = problem_of(request.doc) if isinstance(request.doc, Mapping) else None
        label = task if problem is None else str(request.doc[LABEL])
        if problem is None and known:
            problem = _find(book, request.doc, prompt[-1].content)
            if problem is None:
                raise ConfigError(
                    f"request {request.doc_id} of {task} holds no statement of"
                    f" {', '.join(task.label for task in known)}: name the rows that lm-eval"
                    " reads, problems=FILE"
                )
            label = labels[id(problem)]
        if problem is None:
            text = well_formed(prompt[-1].content)
            found = Problem(id=str(request.doc_id), text=text, answer="", kind="text")
        else:
            found = problem
        # Two tasks of lm-eval may ask about one problem; each has its own lines in the ledger.
        if owners.setdefault((label, found.id, sample), task) != task:
            label = f"{label}@{task}"
        questions.append(
            Question(
                task=task,
                label=label,
                problem=found,
                is_known=problem is not None,
                prompt=prompt,
                sample=sample,
                until=_stops(options),
            )
        )
    return questions


def _messages(context: object) -> tuple[Message, ...]:
    if isinstance(context, Chat):
        return context.messages
    return (Message("user", well_formed(str(context))),)


def _find(book: ProblemBook, row: object, said: str) -> Problem | None:
    """The problem of a row: by a column that is its statement, else by the last message.

    The columns come first, for the message may hold statements of few-shot examples.
    """
    columns = row.values() if isinstance(row, Mapping) else ()
    for column in columns:
        if isinstance(column, str):
            found = book.find(column)
            if found is not None and " ".join(found.text.split()) == " ".join(column.split()):
                return found
    return book.find(said)


def _stops(options: Mapping[str, Any]) -> tuple[str, ...]:
    until = options.get("until") or ()
    return (until,) if isinstance(until, str) else tuple(map(str, until))
