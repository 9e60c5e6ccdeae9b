"""Advantages against examples that were worked out by hand, and what must hold for any."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from corl_train.advantages import gae, group_advantages, whiten  # noqa: E402

# Two turns: the controller says tokens 1 and 2, reads 3 and 4, and says 5; 0 is its prompt, 6 is
# padding. The reward is 1 at its last token. Junk stands where the mask is 0.
MASK = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
REWARDS = [9.0, 0.0, -0.1, 9.0, 9.0, 1.0, 9.0]
VALUES = [9.0, 0.5, 0.4, 9.0, 9.0, 0.8, 9.0]


def row(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def test_two_turns_at_gamma_and_lambda_below_one() -> None:
    advantages, returns = gae(row(*REWARDS), row(*VALUES), row(*MASK), gamma=0.9, lam=0.5)
    # δ₅ = 1 − .8, δ₂ = −.1 + .9 · .8 − .4, δ₁ = .9 · .4 − .5; γλ = .45.
    a5 = 0.2
    a2 = 0.22 + 0.45 * a5
    a1 = -0.14 + 0.45 * a2
    torch.testing.assert_close(advantages, row(0, a1, a2, 0, 0, a5, 0))
    torch.testing.assert_close(returns, row(0, a1 + 0.5, a2 + 0.4, 0, 0, a5 + 0.8, 0))


def test_the_same_walked_through() -> None:
    advantages, returns = gae(
        row(*REWARDS), row(*VALUES), row(*MASK), gamma=0.9, lam=0.5, over="walk"
    )
    # Tokens 4 and 3 are steps of value 0: δ₄ = .9 · .8, δ₃ = 0, and token 2 sees no value behind.
    a5 = 0.2
    a4 = 0.72 + 0.45 * a5
    a3 = 0.45 * a4
    a2 = -0.1 - 0.4 + 0.45 * a3
    a1 = -0.14 + 0.45 * a2
    torch.testing.assert_close(advantages, row(0, a1, a2, 0, 0, a5, 0))
    torch.testing.assert_close(returns, row(0, a1 + 0.5, a2 + 0.4, 0, 0, a5 + 0.8, 0))


@pytest.mark.parametrize("over", ["skip", "walk"])
def test_without_discount_an_advantage_is_what_came_less_what_was_expected(over: str) -> None:
    advantages, returns = gae(
        row(*REWARDS), row(*VALUES), row(*MASK), gamma=1.0, lam=1.0, over=over
    )
    torch.testing.assert_close(returns, row(0, 0.9, 0.9, 0, 0, 1, 0))
    torch.testing.assert_close(advantages, row(0, 0.4, 0.5, 0, 0, 0.2, 0))


def test_at_lambda_zero_only_the_next_own_state_counts() -> None:
    advantages, _ = gae(row(*REWARDS), row(*VALUES), row(*MASK), gamma=1.0, lam=0.0)
    torch.testing.assert_close(advantages, row(0, -0.1, 0.3, 0, 0, 0.2, 0))


@pytest.mark.parametrize("over", ["skip", "walk"])
def test_what_is_masked_may_be_no_number_at_all(over: str) -> None:
    mask = row(*MASK)
    junk = torch.where(mask > 0, 0.0, torch.nan)
    clean = gae(row(*REWARDS), row(*VALUES), mask, gamma=0.9, lam=0.5, over=over)
    dirty = gae(row(*REWARDS) + junk, row(*VALUES) + junk, mask, gamma=0.9, lam=0.5, over=over)
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))


def test_a_rollout_that_said_nothing_has_no_advantage() -> None:
    advantages, returns = gae(row(1, 1), row(2, 2), row(0, 0), gamma=0.9, lam=0.9)
    assert not advantages.any() and not returns.any()


NUMBERS = st.floats(-2, 2, allow_nan=False, width=32)


@st.composite
def rollouts(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards, values and mask of up to four rollouts of up to ten tokens."""
    batch, time = draw(st.integers(1, 4)), draw(st.integers(1, 10))
    grid = [
        [(draw(NUMBERS), draw(NUMBERS), draw(st.integers(0, 1))) for _ in range(time)]
        for _ in range(batch)
    ]
    rewards, values, mask = torch.tensor(grid, dtype=torch.float64).unbind(dim=2)
    return rewards, values, mask


DISCOUNTS = st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=60)
@given(rollouts(), DISCOUNTS, DISCOUNTS)
def test_skipping_is_gae_of_the_own_tokens_alone(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor], gamma: float, lam: float
) -> None:
    rewards, values, mask = case
    advantages, returns = gae(rewards, values, mask, gamma=gamma, lam=lam)
    assert not advantages[mask == 0].any() and not returns[mask == 0].any()
    for index in range(len(mask)):
        own = mask[index] > 0
        expected, after = 0.0, 0.0
        for reward, value, got in reversed(
            list(zip(rewards[index, own], values[index, own], advantages[index, own], strict=True))
        ):
            expected = float(reward) + gamma * after - float(value) + gamma * lam * expected
            after = float(value)
            assert float(got) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(rollouts())
def test_walking_is_skipping_where_nothing_is_discounted(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    rewards, values, mask = case
    skipped = gae(rewards, values, mask, gamma=1.0, lam=1.0, over="skip")
    walked = gae(rewards, values, mask, gamma=1.0, lam=1.0, over="walk")
    for a, b in zip(skipped, walked, strict=True):
        torch.testing.assert_close(a, b)


@settings(deadline=None, max_examples=60)
@given(rollouts(), DISCOUNTS, DISCOUNTS, st.sampled_from(["skip", "walk"]), st.integers(1, 5))
def test_padding_changes_nothing(
    case: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    gamma: float,
    lam: float,
    over: str,
    more: int,
) -> None:
    rewards, values, mask = case
    time = mask.shape[1]
    bare = gae(rewards, values, mask, gamma=gamma, lam=lam, over=over)
    wider = [torch.nn.functional.pad(tensor, (0, more)) for tensor in case]
    padded = gae(*wider, gamma=gamma, lam=lam, over=over)
    for a, b in zip(bare, padded, strict=True):
        assert torch.equal(a, b[:, :time])
        assert not b[:, time:].any()
    torch.testing.assert_close(
        whiten(bare[0], mask), whiten(padded[0], wider[2])[:, :time], rtol=1e-9, atol=1e-9
    )


def test_grpo_by_hand() -> None:
    # Group 7: 1, 0, 0.5 with mean .5 and a sample's standard deviation .5; group 3 is one alone;
    # group 5 has no spread.
    rewards = torch.tensor([1.0, 0.3, 0.0, 0.9, 0.5, 0.9, 0.9])
    groups = torch.tensor([7, 3, 7, 5, 7, 5, 5])
    expected = torch.tensor([1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(group_advantages(rewards, groups), expected, rtol=1e-5, atol=1e-7)


@given(st.floats(0, 1, width=32), st.integers(2, 9))
def test_equal_rewards_teach_grpo_nothing(reward: float, size: int) -> None:
    group = group_advantages(torch.full((size,), reward), torch.zeros(size, dtype=torch.long))
    assert float(group.abs().max()) < 1e-7


def test_whitened_by_hand() -> None:
    values = torch.tensor([[1.0, 99.0, 2.0], [math.nan, 3.0, 99.0]])
    mask = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    unit = 1 / math.sqrt(2 / 3)
    torch.testing.assert_close(
        whiten(values, mask), torch.tensor([[-unit, 0.0, 0.0], [0.0, unit, 0.0]])
    )


@pytest.mark.parametrize("mask", [[[1.0, 1.0]], [[0.0, 0.0]]])
def test_whitening_what_has_no_spread_gives_zeros(mask: list[list[float]]) -> None:
    assert not whiten(torch.tensor([[0.5, 0.5]]), torch.tensor(mask)).any()
