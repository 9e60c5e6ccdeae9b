"""Transcripts and batches: token in, token out."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from corl_bench.results import EpisodeRecord  # noqa: E402
from corl_train.rollouts import Rollout, Transcript, pad  # noqa: E402


def rollout(transcript: Transcript, *, group: int = 0, reward: float = 0.0) -> Rollout:
    episode = EpisodeRecord(
        task="t",
        problem_id="p",
        system="s",
        budget=None,
        budget_usd=None,
        sample=0,
        verdict="correct",
        answer=None,
        response=None,
    )
    return Rollout(episode, transcript, budget_usd=None, group=group, reward=reward)


def two_turns() -> Transcript:
    transcript = Transcript()
    transcript.read([1, 11, 2])
    transcript.say([21, 22], [-0.5, -0.25])
    transcript.read([1, 12, 13, 2])
    transcript.say([23], [-1.0])
    return transcript


def test_the_mask_is_one_exactly_where_the_controller_spoke() -> None:
    transcript = two_turns()
    assert transcript.ids == [1, 11, 2, 21, 22, 1, 12, 13, 2, 23]
    assert transcript.mask == [0, 0, 0, 1, 1, 0, 0, 0, 0, 1]
    assert transcript.log_probs == [0, 0, 0, -0.5, -0.25, 0, 0, 0, 0, -1.0]


@pytest.mark.parametrize("log_probs", [[], [-0.1], [-0.1, -0.2, -0.3]])
def test_every_token_said_has_its_log_probability(log_probs: list[float]) -> None:
    transcript = two_turns()
    with pytest.raises(ValueError, match="log-probabilities"):
        transcript.say([24, 25], log_probs)
    assert transcript == two_turns()


def test_padding_is_on_the_right_and_zero() -> None:
    short = Transcript()
    short.read([1, 2])
    short.say([24], [-2.0])
    batch = pad([rollout(short, group=4, reward=1.0), rollout(two_turns(), group=5)])
    assert batch.ids.tolist() == [[1, 2, 24] + [0] * 7, two_turns().ids]
    assert batch.mask.tolist() == [[0, 0, 1] + [0] * 7, two_turns().mask]
    assert batch.log_probs.tolist() == [[0, 0, -2] + [0] * 7, two_turns().log_probs]
    assert batch.rewards.tolist() == [1, 0] and batch.groups.tolist() == [4, 5]
    assert batch.ids.dtype == torch.long and batch.lengths.tolist() == [3, 10]


def test_what_follows_the_last_own_token_teaches_nothing() -> None:
    transcript = two_turns()
    transcript.read([1, 14, 2])
    silent = Transcript()
    silent.read([1, 11, 2])
    batch = pad([rollout(transcript), rollout(silent)])
    assert batch.lengths.tolist() == [10, 0]
    assert batch.rows(torch.tensor([0])).ids.tolist() == [two_turns().ids]


def test_rows_are_the_same_rollouts_without_common_padding() -> None:
    short = Transcript()
    short.read([1, 2])
    short.say([24], [-2.0])
    batch = pad([rollout(two_turns()), rollout(short, group=9, reward=0.5)])
    alone = pad([rollout(short, group=9, reward=0.5)])
    part = batch.rows(torch.tensor([1]))
    for name in ("ids", "mask", "log_probs", "rewards", "groups", "at_once"):
        assert torch.equal(getattr(part, name), getattr(alone, name)), name


def test_what_answering_would_have_earned_stands_at_each_turns_tokens() -> None:
    looked = replace(rollout(two_turns()), at_once=(0.0, 0.5))
    assert pad([looked]).at_once.tolist() == [[0.0] * 9 + [0.5]]
    # A turn before these was somebody else's.
    looked = replace(rollout(two_turns()), at_once=(9.0, 0.25, 0.5), opening=1)
    assert pad([looked]).at_once.tolist() == [[0, 0, 0, 0.25, 0.25, 0, 0, 0, 0, 0.5]]
    assert not pad([rollout(two_turns())]).at_once.any()
