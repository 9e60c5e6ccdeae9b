"""The words of the field as frozen values: problems, messages, usage, budgets, verdicts.

Nothing here does anything; every other module speaks in these terms. Money is `Decimal`
dollars, token counts are whole tokens, times are seconds.

    >>> Usage(input_tokens=100, output_tokens=20).total_input_tokens
    100
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

AnswerKind = Literal["math", "integer", "choice", "text"]
ANSWER_KINDS: tuple[AnswerKind, ...] = ("math", "integer", "choice", "text")

VerdictStatus = Literal["correct", "wrong", "no_answer", "unparsable", "timeout", "error"]
VERDICT_STATUSES: tuple[VerdictStatus, ...] = (
    "correct",
    "wrong",
    "no_answer",
    "unparsable",
    "timeout",
    "error",
)

Mode = Literal["auto", "live", "record", "replay"]
"""Where the replies of a run come from; `corl_bench.experts.caller` says what each means."""
MODES: tuple[Mode, ...] = ("auto", "live", "record", "replay")


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with its gold answer.

    A routing system is handed `text` alone; everything else stays with the bench.
    """

    id: str
    """Unique within its task."""
    text: str
    """The statement, as a person would read it; no instruction, no answer."""
    answer: str
    """Gold answer, normalised when the task was loaded."""
    kind: AnswerKind = "math"
    subject: str | None = None
    level: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Whatever else the source knows, for drill-down only."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request in classes that do not overlap, so that each is billed once.

    OpenAI counts cached tokens inside its prompt tokens and Anthropic outside its input
    tokens; both are brought to this form by their client.
    """

    input_tokens: int = 0
    """Input at the full price: neither read from a cache nor written to one."""
    cached_input_tokens: int = 0
    """Input read from a cache."""
    cache_write_tokens: int = 0
    """Input written to a cache that lives five minutes (or the provider's only kind)."""
    cache_write_1h_tokens: int = 0
    """Input written to a cache that lives an hour."""
    output_tokens: int = 0
    """Output, reasoning included."""
    reasoning_tokens: int = 0
    """Of the output, how much was reasoning; informative, never billed on top."""
    estimated: bool = False
    """True where the provider gave no counts and the pool declares an estimate."""

    @property
    def total_input_tokens(self) -> int:
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.cache_write_1h_tokens
        )

    def as_dict(self) -> dict[str, int | bool]:
        """The counts that are not zero, for a file; `Usage(**d)` is the way back."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars that one problem may cost. It is information and a yardstick, never a stop."""

    name: str
    """`low`, `medium`, … or the dollars as they were written."""
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What grading says about one final answer."""

    status: VerdictStatus
    answer: str | None = None
    """The answer that was extracted, if one was found."""
    detail: str = ""
    """Why, in a few words, where that is not plain."""

    @property
    def correct(self) -> bool:
        return self.status == "correct"
