"""What an expert can do with a problem, how likely each of it is, and which of it happens.

Invariant: `outcomes` is the whole distribution of a call's kind and token counts, and
`draw` samples from it and from nothing else. A draw depends on (seed, expert, statement,
draw number) alone: not on the process, the order of calls or the prompt around the statement.

How answers come about, exactly as `beliefs` assumes it: of every sample an expert has one
fixed *opinion* of a problem; each answering call gives that opinion with probability
`consistency` and else a fresh one. Opinions, fixed or fresh, have one distribution: right
with the declared probability; else the problem's *trap*, one wrong answer that is the same
for all experts, with probability `trap`; else one of the other wrong answers, all alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from corl_bench.experts.simulation.tables import Cell, SimulatedExpert

OutcomeKind = Literal["answer", "no_answer", "refusal", "truncated"]

REFUSAL_QUANTA = 1
"""A refusal is one quantum of tokens long."""
_SAMPLES = 1_000_000
"""`Request.draw_seed` is the sample plus a million for each repetition of the request."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way a call can end, before it is known which answer it gives."""

    kind: OutcomeKind
    output_tokens: int
    reasoning_tokens: int
    probability: float


@dataclass(frozen=True, slots=True)
class Draw:
    """What one call brought: an outcome and, where it answers, the place of the answer.

    `answer` is 0 for the right one, 1 for the trap, 2 and up for the other wrong answers.
    """

    outcome: Outcome
    answer: int | None
    wording: int
    """A number that chooses words; it knows nothing of right and wrong."""


def outcomes(
    expert: SimulatedExpert, level: int, token_quantum: int, max_output_tokens: int | None = None
) -> tuple[Outcome, ...]:
    """Every outcome of a call with its probability; the probabilities sum to 1.

    Output is the typical output of the level times a factor from `lengths`, rounded to whole
    quanta; visible and hidden output share the factor. What would be longer than the limit
    is truncated there, as is a call that runs away (probability `truncated`).

    Args:
        expert: whose call it is.
        level: 1 to 5.
        token_quantum: output tokens are multiples of it.
        max_output_tokens: the request's limit; None: the expert's own.
    """
    limit = max_output_tokens or expert.spec.sampling.max_output_tokens or 0
    visible, hidden = expert.answer_tokens[level - 1], expert.reasoning_tokens[level - 1]
    cut = Outcome("truncated", limit, limit if hidden else 0, expert.truncated)
    refused = token_quantum * REFUSAL_QUANTA
    found = [
        Outcome("refusal", refused, 0, expert.refusal)
        if refused <= limit
        else Outcome("truncated", limit, 0, expert.refusal),
        cut,
    ]
    answers = 1 - expert.refusal - expert.truncated - expert.no_answer
    kinds: tuple[tuple[OutcomeKind, float], ...] = (
        ("no_answer", expert.no_answer),
        ("answer", answers),
    )
    for factor, share in expert.lengths:
        reasoning = _quanta(hidden * factor, token_quantum)
        output = max(_quanta((visible + hidden) * factor, token_quantum), token_quantum)
        for kind, probability in kinds:
            if output <= limit:
                found.append(Outcome(kind, output, reasoning, probability * share))
            else:
                found.append(
                    Outcome("truncated", limit, min(reasoning, limit), probability * share)
                )
    return tuple(outcome for outcome in found if outcome.probability > 0)


def draw(
    expert: SimulatedExpert,
    cell: Cell,
    possible: Sequence[Outcome],
    *,
    problem_key: str,
    draw_seed: int,
    seed: int,
) -> Draw:
    """The reply number `draw_seed` of an expert to a problem.

    Args:
        expert: who is asked.
        cell: of the problem.
        possible: `outcomes` of the expert at the cell's level.
        problem_key: identifies the statement.
        draw_seed: as in `Request.draw_seed`: sample + 1,000,000 × repetition.
        seed: of the simulation.
    """
    about = f"{seed}|{expert.name}|{problem_key}"
    which, steady, fresh, wording = _numbers(f"call|{about}|{draw_seed}")
    outcome = possible[-1]
    below = 0.0
    for candidate in possible:
        below += candidate.probability
        if _share(which) < below:
            outcome = candidate
            break
    answer = None
    if outcome.kind == "answer":
        opinion = fresh
        if _share(steady) < expert.consistency:
            opinion = _numbers(f"opinion|{about}|{draw_seed % _SAMPLES}")[0]
        answer = _answer(expert, cell, _share(opinion))
    return Draw(outcome, answer, wording)


def answer_probabilities(expert: SimulatedExpert, cell: Cell) -> tuple[float, float, float]:
    """Probability that an opinion is right, is the trap, is one given other wrong answer."""
    right = expert.right_probability(cell.subject, cell.level)
    trap = (1 - right) * expert.trap
    return right, trap, (1 - right) * (1 - expert.trap) / (cell.wrong_answers - 1)


def shuffled(wrong: tuple[str, ...], problem_key: str, seed: int) -> tuple[str, ...]:
    """Puts wrong answers in an order that only the seed knows; the first is the trap.

    Without it the trap would be the first that came to the task's mind, and guessable.
    """
    return tuple(
        sorted(wrong, key=lambda w: hashlib.sha256(f"{seed}|{problem_key}|{w}".encode()).digest())
    )


def _answer(expert: SimulatedExpert, cell: Cell, share: float) -> int:
    right, trap, other = answer_probabilities(expert, cell)
    if share < right:
        return 0
    if share < right + trap or other <= 0:
        return 1
    return min(2 + int((share - right - trap) / other), cell.wrong_answers)


def _quanta(tokens: float, quantum: int) -> int:
    return quantum * int(tokens / quantum + 0.5)


def _numbers(text: str) -> tuple[int, int, int, int]:
    digest = hashlib.sha256(text.encode()).digest()
    return (
        int.from_bytes(digest[:8], "big"),
        int.from_bytes(digest[8:16], "big"),
        int.from_bytes(digest[16:24], "big"),
        int.from_bytes(digest[24:], "big"),
    )


def _share(number: int) -> float:
    return (number >> 11) / (1 << 53)
