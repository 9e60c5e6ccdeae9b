"""The questions that every client of the comparison asks, and what is answered to them.

A question has some six hundred characters and a number, by which the server knows it; its answer
is a whole number in a box at the end of a short working. Every fourth reply is wrong, so that
graders have something to tell apart. Nothing but the standard library is needed here.
"""

from __future__ import annotations

import re

NUMBER = re.compile(rb"Problem (\d+):")

_STORY = (
    "A gardener plants tulips in rows. Each row has as many tulips as there are letters in the"
    " name of the month, and after every third row she leaves a gap in which nothing grows. On the"
    " first day she plants one row, on every later day one row more than on the day before, until"
    " the bed is full. Her neighbour counts the tulips in the evening, forgets the number, and"
    " asks how many there are in all, and how many would be left if one in seven were picked. Find"
    " the sum of both counts. Put the final answer, a whole number, in a box."
)

_WORKING = (
    "Let $n$ be the number of rows. Since each day adds one row more than the day before, after"
    " $d$ days there are $d(d+1)/2$ of them, of which every third is followed by a gap. Counting"
    " the tulips row by row gives an arithmetic progression; its sum is the first count. For the"
    " second one we take six sevenths of it, because one in seven is picked. Adding up both and"
    " simplifying, the terms with $d^2$ combine, and what is left is a whole number as wanted."
)


def question(number: int) -> str:
    """The text of a question."""
    return f"Problem {number}: {_STORY}"


def gold(number: int) -> str:
    """The right answer to it."""
    return str(number * 37 % 1000)


def reply_to(number: int) -> str:
    """What the server says: the gold answer, or every fourth time the number behind it."""
    said = int(gold(number)) + (number % 4 == 3)
    return f"{_WORKING}\n\nThe answer is $\\boxed{{{said}}}$."
