r"""The words of simulated replies.

Invariant: the words depend on a number that knows nothing of right and wrong, and the only
part of a reply that tells anything about the problem is the answer in the box.

    >>> answer_text("42", 0).splitlines()[-1]
    'The final answer is $\\boxed{42}$.'
"""

from __future__ import annotations

_OPENINGS = (
    "Let me work through this step by step.",
    "I start by writing down what is given and what is asked.",
    "We first restate the problem in symbols.",
    "Let us look at the conditions one at a time.",
)
_MIDDLES = (
    "Each condition gives one relation between the quantities. Putting the relations together"
    " leaves a single unknown, and solving for it gives the value.",
    "Substituting the given values and simplifying removes everything but the quantity that we"
    " want. Checking it against the conditions raises no contradiction.",
    "The first step reduces the question to a standard one. Carrying the computation through"
    " and collecting terms gives the result.",
    "I consider the possible cases in turn. All but one are ruled out by the conditions, and the"
    " one that remains gives the result.",
)
_ENDINGS = (
    "The final answer is $\\boxed{%s}$.",
    "Therefore the answer is $\\boxed{%s}$.",
    "So we get $\\boxed{%s}$.",
)
_DEAD_ENDS = (
    "At this point the relations no longer determine the value, and I do not see how to finish.",
    "The remaining case does not lead anywhere, so I cannot give a final answer.",
)

REFUSAL = "I'm sorry, but I can't help with this request."
UNKNOWN = "I do not know this problem, so I cannot answer it."


def answer_text(answer: str, wording: int) -> str:
    """A worked reply that ends in a boxed answer."""
    # Not %-formatting of the whole: answers may hold percent signs.
    ending = _pick(_ENDINGS, wording // 16).replace("%s", answer)
    return f"{_start(wording)}\n\n{_pick(_MIDDLES, wording // 4)}\n\n{ending}"


def no_answer_text(wording: int) -> str:
    """A worked reply that comes to no answer."""
    return f"{_start(wording)}\n\n{_pick(_DEAD_ENDS, wording // 4)}"


def truncated_text(wording: int) -> str:
    """A worked reply that breaks off at the output limit."""
    middle = _pick(_MIDDLES, wording // 4)
    return f"{_start(wording)}\n\n{middle[: len(middle) // 2]}"


def _start(wording: int) -> str:
    return _pick(_OPENINGS, wording)


def _pick(choices: tuple[str, ...], number: int) -> str:
    return choices[number % len(choices)]
