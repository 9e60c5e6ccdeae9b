"""The optimiser of warm starts, and what turns fall short of the best one."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from corl_bench.errors import ConfigError
from corl_train.config import WarmStartTable
from corl_train.policies.tiny import TinyPolicy
from corl_train.policies.tokens import Tokens
from corl_train.policies.transformer import Shape
from corl_train.warmstart.teaching import Teaching, falls_short

RATE = 1e-3


@pytest.fixture
def policy() -> TinyPolicy:
    tokens = Tokens(("call", "answer"), ())
    return TinyPolicy.new(tokens, Shape(len(tokens), width=16, depth=1, heads=2), seed=0)


def teaching_of(policy: TinyPolicy, optimiser: str) -> Teaching:
    how = WarmStartTable.model_validate({"optimiser": optimiser, "learning_rate": RATE})
    return Teaching(policy, how, heads={"right": 2})


def loss_of(policy: TinyPolicy, teaching: Teaching) -> Tensor:
    ids = torch.randint(4, 40, (3, 9), generator=torch.Generator().manual_seed(0))
    scores = policy.score(ids, torch.ones_like(ids))
    shares = torch.full((len(scores.states), 2), 0.25)
    return -scores.log_probs.sum() + teaching.misjudged(scores.states, "right", shares)


def steps_of(policy: TinyPolicy, optimiser: str) -> dict[str, Tensor]:
    """How far the first step moves each weight."""
    before = {name: weight.clone() for name, weight in policy.module.state_dict().items()}
    teaching = teaching_of(policy, optimiser)
    teaching.learn(loss_of(policy, teaching))
    after = policy.module.state_dict()
    return {name: after[name] - weight for name, weight in before.items()}


def test_muon_makes_steps_of_matrices_orthogonal(policy: TinyPolicy) -> None:
    moved = steps_of(policy, "muon")
    for name in ("mixed", "out", "up", "down"):
        step = moved[f"blocks.0.{name}.weight"]
        # Five rounds of Newton and Schulz leave singular values between 0.7 and 1.2 of one, but
        # where the gradient has next to nothing.
        values = torch.linalg.svdvals(step) / (0.2 * RATE * math.sqrt(max(step.shape)))
        assert values[-2] > 0.6 and values.max() < 1.3, name


def test_adamw_moves_every_weight_alike_at_first(policy: TinyPolicy) -> None:
    step = steps_of(copy.deepcopy(policy), "adamw")["blocks.0.up.weight"]
    torch.testing.assert_close(step.abs(), torch.full_like(step, RATE), rtol=1e-2, atol=0)
    assert torch.linalg.svdvals(step).max() > 2 * torch.linalg.svdvals(step).median()
    # Embeddings are no maps between states: they are AdamW's under either name.
    alike = [
        steps_of(copy.deepcopy(policy), name)["embedding.weight"] for name in ("adamw", "muon")
    ]
    torch.testing.assert_close(*alike)


def test_a_torch_without_muon_is_told(policy: TinyPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came with 2.9, and older ones are taken."""
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ConfigError, match=r"has no Muon: install 2\.9 or later, or set .*=adamw$"):
        teaching_of(policy, "muon")
    teaching_of(policy, "adamw")


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_goes_on_from_a_state_as_if_it_had_not_stopped(policy: TinyPolicy, optimiser: str) -> None:
    teaching = teaching_of(policy, optimiser)
    for _ in range(2):
        teaching.learn(loss_of(policy, teaching))
    kept = copy.deepcopy(teaching.state())
    teaching.learn(loss_of(policy, teaching))
    wanted = copy.deepcopy(policy.module.state_dict())

    resumed = teaching_of(policy, optimiser)
    resumed.restore(kept)
    resumed.learn(loss_of(policy, resumed))
    assert all(policy.module.state_dict()[name].equal(weight) for name, weight in wanted.items())


def test_what_turns_fall_short() -> None:
    # Two experts, tokens 0 and 1 call them, 2 and 3 give their answers. The first has answered.
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    worth = torch.tensor([[0.5, 0.8, 0.6]])
    rights = torch.tensor([[0.6, math.nan]])
    of_turns = 0.1 * 0.3 + 0.2 * 0.0 + 0.3 * 0.2 + 0.4 * 0.8
    of_answers = (0.4 / 0.7) * 0.6
    lost = falls_short(shares.log(), ([0, 1], [2, 3]), worth, rights)
    assert lost.item() == pytest.approx(of_turns + of_answers)


def test_beyond_the_budget_nothing_is_lost_but_belief() -> None:
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25]])
    worth = torch.tensor([[math.nan, math.nan, 0.0]])
    rights = torch.tensor([[0.9, 0.5]])
    lost = falls_short(shares.log(), ([0, 1], [2, 3]), worth, rights)
    assert lost.item() == pytest.approx(0.5 * 0.4)
