"""Losses, divergences, advantages and scores against OpenRLHF 0.11.2's own functions.

OpenRLHF's arithmetic runs anywhere; `openrlhf/library.py` says how to install it.

    pytest -n 0 -rP tests/training/test_openrlhf_oracle.py    # -rP shows the largest differences

Known differences, each shown below: its GAE
walks through what the environment says, so it equals ours only at γ = λ = 1 (`walk` is there to
equal it elsewhere), and it cuts estimates of the divergence off at 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from corl_train.advantages import gae, group_advantages, whiten  # noqa: E402
from corl_train.losses import kl, masked_mean, policy_loss, value_loss  # noqa: E402
from corl_train.policies.tiny import TinyPolicy  # noqa: E402
from training.openrlhf.library import openrlhf  # noqa: E402

CLOSE = 1e-5
SEEDS = range(5)

pytestmark = pytest.mark.openrlhf


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """OpenRLHF's modules."""
    with openrlhf(
        tmp_path_factory.mktemp("stubs"),
        "models.actor",
        "models.loss",
        "models.model",
        "models.utils",
        "trainer.ppo_utils.experience",
        "trainer.ppo_utils.experience_maker",
    ) as modules:
        yield modules


def same(what: str, ours: torch.Tensor, other: torch.Tensor) -> None:
    """Equal to 1e-5; prints by how much they differ."""
    assert ours.shape == other.shape
    difference = float((ours - other).detach().abs().max())
    print(f"{what}: {difference:.1e}")
    assert difference <= CLOSE, what


def conversations(seed: int, *, rows: int = 6, time: int = 24) -> torch.Tensor:
    """Masks of rollouts with several turns, prompts and padding of all lengths."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.zeros(rows, time)
    for row in range(rows):
        place = int(torch.randint(1, 4, (), generator=draw))
        end = time - int(torch.randint(0, 5, (), generator=draw))
        while place < end:
            said, read = torch.randint(1, 5, (2,), generator=draw).tolist()
            mask[row, place : min(place + said, end)] = 1
            place += said + read
    turns = (mask.diff(dim=1) > 0).sum(dim=1)
    assert int(turns.max()) > 2 and int(turns.min()) > 1
    return mask


def random(mask: torch.Tensor, seed: int, many: int) -> list[torch.Tensor]:
    """Normal numbers everywhere, at masked tokens too."""
    draw = torch.Generator().manual_seed(1000 + seed)
    return [torch.randn(mask.shape, generator=draw) for _ in range(many)]


def maker(
    theirs: SimpleNamespace,
    *,
    estimator: str = "gae",
    gamma: float = 1.0,
    lam: float = 1.0,
    kl_weight: float = 0.0,
    samples: int = 1,
) -> Any:
    """Its experience maker, with the settings that its arithmetic reads."""
    args = SimpleNamespace(
        algo=SimpleNamespace(
            advantage=SimpleNamespace(
                estimator=estimator, gamma=gamma, lambd=lam, no_std_norm=False
            )
        ),
        rollout=SimpleNamespace(n_samples_per_prompt=samples),
        reward=SimpleNamespace(
            clip_range=None, overlong_buffer_len=None, stop_properly_penalty_coef=None
        ),
    )
    return theirs.experience_maker.RemoteExperienceMaker(
        None,
        None,
        None,
        None,
        SimpleNamespace(value=kl_weight),
        SimpleNamespace(args=args),
        None,
    )


def loss_and_gradient(
    loss: Callable[[torch.Tensor], torch.Tensor], at: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = at.clone().requires_grad_()
    value = loss(leaf)
    return value, torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_policy_loss_and_its_gradient(theirs: SimpleNamespace, seed: int) -> None:
    mask = conversations(seed)
    new, old, advantages = random(mask, seed, 3)
    new, old = -new.abs(), -old.abs()
    their = theirs.loss.PolicyLoss(0.2, 0.2)
    ours = loss_and_gradient(lambda x: policy_loss(x, old, advantages, mask, clip=0.2), new)
    other = loss_and_gradient(lambda x: their(x, old, advantages, mask)[0], new)
    same("policy loss", ours[0], other[0])
    same("policy loss's gradient", ours[1], other[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_value_loss_and_its_gradient(theirs: SimpleNamespace, seed: int) -> None:
    mask = conversations(seed)
    values, old, returns = random(mask, seed, 3)
    their = theirs.loss.ValueLoss(0.2)
    ours = loss_and_gradient(lambda x: value_loss(x, old, returns, mask, clip=0.2), values)
    other = loss_and_gradient(lambda x: their(x, old, returns, mask), values)
    same("value loss", ours[0], other[0])
    same("value loss's gradient", ours[1], other[1])


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_kl_estimators(theirs: SimpleNamespace, estimator: str) -> None:
    for seed in SEEDS:
        mask = conversations(seed)
        new, reference = (-tensor.abs().clamp(max=2.0) for tensor in random(mask, seed, 2))
        ours = kl(new, reference, estimator)
        their = theirs.utils.compute_approx_kl(new, reference, kl_estimator=estimator)
        same(estimator, ours, their)
        same(
            f"{estimator} as a loss",
            masked_mean(ours, mask),
            theirs.loss.aggregate_loss(their, mask),
        )


def test_it_cuts_divergences_off_at_ten(theirs: SimpleNamespace) -> None:
    new, reference = torch.tensor([-12.0, -4.0]), torch.tensor([-1.0, -0.5])
    their = theirs.utils.compute_approx_kl(new, reference, kl_estimator="k3")
    assert their.tolist() == [10, 10]
    assert (kl(new, reference, "k3") > 10).all()


@pytest.mark.parametrize("over", ["skip", "walk"])
def test_gae_where_nothing_is_discounted(theirs: SimpleNamespace, over: str) -> None:
    for seed in SEEDS:
        mask = conversations(seed)
        rewards, values = random(mask, seed, 2)
        ours = gae(rewards, values, mask, gamma=1.0, lam=1.0, over=over)
        their = maker(theirs).get_advantages_and_returns(values, rewards, mask, 1.0, 1.0)
        same("advantages", ours[0], their[0] * mask)
        same("returns", ours[1], their[1] * mask)


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.99, 1.0), (0.9, 0.8)])
def test_its_gae_walks_through_what_the_environment_says(
    theirs: SimpleNamespace, gamma: float, lam: float
) -> None:
    for seed in SEEDS:
        mask = conversations(seed)
        rewards, values = random(mask, seed, 2)
        estimate = maker(theirs).get_advantages_and_returns
        their = estimate(values, rewards, mask, gamma, lam)
        walked = gae(rewards, values, mask, gamma=gamma, lam=lam, over="walk")
        same("advantages, walked", walked[0], their[0] * mask)
        same("returns, walked", walked[1], their[1] * mask)
        skipped, _ = gae(rewards, values, mask, gamma=gamma, lam=lam, over="skip")
        apart = float((skipped - their[0] * mask).abs().max())
        print(f"advantages, skipped, are apart by {apart:.2f}")
        assert apart > 0.01
        # Given the own tokens alone, its GAE is what ours is among the experts' tokens.
        for row, own in enumerate(mask > 0):
            alone = [tensor[row, own][None] for tensor in (values, rewards, mask)]
            bare, _ = estimate(*alone, gamma, lam)
            same("advantages, skipped", skipped[row, own][None], bare)


@pytest.mark.parametrize(("gamma", "lam", "over"), [(1.0, 1.0, "skip"), (0.98, 0.9, "walk")])
def test_from_rewards_to_whitened_advantages(
    theirs: SimpleNamespace, gamma: float, lam: float, over: str
) -> None:
    """Its whole path: reward at the last own token, KL in the reward, GAE, whitening."""
    for seed in SEEDS:
        mask = conversations(seed)
        new, reference, values, outcome = random(mask, seed, 4)
        divergence = kl(new, reference, "k1") * mask
        outcomes = outcome[:, 0]
        experience = theirs.experience.Experience(
            action_mask=mask,
            values=values,
            kl=divergence,
            rewards=outcomes,
            index=list(range(len(mask))),
        )
        make = maker(theirs, gamma=gamma, lam=lam, kl_weight=0.05)
        (their,) = make.compute_advantages_and_returns([experience])
        rewards = -0.05 * divergence
        for row in range(len(mask)):
            rewards[row, int(mask[row].nonzero().max())] += outcomes[row]
        advantages, returns = gae(rewards, values, mask, gamma=gamma, lam=lam, over=over)
        same("returns", returns, their.returns * mask)
        same("whitened advantages", whiten(advantages, mask), their.advantages * mask)


def test_group_advantages(theirs: SimpleNamespace) -> None:
    for seed in SEEDS:
        mask = torch.cat([conversations(seed), conversations(seed + 100)])
        rewards = random(mask, seed, 1)[0][:, 0]
        experience = theirs.experience.Experience(
            action_mask=mask,
            kl=torch.zeros_like(mask),
            rewards=rewards,
            index=list(range(len(mask))),
        )
        make = maker(theirs, estimator="group_norm", samples=4)
        (their,) = make.compute_advantages_and_returns([experience])
        groups = torch.arange(len(mask)) // 4
        ours = group_advantages(rewards, groups)[:, None] * mask
        same("group advantages", ours, their.advantages * mask)


def test_masked_means_and_normalisation(theirs: SimpleNamespace) -> None:
    for seed in SEEDS:
        mask = conversations(seed)
        (values,) = random(mask, seed, 1)
        same("masked mean", masked_mean(values, mask), theirs.utils.masked_mean(values, mask))
        flat = theirs.utils.masked_normalize(values.reshape(1, -1), mask.reshape(1, -1))
        same("whitened", whiten(values, mask), flat.reshape(mask.shape))


def logits_of(policy: TinyPolicy, ids: torch.Tensor) -> torch.Tensor:
    """(batch, time, vocabulary); what is never said is told apart before any score."""
    hidden = policy.model(ids)
    return policy.log_softmax(hidden.flatten(0, 1)).unflatten(0, ids.shape)


@pytest.fixture
def scored(policy: TinyPolicy) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask for the policy."""
    mask = conversations(7)
    draw = torch.Generator().manual_seed(7)
    ids = torch.randint(4, len(policy.tokens), mask.shape, generator=draw)
    return ids, mask


def test_log_probabilities_and_entropies(
    theirs: SimpleNamespace, policy: TinyPolicy, scored: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = scored

    class Model(torch.nn.Module):
        def forward(self, ids: torch.Tensor, **given: Any) -> Any:
            return Output(logits=logits_of(policy, ids))

    class Output(dict):  # type: ignore[type-arg]
        """As of transformers: keys and attributes."""

        entropy: torch.Tensor

    actor = theirs.actor.Actor(Model())
    actor.packing_samples = False
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        their, output = actor(
            ids,
            action_mask=mask[:, 1:],
            attention_mask=torch.ones_like(ids),
            return_output=True,
            return_entropy=True,
        )
        ours = policy.score(ids, mask)
    same("log-probabilities", ours.log_probs[:, 1:], their)
    same("entropies", ours.entropies[:, 1:], output.entropy * mask[:, 1:])


def test_values_of_the_critic(
    theirs: SimpleNamespace, policy: TinyPolicy, scored: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = scored
    transformers = pytest.importorskip("transformers")
    model = policy.model

    class Config(transformers.PretrainedConfig):  # type: ignore[misc]
        model_type = "tiny-body"

    class Base(transformers.PreTrainedModel):  # type: ignore[misc]
        config_class = Config
        base_model_prefix = "body"

        def _init_weights(self, module: torch.nn.Module) -> None:
            """They are there."""

    class Body(Base):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.inner = model
            self.post_init()

        def forward(self, ids: torch.Tensor, **given: Any) -> Any:
            return {"last_hidden_state": self.inner(ids)}

    config = Config(hidden_size=model.shape.width, normalize_reward=False)
    critic = theirs.model._get_critic_model(Base, Body)(config)
    with torch.no_grad():
        critic.score.weight.copy_(model.value.weight)
        their = critic(ids, action_mask=mask[:, 1:], attention_mask=torch.ones_like(ids))
        # Its head has no bias.
        ours = policy.score(ids, mask).values[:, 1:] - model.value.bias * mask[:, 1:]
    assert float(ours.std()) > 0.1
    same("values", ours, their)


def test_supervised_loss(
    theirs: SimpleNamespace, policy: TinyPolicy, scored: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ids, mask = scored
    with torch.no_grad():
        log_probs = policy.score(ids, mask).log_probs
        logits = logits_of(policy, ids)
    ours = -masked_mean(log_probs, mask)
    same("supervised loss", ours, theirs.loss.SFTLoss()(log_probs, mask))
    labels = torch.where(mask > 0, ids, -100)
    same("supervised loss from logits", ours, theirs.loss.GPTLMLoss()(logits, labels))
