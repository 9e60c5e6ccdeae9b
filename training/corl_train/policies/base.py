"""What a trainable controller must be able to do, whatever model is inside.

A policy reads messages as tokens, samples turns for many conversations at once, and says how
probable a sequence was. Trainer, environment and evaluation know nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from corl_train.rollouts import Transcript


@dataclass(frozen=True, slots=True)
class Speaking:
    """How turns are sampled."""

    max_tokens: int
    stops: tuple[str, ...]
    """Strings that end a turn; the string itself is kept."""
    temperature: float = 1.0
    """0 takes the most probable token."""


@dataclass(frozen=True, slots=True)
class Said:
    """One turn."""

    ids: list[int]
    log_probs: list[float]
    """At temperature 1, whatever the sampling: what training compares with."""
    text: str
    finish: str
    """`stop`, `length` where the limit cut it, `context` where there was no room to speak."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a policy thinks of given sequences; tensors are (batch, time) but for the last two."""

    log_probs: Tensor
    """Of each token given those before it; 0 where the mask is 0."""
    entropies: Tensor
    """Of the distribution that each token was drawn from, nats; 0 where the mask is 0."""
    values: Tensor
    """Of the state in which each token was chosen; 0 where the mask is 0."""
    states: Tensor
    """What the model knows where each own token was chosen, (own tokens, width), row by row."""
    distributions: Tensor | None = None
    """Log-probabilities of the whole vocabulary, (own tokens, vocabulary), row by row: where the
    mask is 1 and nowhere else. None where a vocabulary is too large to keep them."""


class Session(Protocol):
    """Conversations with a policy whose weights do not change meanwhile."""

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        """Samples the next turn of each conversation.

        Args:
            transcripts: what has been read and said; not changed. One that was spoken to before
                and has grown since may be continued from what is remembered of it.
            how: limits and temperature.
            seeds: one for each conversation; equal seeds draw alike in any batch.
        """
        ...


class Player(Protocol):
    """Who can take the controller's part in a conversation."""

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        """Tokens of a message; behind a user's come those that lead to the controller's turn.

        Args:
            role: `user` or `assistant`.
            text: of the message.
            behind: tokens of the conversation so far; empty at its beginning, where a chat
                template may have a word to say first.

        Raises:
            ConfigError: a message that the policy cannot tell from others, such as a budget that
                it was not trained for.
        """
        ...

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        """Tokens of a turn as the policy would say it.

        Its end is one of them where no stop string ends it.
        """
        ...

    def session(self) -> Session:
        """A place to speak in; what it remembers holds while the weights stay as they are."""
        ...


class Policy(Player, Protocol):
    """A causal language model that speaks in turns, and can learn."""

    @property
    def module(self) -> nn.Module:
        """What has parameters."""
        ...

    @property
    def context(self) -> int:
        """Longest conversation, in tokens."""
        ...

    def score(self, ids: Tensor, mask: Tensor, *, distributions: bool = True) -> Scores:
        """Scores sequences by teacher forcing.

        Args:
            ids: (batch, time).
            mask: (batch, time), 1.0 on the controller's own tokens.
            distributions: whether whole distributions are wanted, too; a large model leaves
                them out (None) where they are not.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes weights and whatever is needed to load them."""
        ...
