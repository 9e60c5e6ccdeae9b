r"""The words of simulated replies.

Invariant: the words depend on a number that knows nothing of right and wrong, and the only
part of a reply that tells anything about the problem is the answer in the box. No letter stands
alone outside the box: a reply without an answer must not read like the choice (A) or (I).

    >>> answer_text("42", 0).splitlines()[-1]
    'The final answer is $\\boxed{42}$.'
"""

from __future__ import annotations

_OPENINGS = (
    "Let me work through this step by step.",
    "We start by writing down what is given and what is asked.",
    "We first restate the problem in symbols.",
    "Let us look at the conditions one by one.",
)
_MIDDLES = (
    "Each condition gives one relation between the quantities. Putting the relations together"
    " leaves one unknown, and solving for it gives the value.",
    "Substituting the given values and simplifying removes everything but the quantity that we"
    " want. Checking it against the conditions brings up no contradiction.",
    "The first step reduces the question to one that is well known. Carrying the computation"
    " through and collecting terms gives the result.",
    "We consider the possible cases in turn. All but one are ruled out by the conditions, and the"
    " one that remains gives the result.",
)
_ENDINGS = (
    "The final answer is $\\boxed{%s}$.",
    "Therefore the answer is $\\boxed{%s}$.",
    "So we get $\\boxed{%s}$.",
)
_DEAD_ENDS = (
    "At this point the relations no longer determine the value, and no way to finish is in sight.",
    "The remaining case does not lead anywhere, so this attempt ends without any result.",
)

REFUSAL = "Sorry, but helping with this request is not possible."
UNKNOWN = "This problem is not known here, so there is no result to give."


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
    half = middle[: len(middle) // 2].rpartition(" ")[0]
    return f"{_start(wording)}\n\n{half}"


def _start(wording: int) -> str:
    return _pick(_OPENINGS, wording)


def _pick(choices: tuple[str, ...], number: int) -> str:
    return choices[number % len(choices)]
