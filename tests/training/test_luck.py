"""Signs of luck worked out by hand; and that taking luck out leaves what was chosen."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from corl_train.luck import signs_of_luck, without_luck  # noqa: E402
from corl_train.rollouts import Batch  # noqa: E402


def batch(ids: list[list[int]], rewards: list[float], groups: list[int]) -> Batch:
    """Token 0 is read, tokens 1 and 3 are said, token 2 is a reply."""
    shape = (len(ids), 4)
    mask = torch.tensor([[0.0, 1.0, 0.0, 1.0]]).expand(shape)
    return Batch(
        ids=torch.tensor(ids),
        mask=mask,
        log_probs=torch.zeros(shape),
        rewards=torch.tensor(rewards),
        groups=torch.tensor(groups),
        at_once=torch.tensor([0.0, 0.0, 0.0, 0.75]).expand(shape),
    )


def test_signs_by_hand() -> None:
    # Three of one group, of which two have begun alike; one that is alone.
    rollouts = batch(
        [[5, 1, 7, 2], [5, 1, 7, 3], [5, 4, 8, 3], [5, 1, 7, 2]], [1.0, 0.0, 0.5, 1.0], [2, 2, 2, 6]
    )
    values = torch.tensor([[9.0, 0.4, 9.0, 0.6]]).expand(4, 4)
    signs = signs_of_luck(rollouts, values)
    everyone, beside, accompanied, at_once, value = signs.unbind(dim=-1)
    # The others' rewards above .4: (−.4 + .1) / 2, (.6 + .1) / 2, (.6 − .4) / 2, nobody's.
    expected = torch.tensor([-0.15, 0.35, 0.1, 0.0])
    torch.testing.assert_close(everyone[:, 1], expected)
    torch.testing.assert_close(everyone[:, 3], expected)
    # In the first state all three stand; in the second one only those who began alike.
    torch.testing.assert_close(beside[:, 1], torch.tensor([-0.15, 0.35, 0.1, 0.0]))
    torch.testing.assert_close(beside[:, 3], torch.tensor([-0.6, 0.4, 0.0, 0.0]))
    assert accompanied[:, 1].tolist() == [1, 1, 1, 0]
    assert accompanied[:, 3].tolist() == [1, 1, 0, 0]
    torch.testing.assert_close(at_once[:, 3], torch.full((4,), 0.15))
    torch.testing.assert_close(value[:, 3], torch.full((4,), 0.6))
    assert not signs[:, [0, 2]].any()


def test_luck_goes_and_what_was_chosen_stays() -> None:
    generator = torch.Generator().manual_seed(3)
    luck, chosen = torch.randn(2, 400, generator=generator)
    mask = torch.tensor([[0.0, 1.0]]).expand(400, 2)
    signs = torch.zeros(400, 2, 2)
    signs[:, 1, 0] = luck
    advantages = torch.zeros(400, 2)
    advantages[:, 1] = 0.3 * chosen + 2 * luck + 5
    left = without_luck(advantages, signs, mask)
    assert not left[:, 0].any()
    assert left[:, 1].mean().abs() < 1e-5
    # Up to what chance makes of the coefficient: 0.3 / √400, three times over.
    torch.testing.assert_close(left[:, 1], 0.3 * (chosen - chosen.mean()), atol=0.15, rtol=0)


def test_signs_that_say_the_same_or_nothing_do_no_harm() -> None:
    mask = torch.ones(40, 1)
    luck = torch.linspace(-1, 1, 40)
    signs = torch.stack([luck, luck, torch.zeros(40)], dim=-1)[:, None]
    left = without_luck(luck[:, None].clone(), signs, mask)
    assert left.abs().max() < 1e-3


def test_too_few_states_tell_no_coefficients() -> None:
    mask = torch.ones(4, 1)
    advantages = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert torch.equal(without_luck(advantages, advantages[..., None], mask), advantages)
