"""The tiny policy as the algorithm sees it: what it samples is what it scores, and what it has
read has no gradient."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from random import Random

import pytest

torch = pytest.importorskip("torch")

from corl_train.config import TrainingTable  # noqa: E402
from corl_train.losses import exact_kl, masked_mean, policy_loss  # noqa: E402
from corl_train.policies.base import Speaking  # noqa: E402
from corl_train.policies.tiny import TinyPolicy  # noqa: E402
from corl_train.policies.transformer import Wanted  # noqa: E402
from corl_train.ppo import update  # noqa: E402
from corl_train.rollouts import Batch, Transcript  # noqa: E402


def batch_of(transcripts: list[Transcript], rewards: list[float]) -> Batch:
    def rows(name: str) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(getattr(t, name)) for t in transcripts], batch_first=True
        )

    return Batch(
        ids=rows("ids").long(),
        mask=rows("mask").float(),
        log_probs=rows("log_probs").float(),
        rewards=torch.tensor(rewards),
        groups=torch.zeros(len(rewards), dtype=torch.long),
        at_once=torch.zeros_like(rows("mask").float()),
    )


def converse(
    policy: TinyPolicy, *, rows: int, turns: int, temperature: float = 1.0
) -> list[Transcript]:
    """Conversations of unequal length in which everybody reads and speaks in turn."""
    session = policy.session()
    transcripts = [Transcript() for _ in range(rows)]
    for turn in range(turns):
        for row, transcript in enumerate(transcripts):
            transcript.read(policy.read("user", "one and two " * (1 + row % 3)))
        how = Speaking(4, ("</call>",), temperature)
        seeds = [10 * turn + row for row in range(rows)]
        said = session.speak(transcripts, how, seeds)
        for transcript, turn_said in zip(transcripts, said, strict=True):
            transcript.say(turn_said.ids, turn_said.log_probs)
    return transcripts


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_what_is_sampled_is_as_probable_as_teacher_forcing_says(
    policy: TinyPolicy, temperature: float
) -> None:
    transcripts = converse(policy, rows=5, turns=3, temperature=temperature)
    batch = batch_of(transcripts, [0.0] * 5)
    assert len(set(batch.lengths.tolist())) > 1  # or padding would not be tested
    with torch.no_grad():
        scores = policy.score(batch.ids, batch.mask)
    assert float((scores.log_probs - batch.log_probs).abs().max()) < 1e-4
    assert not scores.log_probs[batch.mask == 0].any()
    assert float(scores.log_probs[batch.mask > 0].std()) > 0.1


def test_what_is_sampled_follows_the_distribution(policy: TinyPolicy) -> None:
    transcript = Transcript()
    transcript.read(policy.read("user", "one and two"))
    first = Speaking(1, (), 1.0)
    draws = 600
    said = policy.session().speak([transcript] * draws, first, list(range(draws)))
    log_probs = {turn.ids[0]: turn.log_probs[0] for turn in said}
    for token, log_prob in log_probs.items():
        chance = torch.tensor(log_prob).exp().item()
        share = sum(turn.ids[0] == token for turn in said) / draws
        assert abs(share - chance) < 4.5 * (chance * (1 - chance) / draws) ** 0.5 + 1 / draws


def test_scores_do_not_depend_on_who_else_is_in_the_batch(policy: TinyPolicy) -> None:
    batch = batch_of(converse(policy, rows=5, turns=3), [0.0] * 5)
    together = policy.score(batch.ids, batch.mask)
    for row in range(5):
        part = batch.rows(torch.tensor([row]))
        alone = policy.score(part.ids, part.mask)
        time = part.ids.shape[1]
        for name in ("log_probs", "entropies", "values"):
            torch.testing.assert_close(
                getattr(together, name)[row, :time], getattr(alone, name)[0], rtol=0, atol=1e-5
            )
            assert not getattr(together, name)[row, time:].any()


def test_what_begins_alike_is_scored_once_and_as_if_alone(policy: TinyPolicy) -> None:
    dice = Random(4)
    words = len(policy.tokens)

    def drawn(tokens: int) -> list[int]:
        return [dice.randrange(words) for _ in range(tokens)]

    whole, own = [], []
    for beginning in (drawn(50), drawn(50), drawn(55), drawn(45)):
        for _ in range(3):
            behind = drawn(dice.randint(1, 9))
            whole.append(beginning + behind)
            own.append([0] * len(beginning) + [1] + [dice.randint(0, 1) for _ in behind[1:]])
    ids = torch.zeros(len(whole), 64, dtype=torch.long)
    mask = torch.zeros(ids.shape)
    for row, (tokens, said) in enumerate(zip(whole, own, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(said)] = torch.tensor(said)
    read: list[int] = []
    policy.model.embedding.register_forward_hook(
        lambda module, args, output: read.append(args[0].numel())
    )
    with torch.no_grad():
        together = policy.score(ids, mask)
    assert sum(read) < 0.6 * ids.numel()
    alone = [policy.score(ids[row : row + 1], mask[row : row + 1]) for row in range(len(ids))]
    for name in ("log_probs", "entropies", "values", "states", "distributions"):
        expected = torch.cat([getattr(scores, name) for scores in alone])
        assert torch.allclose(getattr(together, name), expected, atol=1e-5), name


def test_states_that_are_wanted_are_those_of_all_places_and_so_are_gradients(
    policy: TinyPolicy,
) -> None:
    model = policy.model
    ids = torch.randint(0, len(policy.tokens), (5, 30), generator=torch.Generator().manual_seed(1))
    rows, columns = torch.tensor([0, 0, 0, 2, 4, 4]), torch.tensor([0, 7, 29, 11, 28, 29])
    weights = torch.randn(6, 32, generator=torch.Generator().manual_seed(2))

    def gradients(states: torch.Tensor) -> list[torch.Tensor]:
        learned = [p for name, p in model.named_parameters() if not name.startswith("value")]
        return list(torch.autograd.grad((states * weights).sum(), learned))

    chosen = model(ids, wanted=Wanted.of(rows, columns, len(ids)))
    everything = model(ids)[rows, columns]
    assert torch.allclose(chosen, everything, atol=1e-5)
    for own, expected in zip(gradients(chosen), gradients(everything), strict=True):
        assert torch.allclose(own, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_conversations_that_are_alike_are_read_once_and_speak_as_if_alone(
    policy: TinyPolicy,
) -> None:
    texts = ["one and two " * 4, "two and one " * 4, "one and two " * 4] * 60
    how = Speaking(6, ("</call>",), 1.0)
    transcripts = []
    for text in texts:
        transcripts.append(Transcript())
        transcripts[-1].read(policy.read("user", text))
    read: list[int] = []
    hook = policy.model.embedding.register_forward_hook(
        lambda module, args, output: read.append(args[0].shape[0])
    )
    together = policy.session().speak(transcripts, how, range(len(texts)))
    hook.remove()
    assert read[0] == 2
    for seed in (0, 1, 2, 77, 179):
        (alone,) = policy.session().speak([transcripts[seed]], how, [seed])
        assert together[seed].ids == alone.ids
        assert together[seed].text == policy.tokens.decode(alone.ids) == alone.text
        assert together[seed].log_probs == pytest.approx(alone.log_probs, abs=1e-4)


def test_distributions_are_those_of_the_own_tokens_in_order(policy: TinyPolicy) -> None:
    batch = batch_of(converse(policy, rows=3, turns=2), [0.0] * 3)
    scores = policy.score(batch.ids, batch.mask)
    own = batch.mask > 0
    chosen = scores.distributions.gather(1, batch.ids[own][:, None])[:, 0]
    torch.testing.assert_close(chosen, scores.log_probs[own])
    torch.testing.assert_close(
        scores.distributions.exp().sum(dim=1), torch.ones(int(own.sum())), rtol=1e-5, atol=1e-5
    )
    assert float(exact_kl(scores.distributions, scores.distributions).detach().abs().max()) == 0


def test_logits_behind_which_an_expert_speaks_have_no_gradient(policy: TinyPolicy) -> None:
    batch = batch_of(converse(policy, rows=4, turns=3), [0.0] * 4)
    hidden = policy.model(batch.ids[:, :-1])
    logits = policy.model.logits(hidden)
    logits.retain_grad()
    chosen = logits.log_softmax(dim=-1).gather(2, batch.ids[:, 1:, None])[..., 0]
    mask = batch.mask[:, 1:]
    # What stands at the experts' tokens is what it would be if they were trained on.
    advantages = torch.linspace(-2, 2, mask.numel()).reshape(mask.shape)
    policy_loss(chosen, chosen.detach() - 0.05, advantages, mask, clip=0.2).backward()
    assert logits.grad is not None
    assert not logits.grad[mask == 0].any()
    assert (logits.grad[mask > 0].abs().amax(dim=-1) > 0).all()


def test_a_policy_scores_and_learns_from_its_own_tokens_only(policy: TinyPolicy) -> None:
    batch = batch_of(converse(policy, rows=4, turns=2), [0.0] * 4)

    def gradients(ids: torch.Tensor) -> list[torch.Tensor]:
        policy.module.zero_grad()
        scores = policy.score(ids, batch.mask)
        loss = masked_mean(scores.log_probs + scores.values + scores.entropies, batch.mask)
        loss.backward()
        return [p.grad.clone() for p in policy.module.parameters() if p.grad is not None]

    # Behind its last token nothing that is read matters; before it, it does.
    places = torch.arange(batch.ids.shape[1])
    behind = places >= batch.lengths[:, None]
    assert behind.any()
    expected = gradients(batch.ids)
    assert all(
        torch.equal(a, b)
        for a, b in zip(expected, gradients(torch.where(behind, 7, batch.ids)), strict=True)
    )
    read = (batch.mask == 0) & ~behind
    other = gradients(torch.where(read, 7, batch.ids))
    assert not all(torch.equal(a, b) for a, b in zip(expected, other, strict=True))


PLAIN = TrainingTable(epochs=2, minibatch=4, learning_rate=1e-2, last_learning_rate=1e-2)


def trained(
    policy: TinyPolicy,
    batch: Batch,
    how: TrainingTable,
    times: int = 1,
    optimiser_of: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
) -> TinyPolicy:
    """A copy of the policy after some updates, its old log-probabilities its own each time."""
    learner = copy.deepcopy(policy)
    optimiser = optimiser_of(learner.module.parameters(), weight_decay=0.0)
    for step in range(times):
        update(learner, policy, optimiser, batch, how, progress=0.0, rng=Random(step))
        with torch.no_grad():
            log_probs = learner.score(batch.ids, batch.mask).log_probs
        batch = dataclasses.replace(batch, log_probs=log_probs)
    return learner


@pytest.mark.parametrize("estimator", ["ppo", "grpo"])
def test_junk_at_expert_tokens_changes_no_weight(policy: TinyPolicy, estimator: str) -> None:
    batch = batch_of(converse(policy, rows=6, turns=2), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    how = PLAIN.model_copy(update={"estimator": estimator, "entropy_weight": 0.01})
    junk = torch.where(batch.mask > 0, batch.log_probs, -3.0)
    clean = trained(policy, batch, how).module.state_dict()
    dirty = trained(policy, dataclasses.replace(batch, log_probs=junk), how).module.state_dict()
    before = policy.module.state_dict()
    assert all(torch.equal(clean[name], dirty[name]) for name in clean)
    assert not all(torch.equal(clean[name], before[name]) for name in clean)


def test_a_rollout_that_said_nothing_teaches_nothing(policy: TinyPolicy) -> None:
    spoken = converse(policy, rows=3, turns=1)
    silent = Transcript()
    silent.read(policy.read("user", "one"))
    # Adam would make a step of any rounding in a gradient that is all but 0.
    sgd = torch.optim.SGD
    with_it = trained(
        policy, batch_of([*spoken, silent], [1.0, 0.0, 0.5, 0.0]), PLAIN, optimiser_of=sgd
    ).module.state_dict()
    without = trained(
        policy, batch_of(spoken, [1.0, 0.0, 0.5]), PLAIN, optimiser_of=sgd
    ).module.state_dict()
    for name, before in policy.module.state_dict().items():
        torch.testing.assert_close(with_it[name], without[name], rtol=0, atol=1e-7, msg=name)
        assert before.dim() < 2 or float((without[name] - before).abs().max()) > 1e-5


def test_a_step_is_of_no_more_episodes_than_the_recipe_says(policy: TinyPolicy) -> None:
    """However many are scored at once, and however few."""
    batch = batch_of(converse(policy, rows=8, turns=1), [1.0, 0.0] * 4)
    steps: dict[tuple[int, int], int] = {}

    class Counted(torch.optim.SGD):
        def step(self, closure: None = None) -> None:
            steps[size] = steps.get(size, 0) + 1
            super().step(closure)

    for size in ((2, 8), (4, 2), (8, 8), (8, 1)):
        minibatch, micro_batch = size
        how = PLAIN.model_copy(
            update={"epochs": 1, "minibatch": minibatch, "micro_batch": micro_batch}
        )
        trained(policy, batch, how, optimiser_of=Counted)
    assert steps == {(2, 8): 4, (4, 2): 2, (8, 8): 1, (8, 1): 1}


def test_gradients_of_a_minibatch_do_not_depend_on_how_many_are_scored_at_once(
    policy: TinyPolicy,
) -> None:
    batch = batch_of(converse(policy, rows=6, turns=2), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    learned = [
        trained(
            policy,
            batch,
            PLAIN.model_copy(update={"minibatch": 6, "micro_batch": micro_batch, "epochs": 1}),
            optimiser_of=torch.optim.SGD,
        ).module.state_dict()
        for micro_batch in (6, 2, 1)
    ]
    for other in learned[1:]:
        for name, weights in learned[0].items():
            torch.testing.assert_close(other[name], weights, rtol=0, atol=1e-6, msg=name)


def test_a_conversation_that_has_not_grown_is_continued_as_before(policy: TinyPolicy) -> None:
    transcript = Transcript()
    transcript.read(policy.read("user", "one and two"))
    session, how = policy.session(), Speaking(4, (), 0.0)
    (first,) = session.speak([transcript], how, [0])
    (again,) = session.speak([transcript], how, [0])
    assert again.ids == first.ids
    assert again.log_probs == pytest.approx(first.log_probs, abs=1e-5)


@pytest.mark.parametrize("estimator", ["ppo", "grpo"])
def test_one_batch_can_be_overfitted(policy: TinyPolicy, estimator: str) -> None:
    """Said `yes` earns 1 and said `no` earns 0, behind a turn and a reply that are the same."""
    answers = {"yes": 1.0, "no": 0.0}
    transcripts = []
    for answer in (*answers, *answers):
        transcript = Transcript()
        transcript.read(policy.read("user", "one"))
        transcript.say(policy.spell("<call></call>", ("</call>",)), [0.0, 0.0])
        transcript.read(policy.read("user", "two"))
        transcript.say(policy.spell(answer, ("yes", "no")), [0.0])
        transcripts.append(transcript)
    batch = batch_of(transcripts, [*answers.values()] * 2)
    with torch.no_grad():
        before = policy.score(batch.ids, batch.mask).log_probs
    batch = dataclasses.replace(batch, log_probs=before)
    how = PLAIN.model_copy(update={"estimator": estimator, "kl": "none", "max_grad_norm": 1.0})
    learner = trained(policy, batch, how, times=25)
    with torch.no_grad():
        after = learner.score(batch.ids, batch.mask).log_probs
    said = batch.lengths - 1
    yes, no = after[0, said[0]].exp().item(), after[1, said[1]].exp().item()
    assert before[0, said[0]].exp().item() < 0.5
    assert yes > 0.95
    assert no < before[1, said[1]].exp().item() and no < 0.01


def test_the_reference_holds_a_policy_back(policy: TinyPolicy) -> None:
    batch = batch_of(converse(policy, rows=8, turns=1), [1.0, 0.0] * 4)

    def moved(weight: float) -> float:
        how = PLAIN.model_copy(update={"kl_weight": weight, "last_kl_weight": weight})
        learner = trained(policy, batch, how, times=5)
        with torch.no_grad():
            after = learner.score(batch.ids, batch.mask).distributions
            before = policy.score(batch.ids, batch.mask).distributions
        return exact_kl(after, before).mean().item()

    assert moved(10.0) < 0.2 * moved(0.0)
