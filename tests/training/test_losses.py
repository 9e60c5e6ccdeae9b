"""Losses against hand-computed masked examples, and KL estimators against the divergence itself."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from corl_train.losses import exact_kl, kl, masked_mean, policy_loss, value_loss  # noqa: E402

# One own token in the first row, two in the second; junk where the mask is 0.
MASK = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])


def table(a: float, b: float, c: float, junk: float = 7.0) -> torch.Tensor:
    """The three own tokens' numbers in their places."""
    return torch.tensor([[junk, a, junk], [b, junk, c]])


def test_a_masked_mean_is_over_all_tokens_of_the_batch() -> None:
    assert masked_mean(table(1, 2, 6), MASK).item() == 3
    assert masked_mean(table(1, 2, 6, math.nan), MASK).item() == 3
    assert masked_mean(table(1, 2, 6), torch.zeros_like(MASK)).item() == 0


def test_policy_loss_by_hand() -> None:
    # Ratios 2, ½ and 1.1 with ε = .2: gained beyond the clip, lost within it, lost beyond.
    new = table(math.log(0.4), math.log(0.1), math.log(0.55))
    old = table(math.log(0.2), math.log(0.2), math.log(0.5), junk=-50.0)
    loss = policy_loss(new, old, table(1.0, 1.0, -2.0), MASK, clip=0.2)
    assert loss.item() == pytest.approx(-(1.2 * 1 + 0.5 * 1 + 1.1 * -2) / 3)
    loss = policy_loss(new, old, table(-1.0, -1.0, 3.0), MASK, clip=0.2)
    assert loss.item() == pytest.approx(-(2 * -1 + 0.8 * -1 + 1.1 * 3) / 3)


def test_the_clip_stops_only_the_gradient_that_goes_on() -> None:
    new = table(math.log(0.4), math.log(0.1), math.log(0.5)).requires_grad_()
    old = table(math.log(0.2), math.log(0.2), math.log(0.5))
    policy_loss(new, old, table(1.0, 1.0, 1.0), MASK, clip=0.2).backward()
    # Risen by more than 20 % with a gain: stopped. Fallen with a gain: ρ A / 3 pulls it back.
    expected = torch.tensor([[0.0, 0.0, 0.0], [-0.5 / 3, 0.0, -1 / 3]])
    torch.testing.assert_close(new.grad, expected)


@pytest.mark.parametrize("junk", [-3.0, 1e30, math.inf, math.nan])
def test_what_is_masked_changes_no_policy_loss_and_no_gradient(junk: float) -> None:
    def gradient(junk: float) -> tuple[torch.Tensor, torch.Tensor]:
        new = table(-0.3, -0.2, -0.9, junk).requires_grad_()
        loss = policy_loss(new, table(-0.4, -0.1, -0.8, 0.1), table(1, -1, 2, junk), MASK, clip=0.2)
        loss.backward()
        return loss.detach(), new.grad

    loss, grad = gradient(junk)
    plain, expected = gradient(0.0)
    assert torch.equal(loss, plain) and torch.equal(grad, expected)
    assert not grad[MASK == 0].any()


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_policy_that_ran_away_has_a_finite_gradient(advantage: float) -> None:
    new = table(0.0, -0.1, -0.1).requires_grad_()
    old = table(-200.0, -0.1, -0.1)
    policy_loss(new, old, table(advantage, 1, 1), MASK, clip=0.2).backward()
    assert torch.isfinite(new.grad).all()


def test_value_loss_by_hand() -> None:
    # Towards the return beyond the clip, away from it, and a move that is no larger than the clip.
    values, before = table(1.0, 0.0, 0.55), table(0.0, 0.5, 0.5)
    returns = table(1.0, 1.0, 0.0)
    loss = value_loss(values, before, returns, MASK, clip=0.2)
    assert loss.item() == pytest.approx(0.5 * (0.8**2 + 1.0**2 + 0.55**2) / 3)


def test_a_value_that_has_moved_far_enough_towards_its_return_is_left_alone() -> None:
    values = table(1.0, 0.0, 0.55).requires_grad_()
    value_loss(values, table(0.0, 0.5, 0.5), table(1.0, 1.0, 0.0), MASK, clip=0.2).backward()
    expected = torch.tensor([[0.0, 0.0, 0.0], [-1.0 / 3, 0.0, 0.55 / 3]])
    torch.testing.assert_close(values.grad, expected)


def test_what_is_masked_changes_no_value_loss_and_no_gradient() -> None:
    def gradient(junk: float) -> tuple[torch.Tensor, torch.Tensor]:
        values = table(1.0, 0.0, 0.55, junk).requires_grad_()
        old, returns = table(0.0, 0.5, 0.5, -junk), table(1.0, 1.0, 0.0, 2 * junk)
        loss = value_loss(values, old, returns, MASK, clip=0.2)
        loss.backward()
        return loss.detach(), values.grad

    for clean, dirty in zip(gradient(0.0), gradient(1e6), strict=True):
        assert torch.equal(clean, dirty)


def test_kl_estimators_by_hand() -> None:
    new, reference = torch.tensor([math.log(0.5)]), torch.tensor([math.log(0.25)])
    assert kl(new, reference, "k1").item() == pytest.approx(math.log(2))
    assert kl(new, reference, "k2").item() == pytest.approx(math.log(2) ** 2 / 2)
    assert kl(new, reference, "k3").item() == pytest.approx(0.5 + math.log(2) - 1)


def distributions(*, rows: int = 5, size: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, rows, size, generator=draw, dtype=torch.float64)
    return logits[0], logits[1].log_softmax(dim=-1)


def test_exact_kl_is_torchs() -> None:
    logits, reference = distributions()
    log_probs = logits.log_softmax(dim=-1)
    oracle = torch.nn.functional.kl_div(reference, log_probs, reduction="none", log_target=True)
    torch.testing.assert_close(exact_kl(log_probs, reference), oracle.sum(dim=-1))
    assert not exact_kl(reference, reference).any()


def test_gradient_of_the_exact_kl() -> None:
    logits, reference = distributions()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: exact_kl(x.log_softmax(dim=-1), reference), logits)
    # For logits z: ∂KL/∂z = π (log π − log π_ref − KL).
    divergence = exact_kl(logits.log_softmax(dim=-1), reference)
    (gradient,) = torch.autograd.grad(divergence.sum(), logits)
    probs, log_probs = logits.softmax(dim=-1), logits.log_softmax(dim=-1)
    by_hand = probs * (log_probs - reference - divergence[:, None])
    torch.testing.assert_close(gradient, by_hand.detach(), check_dtype=False)


def test_estimators_are_the_exact_kl_on_average() -> None:
    logits, reference = distributions(rows=3)
    log_probs = logits.log_softmax(dim=-1)
    draw = torch.Generator().manual_seed(1)
    tokens = torch.multinomial(log_probs.exp(), 40_000, replacement=True, generator=draw)
    exact = exact_kl(log_probs, reference)
    for estimator in ("k1", "k3"):
        samples = kl(log_probs.gather(1, tokens), reference.gather(1, tokens), estimator)
        error = samples.std(dim=1) / math.sqrt(tokens.shape[1])
        assert ((samples.mean(dim=1) - exact).abs() < 4 * error).all(), estimator


def test_which_estimator_is_a_loss() -> None:
    """The mean gradient of each over the policy's own tokens, summed exactly."""
    logits, reference = distributions(rows=1)
    logits.requires_grad_()
    log_probs = logits.log_softmax(dim=-1)
    chances = log_probs.detach().exp()

    def gradient(divergence: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(divergence.sum(), logits, retain_graph=True)[0]

    wanted = gradient(exact_kl(log_probs, reference))
    found = {
        name: gradient(chances * kl(log_probs, reference, name)) for name in ("k1", "k2", "k3")
    }
    torch.testing.assert_close(found["k2"], wanted)
    torch.testing.assert_close(found["k1"], torch.zeros_like(wanted))
    torch.testing.assert_close(found["k3"], gradient(exact_kl(reference, log_probs)))


@pytest.mark.parametrize("never", [-1e4, -1e30, -math.inf])
def test_tokens_that_nobody_can_say_do_not_disturb_the_exact_kl(never: float) -> None:
    logits = torch.tensor([[0.3, -0.2, never, 1.0]], requires_grad=True)
    reference = torch.tensor([[0.1, 0.5, never, 0.0]]).log_softmax(dim=-1)
    divergence = exact_kl(logits.log_softmax(dim=-1), reference)
    divergence.sum().backward()
    possible = torch.tensor([0, 1, 3])
    bare = logits.detach()[:, possible].clone().requires_grad_()
    expected = exact_kl(bare.log_softmax(dim=-1), reference[:, possible])
    expected.sum().backward()
    torch.testing.assert_close(divergence, expected)
    torch.testing.assert_close(logits.grad[:, possible], bare.grad)
    assert logits.grad[0, 2] == 0


def test_a_token_that_only_the_reference_says_costs_nothing() -> None:
    log_probs = torch.tensor([[0.0, 0.0, -1e30]]).log_softmax(dim=-1).requires_grad_()
    reference = torch.zeros(1, 3).log_softmax(dim=-1)
    divergence = exact_kl(log_probs, reference)
    divergence.sum().backward()
    assert divergence.item() == pytest.approx(math.log(1.5))
    assert torch.isfinite(log_probs.grad).all()


def test_k3_far_from_the_reference_stays_finite() -> None:
    log_probs = torch.tensor([-300.0], requires_grad=True)
    divergence = kl(log_probs, torch.tensor([-1.0]), "k3")
    divergence.sum().backward()
    assert torch.isfinite(divergence).all() and torch.isfinite(log_probs.grad).all()
