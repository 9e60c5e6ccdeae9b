"""Rollouts: episodes as a trainer sees them, token by token.

Token in, token out: what was sampled is what is trained on, never text that was tokenised
again. The mask is 1 exactly on the controller's own tokens; what it was asked and what experts
replied is context.

    batch = pad(rollouts)
    batch.mask.sum()                       # tokens that carry a gradient
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from corl_bench.results import EpisodeRecord

_Cue = TypeVar("_Cue")
_Turn = TypeVar("_Turn")
_Ended = TypeVar("_Ended")


@dataclass(slots=True)
class Transcript:
    """The tokens of one conversation so far."""

    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    """1 where the controller has said the token."""
    log_probs: list[float] = field(default_factory=list)
    """Of each token when it was sampled; 0 where it was read."""
    texts: list[str] = field(default_factory=list)
    """The messages that the tokens stand for, in order."""

    def read(self, ids: Sequence[int]) -> None:
        """Adds tokens that the controller is shown."""
        self.ids += ids
        self.mask += [0] * len(ids)
        self.log_probs += [0.0] * len(ids)

    def say(self, ids: Sequence[int], log_probs: Sequence[float]) -> None:
        """Adds tokens that the controller has sampled.

        Raises:
            ValueError: a token has no log-probability, or the other way round.
        """
        if len(ids) != len(log_probs):
            raise ValueError(f"{len(ids)} tokens, but {len(log_probs)} log-probabilities")
        self.ids += ids
        self.mask += [1] * len(ids)
        self.log_probs += log_probs


def play_out(
    conversations: Sequence[Generator[_Cue, _Turn, _Ended]],
    choose: Callable[[Sequence[_Cue]], Sequence[_Turn]],
) -> list[_Ended]:
    """Plays conversations, all at once, until each of them has ended.

    Args:
        conversations: each yields what its next turn is to be chosen by, and takes the turn.
        choose: turns for all that are open.

    Returns:
        What each of them has returned.
    """
    ended: dict[int, _Ended] = {}
    cues = {place: next(conversation) for place, conversation in enumerate(conversations)}
    while cues:
        turns = choose(list(cues.values()))
        for place, turn in zip(list(cues), turns, strict=True):
            try:
                cues[place] = conversations[place].send(turn)
            except StopIteration as over:
                ended[place] = over.value
                del cues[place]
    return [ended[place] for place in range(len(conversations))]


@dataclass(frozen=True, slots=True)
class Pointing:
    """The token by which an answer chooses an expert; see `pointing`."""

    place: int
    """Of the token in the transcript."""
    right: tuple[int, ...]
    """Tokens that would have stood there for experts who are right."""
    wrong: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One finished episode with its tokens."""

    episode: EpisodeRecord
    transcript: Transcript
    budget_usd: Decimal | None
    group: int
    """Rollouts of one problem at one budget share a group."""
    opening: int = 0
    """First turns that the policy has not said itself: they teach nothing, and neither does what
    the episode has earned tell how good the policy is."""
    reward: float = 0.0
    at_once: tuple[float, ...] = ()
    """For each own turn, what answering there would have earned: the mean over the experts that
    have replied. Empty where nobody has looked."""
    pointings: tuple[Pointing, ...] = ()
    judged: bool | None = None
    """Whether the answer is right, where others than our grader say so; see `judging`."""
    on_average: bool = False
    """The budget is for the mean of episodes, and no limit of this one."""

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.episode.verdict == "correct" if self.judged is None else self.judged

    @property
    def limit_usd(self) -> Decimal | None:
        """What the episode may cost; None: anything."""
        return None if self.on_average else self.budget_usd

    def spent_usd(self, own: str) -> list[Decimal]:
        """What the episode had cost before each turn of its own model, by that model's name."""
        spent_usd, before = Decimal(0), []
        for call in self.episode.calls:
            if call.expert == own:
                before.append(spent_usd)
            spent_usd += call.list_cost_usd
        return before


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rollouts; tensors are (rollouts, time) where nothing else is said."""

    ids: Tensor
    mask: Tensor
    """1.0 on the controller's own tokens."""
    log_probs: Tensor
    """When sampled; 0 elsewhere."""
    rewards: Tensor
    """(rollouts,)"""
    groups: Tensor
    """(rollouts,)"""
    at_once: Tensor
    """What answering in the turn of an own token would have earned; 0 elsewhere."""
    pointings: tuple[tuple[Pointing, ...], ...] = ()
    """Of each rollout, or none at all."""

    def rows(self, index: Tensor) -> Batch:
        """Some rollouts, without the columns that are padding in all of them."""
        longest = int(self.lengths[index].max())
        return Batch(
            ids=self.ids[index, :longest],
            mask=self.mask[index, :longest],
            log_probs=self.log_probs[index, :longest],
            rewards=self.rewards[index],
            groups=self.groups[index],
            at_once=self.at_once[index, :longest],
            pointings=tuple(self.pointings[row] for row in index.tolist() if self.pointings),
        )

    @property
    def lengths(self) -> Tensor:
        """Tokens up to the last one that the controller has said; what follows teaches nothing."""
        places = torch.arange(1, self.mask.shape[1] + 1, device=self.mask.device)
        return (self.mask * places).amax(dim=1).long()


def pad(rollouts: Sequence[Rollout]) -> Batch:
    """Puts rollouts into rectangular tensors, padded on the right with zeros."""
    longest = max(len(rollout.transcript.ids) for rollout in rollouts)
    said = [rollout.transcript for rollout in rollouts]
    at_once = torch.zeros(len(rollouts), longest)
    for row, rollout in enumerate(rollouts):
        if rollout.at_once:
            known = torch.tensor(_spread(rollout.at_once, rollout.transcript.mask))
            at_once[row, : len(known)] = known
    return Batch(
        ids=_padded([one.ids for one in said], longest, torch.long),
        mask=_padded([one.mask for one in said], longest, torch.float32),
        log_probs=_padded([one.log_probs for one in said], longest, torch.float32),
        rewards=torch.tensor([rollout.reward for rollout in rollouts]),
        groups=torch.tensor([rollout.group for rollout in rollouts]),
        at_once=at_once,
        pointings=tuple(rollout.pointings for rollout in rollouts),
    )


def _padded(rows: Sequence[Sequence[float]], longest: int, dtype: torch.dtype) -> Tensor:
    padded = torch.zeros(len(rows), longest, dtype=dtype)
    lengths = torch.tensor([len(row) for row in rows])
    padded[torch.arange(longest) < lengths[:, None]] = torch.tensor(
        [figure for row in rows for figure in row], dtype=dtype
    )
    return padded


def _spread(turns: Sequence[float], mask: Sequence[int]) -> list[float]:
    """A figure of each turn at all of the turn's tokens; the first turns may be nobody's."""
    own_turns = sum(own > before for before, own in pairwise((0, *mask)))
    turn, spread = len(turns) - own_turns - 1, []
    for before, own in pairwise((0, *mask)):
        turn += own and not before
        spread.append(turns[turn] if own and 0 <= turn < len(turns) else 0.0)
    return spread


def split(order: Tensor, size: int) -> list[Tensor]:
    """Pieces of an order, `size` each but for the last; nothing has none."""
    return [order[start : start + size] for start in range(0, len(order), size)]
