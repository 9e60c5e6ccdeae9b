"""The agent inside OpenRLHF 0.11.2's own worker, sample processing, advantages and losses.

The engine is scripted or a small random Llama; everything else is OpenRLHF's. See `library` for
how it is installed.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from corl_bench.errors import CapReachedError  # noqa: E402
from corl_bench.experts.pools import load_pool  # noqa: E402
from corl_bench.routers.protocol import load_protocol  # noqa: E402
from corl_train.advantages import gae, whiten  # noqa: E402
from corl_train.losses import kl, policy_loss, value_loss  # noqa: E402
from corl_train.openrlhf import agent_path, corrections  # noqa: E402
from corl_train.openrlhf.job import VARIABLE, write_job  # noqa: E402
from corl_train.openrlhf.logs import names  # noqa: E402
from corl_train.openrlhf.soundness import UnsoundBatchError  # noqa: E402
from corl_train.policies.huggingface import HuggingFacePolicy  # noqa: E402
from training.openrlhf.engines import PolicyEngine, ScriptedEngine, wanted  # noqa: E402
from training.openrlhf.jobs import HIGH, LOW, a_job, label, problems  # noqa: E402
from training.openrlhf.library import openrlhf  # noqa: E402

pytestmark = pytest.mark.openrlhf

MOST = 2048
CLOSE = 1e-5
PROTOCOL = load_protocol("digest")
NAMES = names(("low", "high"), [expert.name for expert in load_pool("sim").experts])
CALLS = ('<call expert="nano"></call>', '<call expert="large"></call>')


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    with openrlhf(
        tmp_path_factory.mktemp("stubs"),
        "models.loss",
        "models.utils",
        "trainer.ppo_utils.experience",
        "trainer.ppo_utils.experience_maker",
        "trainer.ppo_utils.length_penalty",
        "trainer.ppo_utils.samples_generator",
        "trainer.ray.vllm_engine",
        "utils.agent",
        "utils.loss_utils",
    ) as modules:
        yield modules


@pytest.fixture
def tokenizer(llama_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(llama_folder)


class Worker:
    """OpenRLHF's rollout worker without Ray and vLLM: its own code, with an engine of a test."""

    def __init__(self, theirs: SimpleNamespace, folder: Path, **job: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(write_job(a_job(**job), folder)))
            executor = theirs.vllm_engine._load_agent_executor(str(agent_path()))
        kind = theirs.vllm_engine.RolloutRayActor.__ray_metadata__.modified_class
        self.actor = kind.__new__(kind)
        self.actor.executor = executor
        self.actor._mm_pad_token_ids = None
        self.theirs = theirs

    def samples(
        self, tokenizer: Any, engine: Any, asked: list[tuple[str, str]], *, many: int, **how: Any
    ) -> list[dict[str, Any]]:
        """What the worker answers to some prompts and labels."""

        class Llm:
            async def generate(
                self, prompt: Any, sampling_params: Any, request_id: str
            ) -> AsyncIterator[Any]:
                yield await engine.generate(list(prompt["prompt_token_ids"]), sampling_params)

        self.actor.llm = Llm()

        async def all_of_them() -> list[list[dict[str, Any]]]:
            try:
                return await asyncio.gather(
                    *(
                        self.actor.generate_responses(
                            prompt=prompt,
                            label=text,
                            sampling_params=wanted(**how),
                            max_length=MOST,
                            hf_tokenizer=tokenizer,
                            num_samples=many,
                        )
                        for prompt, text in asked
                    )
                )
            finally:
                await self.actor.executor.stage.aclose()

        return [response for group in asyncio.run(all_of_them()) for response in group]

    def experience(self, response: dict[str, Any], *, corrected: bool = True) -> Any:
        """The response as OpenRLHF's sample processing has it."""
        kind = self.theirs.samples_generator.SamplesGenerator
        if corrected:
            kind = corrections.counting_generator(kind)
        generator = kind.__new__(kind)
        return generator._process_response_into_experience(response, max_len=MOST)


def plays(*turns: str) -> Callable[[str], str]:
    """Says these turns, one after the other, in whatever conversation."""
    return lambda text: turns[text.count("<|im_start|>assistant") - 1]


def maker(theirs: SimpleNamespace, *, gamma: float = 1.0, lam: float = 1.0) -> Any:
    """Its experience maker with our correction, and the settings that its arithmetic reads."""
    advantage = SimpleNamespace(estimator="gae", gamma=gamma, lambd=lam, no_std_norm=False)
    args = SimpleNamespace(
        algo=SimpleNamespace(advantage=advantage),
        rollout=SimpleNamespace(n_samples_per_prompt=1),
        reward=SimpleNamespace(
            clip_range=None, overlong_buffer_len=None, stop_properly_penalty_coef=None
        ),
    )
    kind = corrections.skipping_maker(theirs.experience_maker.RemoteExperienceMaker)
    controller = SimpleNamespace(value=0.05)
    return kind(None, None, None, None, controller, SimpleNamespace(args=args), None)


def test_tokens_under_the_mask_are_the_controllers_text(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any
) -> None:
    worker = Worker(theirs, tmp_path)
    turns = (*CALLS, 'Well. <answer from="2"/><|im_end|>')
    engine = ScriptedEngine(tokenizer, plays(*turns))
    asked = [(p.text, label(p, budget)) for p in problems(3) for budget in (LOW, HIGH)]
    responses = worker.samples(tokenizer, engine, asked, many=2)
    assert len(responses) == 12
    for response in responses:
        experience = worker.experience(response)
        ids, mask = experience.sequences[0], experience.action_mask[0].bool()
        assert mask.shape[0] == ids.shape[0] - 1
        assert tokenizer.decode(ids[1:][mask]) == "".join(turns)
        # What came between: nothing of it is under the mask, and all of it is there.
        read = tokenizer.decode(ids[1:][~mask])
        assert read.count("<result") == 2 and "<call" not in read.split(response["prompt"])[1]
        assert (experience.rollout_log_probs[0][~mask] == 0).all()
        assert (experience.rollout_log_probs[0][mask] < 0).all()
        assert experience.response_length.tolist() == [int(mask.sum())]
        assert response["extra_logs"]["corl/tokens"] == int(mask.sum())
    assert {r["extra_logs"]["corl/high/share"] for r in responses} == {0.0, 1.0}
    assert {r["reward"] for r in responses} == {0.0, 1.0}


def test_parameters_are_private_with_our_stops_and_caps(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any
) -> None:
    worker = Worker(theirs, tmp_path)
    engine = ScriptedEngine(tokenizer, plays(*CALLS, "<answer>7</answer>"))
    (problem,) = problems(1)
    given: list[Any] = []
    execute = worker.actor.executor.execute

    async def watched(**how: Any) -> Any:
        given.append((how["sampling_params"], copy.deepcopy(how["sampling_params"])))
        return await execute(**how)

    worker.actor.executor.execute = watched
    worker.samples(tokenizer, engine, [(problem.text, label(problem))], many=3, temperature=0.7)
    assert len({id(shared) for shared, _ in given}) == 1
    assert all(vars(now) == vars(before) for now, before in given)
    for ids, how in engine.asked:
        assert how.stop == list(PROTOCOL.stops) and how.include_stop_str_in_output
        assert how.max_tokens == min(PROTOCOL.max_turn_tokens, MOST - len(ids))
        assert how.temperature == 0.7 and how.logprobs == 1


def test_logs_have_the_same_names_whatever_happens(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any
) -> None:
    worker = Worker(theirs, tmp_path)

    def turn(text: str) -> str:
        if "breaks down" in text:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return "<answer>7</answer>" if "answers" in text else "no tag at all, " * 40

    engine = ScriptedEngine(tokenizer, turn)
    (problem,) = problems(1)
    asked = [
        ("It answers.", label(problem)),
        ("It breaks down.", label(problem)),
        ("It babbles.", label(problem, None)),
        ("It is too long. " * 2000, label(problem, LOW)),
        ("It has no label.", "42"),
        ("It answers.", label(replace(problem, id="x")).replace("synth:validation", "unheard-of")),
    ]
    responses = worker.samples(tokenizer, engine, asked, many=1)
    assert all(list(r["extra_logs"]) == NAMES for r in responses)
    bad = [r["extra_logs"]["corl/bad"] for r in responses]
    assert bad == [0, 1, 0, 0, 1, 1]
    spoke = [bool(r["action_ranges"]) for r in responses]
    assert spoke == [True, False, True, False, False, False]
    experiences = [worker.experience(r) for r in responses]
    both = theirs.experience.Experience.concat_experiences(experiences, 0)
    both.index = list(range(len(experiences)))
    items = theirs.experience.split_experience_batch(both)
    again = theirs.experience.make_experience_batch(items)
    assert again.info.keys() >= set(NAMES)
    assert torch.stack([i.info["corl/bad"] for i in items]).tolist() == bad


def test_it_is_what_their_executor_makes_where_that_is_right(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any
) -> None:
    """The same conversation, told to OpenRLHF's own executor text by text."""
    worker = Worker(theirs, tmp_path)
    turns = (*CALLS, "<answer>7</answer>")
    (problem,) = problems(1)
    (ours,) = worker.samples(
        tokenizer,
        ScriptedEngine(tokenizer, plays(*turns)),
        [(problem.text, label(problem))],
        many=1,
    )
    ends = [0, *(end for _, end in ours["action_ranges"])]
    starts = [start for start, _ in ours["action_ranges"]]
    ids = ours["observation_tokens"]
    read = [tokenizer.decode(ids[a:b]) for a, b in zip(ends, starts, strict=False)]

    class Replayed(theirs.agent.AgentInstanceBase):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.told = iter(read)

        async def reset(self, states: dict[str, Any], **given: Any) -> dict[str, Any]:
            return {"observation": next(self.told)}

        async def step(self, state: dict[str, Any], **given: Any) -> dict[str, Any]:
            back = next(self.told, "")
            done = not back
            return {
                "rewards": torch.tensor(ours["reward"] if done else 0.0),
                "environment_feedback": back,
                "done": done,
                "extra_logs": ours["extra_logs"],
            }

    engine = ScriptedEngine(tokenizer, plays(*turns))
    other = asyncio.run(
        theirs.agent.MultiTurnAgentExecutor(Replayed).execute(
            prompt=ours["prompt"],
            label=ours["label"],
            sampling_params=wanted(stop=list(PROTOCOL.stops), include_stop_str_in_output=True),
            max_length=MOST,
            hf_tokenizer=tokenizer,
            llm_engine=engine,
        )
    )
    other["action_ranges"] = [tuple(place) for place in other["action_ranges"]]
    assert ours.keys() == other.keys()
    # Its text is tokenised again after each turn, and its last feedback is an empty one.
    assert ours | {"scores": None} == other | {"scores": None}


@pytest.fixture(scope="module")
def sampled(
    theirs: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory, llama_folder: Path
) -> SimpleNamespace:
    """Rollouts of a random Llama, as OpenRLHF batches them, with scores of that Llama."""
    policy = HuggingFacePolicy.open(llama_folder)
    with torch.no_grad():
        draw = torch.Generator().manual_seed(1)
        weight = policy.model.critic.weight
        weight.copy_(0.3 * torch.randn(weight.shape, generator=draw))
    worker = Worker(theirs, tmp_path_factory.mktemp("job"))
    asked = [(p.text, label(p, budget)) for p in problems(4) for budget in (LOW, HIGH)]
    responses = worker.samples(policy.chat.tokenizer, PolicyEngine(policy), asked, many=1)
    for place, response in enumerate(responses):
        assert len(response["action_ranges"]) > 1
        response["reward"] = (1.0, 0.0, 0.5)[place % 3]  # a random Llama earns nothing
    batch = theirs.experience.Experience.concat_experiences(
        [worker.experience(response) for response in responses], 0
    )
    mask = torch.nn.functional.pad(batch.action_mask, (1, 0)).float()
    with torch.no_grad():
        scores = policy.score(batch.sequences, mask, distributions=False)
    batch.index = list(range(len(responses)))
    batch.values, batch.action_log_probs = scores.values[:, 1:], scores.log_probs[:, 1:]
    reference = batch.action_log_probs - 0.1 * batch.action_mask
    batch.kl = kl(batch.action_log_probs, reference, "k1")
    return SimpleNamespace(batch=batch, mask=mask, responses=responses)


def test_engine_and_policy_find_tokens_as_probable(sampled: SimpleNamespace) -> None:
    batch = sampled.batch
    difference = (batch.rollout_log_probs - batch.action_log_probs).abs().max()
    print(f"log-probabilities: {float(difference):.1e}")
    assert difference < 1e-4


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (1.0, 0.95), (0.99, 1.0), (0.9, 0.8)])
def test_the_same_rollouts_have_the_same_advantages_and_losses(
    theirs: SimpleNamespace, sampled: SimpleNamespace, gamma: float, lam: float
) -> None:
    batch, mask = copy.deepcopy(sampled.batch), sampled.mask[:, 1:]
    (their,) = maker(theirs, gamma=gamma, lam=lam).compute_advantages_and_returns([batch])
    rewards = -0.05 * sampled.batch.kl * mask
    for row, response in enumerate(sampled.responses):
        end = response["action_ranges"][-1][1]
        rewards[row, end - 2] += response["reward"]  # of the last own token, one place earlier
    advantages, returns = gae(rewards, sampled.batch.values, mask, gamma=gamma, lam=lam)
    advantages = whiten(advantages, mask)
    new = sampled.batch.action_log_probs + 0.3 * torch.sin(torch.arange(mask.numel())).view_as(mask)
    valued = sampled.batch.values + 0.5 * torch.cos(torch.arange(mask.numel())).view_as(mask)
    loss, *_ = theirs.loss.PolicyLoss(0.2, 0.2)(
        new, batch.action_log_probs, their.advantages, batch.action_mask
    )
    criticism = theirs.loss.ValueLoss(0.2)(valued, batch.values, their.returns, batch.action_mask)
    for what, ours, other in (
        ("returns", returns, their.returns * mask),
        ("advantages", advantages, their.advantages * mask),
        ("policy loss", policy_loss(new, batch.action_log_probs, advantages, mask, clip=0.2), loss),
        ("value loss", value_loss(valued, batch.values, returns, mask, clip=0.2), criticism),
    ):
        difference = float((ours - other).abs().max())
        print(f"γ {gamma}, λ {lam}, {what}: {difference:.1e}")
        assert difference < CLOSE, what


def test_uncorrected_it_walks_through_replies(
    theirs: SimpleNamespace, sampled: SimpleNamespace
) -> None:
    base = theirs.experience_maker.RemoteExperienceMaker
    mask, values = sampled.batch.action_mask, sampled.batch.values
    rewards = torch.zeros_like(values)
    walked, _ = base.get_advantages_and_returns(None, values, rewards, mask, 1.0, 0.95)
    skipped, _ = gae(rewards, values, mask, gamma=1.0, lam=0.95)
    assert float(((walked - skipped) * mask).abs().max()) > 0.01


def test_uncorrected_replies_count_as_responses(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any
) -> None:
    worker = Worker(theirs, tmp_path)
    (problem,) = problems(1)
    engine = ScriptedEngine(tokenizer, plays(*CALLS, "<answer>7</answer>"))
    (response,) = worker.samples(tokenizer, engine, [(problem.text, label(problem))], many=1)
    own = int(response["extra_logs"]["corl/tokens"])
    start, end = response["action_ranges"][0][0], response["action_ranges"][-1][1]
    as_it_is = worker.experience(response, corrected=False)
    corrected = worker.experience(response)
    assert as_it_is.response_length.tolist() == [end - start] and end - start > own + 50
    assert corrected.response_length.tolist() == [own]
    # What comes of it: a fine for the experts' words, and none for the controller's own.
    for experience, fine in ((as_it_is, -1.0), (corrected, 0.0)):
        experience.rewards = torch.zeros(1)
        theirs.length_penalty.apply_overlong_penalty([experience], own + 40, 20)
        assert experience.rewards.tolist() == [fine]


def test_rollouts_that_say_nothing_teach_nothing(
    theirs: SimpleNamespace, sampled: SimpleNamespace
) -> None:
    silent = copy.deepcopy(sampled.batch)
    silent.action_mask[0] = 0
    old, new = silent.action_log_probs, silent.action_log_probs + 0.1
    # Their means of nothing are no numbers; ours are 0, and all others as they were.
    theirs_ = theirs.utils.masked_mean(old, silent.action_mask, dim=-1)
    ours = corrections.masked_mean(old, silent.action_mask, dim=-1)
    assert torch.isnan(theirs_[0]) and ours[0] == 0 and torch.equal(theirs_[1:], ours[1:])
    (made,) = maker(theirs).compute_advantages_and_returns([silent])
    assert torch.isfinite(made.advantages).all()
    assert torch.equal(made.returns[0], torch.zeros_like(made.returns[0]))
    # A step of nothing but such.
    empty = torch.zeros_like(silent.action_mask)
    count = theirs.loss_utils.get_loss_batch_info
    strategy = SimpleNamespace()
    for function, is_number in ((count, False), (corrections.counted(count), True)):
        loss, *_ = theirs.loss.PolicyLoss(0.2, 0.2)(
            new, old, made.advantages, empty, **function(strategy, empty)
        )
        assert bool(torch.isfinite(loss)) is is_number
    norms = corrections.counted(theirs.loss_utils._optimizer_step_loss_norm)
    assert norms([empty], None, 1, 4)["batch_num_tokens"] == 1
    full = theirs.loss_utils._optimizer_step_loss_norm([silent.action_mask], None, 1, 4)
    assert norms([silent.action_mask], None, 1, 4) == full


@pytest.mark.parametrize("what", ["cap", "an expert", "engines", "nothing"])
def test_validations_are_judged_before_they_choose_a_checkpoint(
    theirs: SimpleNamespace, tmp_path: Path, tokenizer: Any, what: str
) -> None:
    """Through the worker, its sample processing and `generate_eval_samples`, which `fit` calls."""
    worker = Worker(theirs, tmp_path)
    turns = plays(*CALLS, "<answer>7</answer>")
    asked = [(p.text, label(p)) for p in problems(30)]
    responses = worker.samples(tokenizer, ScriptedEngine(tokenizer, turns), asked, many=1)
    for response in responses:
        logs = response["extra_logs"]
        if what == "cap":
            logs["corl/cap"] = 1.0
        if what == "engines":
            logs["corl/bad"] = 1.0
        if what == "an expert":
            logs["corl/experts/large/failed"] = logs["corl/experts/large/calls"]
    kind = corrections.counting_generator(theirs.samples_generator.SamplesGenerator)
    args = SimpleNamespace(
        vllm=SimpleNamespace(enable_sleep=False), rollout=SimpleNamespace(batch_size=30)
    )
    generator = kind(SimpleNamespace(args=args), None, [], tokenizer, [])
    samples = [worker.experience(response) for response in responses]
    generator._generate_vllm = lambda **given: (samples, len(samples), True)
    if what == "nothing":
        assert generator.generate_eval_samples() == samples
        return
    with pytest.raises(CapReachedError if what == "cap" else UnsoundBatchError) as refused:
        generator.generate_eval_samples()
    said = {"cap": "30 of 30", "an expert": "expert large", "engines": "no episodes"}
    assert said[what] in str(refused.value)
