"""A Hugging Face model as the algorithm sees it: what it samples is what it scores, what is saved
is what was trained, and memory is spent on the controller's own tokens alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from corl_bench.errors import ConfigError  # noqa: E402
from corl_train.config import TrainingTable  # noqa: E402
from corl_train.losses import masked_mean  # noqa: E402
from corl_train.policies.base import Speaking  # noqa: E402
from corl_train.policies.draws import draw  # noqa: E402
from corl_train.policies.huggingface import CRITIC_NAME, HuggingFacePolicy, Lora  # noqa: E402
from corl_train.policies.loading import open_policy  # noqa: E402
from corl_train.policies.tiny import TinyPolicy  # noqa: E402
from corl_train.ppo import update  # noqa: E402
from corl_train.rollouts import Batch, Transcript  # noqa: E402
from corl_train.runs.hardware import gpu_figures  # noqa: E402
from small_models import save_gpt2, save_llama, small_tokenizer  # noqa: E402

STOPS = ("</call>", "</answer>")


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture
def model(llama_folder: Path) -> HuggingFacePolicy:
    return HuggingFacePolicy.open(llama_folder)


def converse(
    policy: HuggingFacePolicy, *, rows: int = 4, turns: int = 2, temperature: float = 1.0
) -> list[Transcript]:
    """Conversations of unequal length in which everybody reads and speaks in turn."""
    session = policy.session()
    transcripts = [Transcript() for _ in range(rows)]
    for turn in range(turns):
        for row, transcript in enumerate(transcripts):
            asked = "What is the sum? " * (1 + (row + turn) % 3)
            transcript.read(policy.read("user", asked, behind=transcript.ids))
        how = Speaking(6, STOPS, temperature)
        seeds = [10 * turn + row for row in range(rows)]
        for transcript, said in zip(
            transcripts, session.speak(transcripts, how, seeds), strict=True
        ):
            transcript.say(said.ids, said.log_probs)
    return transcripts


def batch_of(transcripts: list[Transcript], rewards: list[float] | None = None) -> Batch:
    def rows(name: str) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(getattr(t, name)) for t in transcripts], batch_first=True
        )

    return Batch(
        ids=rows("ids").long(),
        mask=rows("mask").float(),
        log_probs=rows("log_probs").float(),
        rewards=torch.tensor(rewards or [0.0] * len(transcripts)),
        groups=torch.zeros(len(transcripts), dtype=torch.long),
        at_once=torch.zeros_like(rows("mask").float()),
    )


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_what_is_sampled_is_as_probable_as_teacher_forcing_says(
    request: pytest.FixtureRequest, kind: str, temperature: float
) -> None:
    policy = HuggingFacePolicy.open(request.getfixturevalue(f"{kind}_folder"))
    batch = batch_of(converse(policy, temperature=temperature))
    assert len(set(batch.lengths.tolist())) > 1  # or padding would not be tested
    with torch.no_grad():
        scores = policy.score(batch.ids, batch.mask)
    assert float((scores.log_probs - batch.log_probs).abs().max()) < 1e-4
    assert not scores.log_probs[batch.mask == 0].any()
    if temperature:
        assert float(scores.log_probs[batch.mask > 0].std()) > 0.1


def test_scores_are_those_of_the_whole_model(model: HuggingFacePolicy) -> None:
    """Against logits of all tokens, straight from transformers."""
    batch = batch_of(converse(model))
    with torch.no_grad():
        scores = model.score(batch.ids, batch.mask)
        logits = model.model.lm(batch.ids).logits[:, :-1]
    logits[..., [*model.chat.never_said, *range(len(model.chat.tokenizer), 416)]] = -torch.inf
    expected = logits.log_softmax(dim=-1)
    own = batch.mask > 0
    chosen = expected.gather(2, batch.ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(scores.log_probs[own], chosen[own[:, 1:]], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        scores.distributions.exp(), expected[own[:, 1:]].exp(), atol=1e-6, rtol=0
    )
    entropies = torch.distributions.Categorical(logits=expected[own[:, 1:]]).entropy()
    torch.testing.assert_close(scores.entropies[own], entropies, atol=1e-4, rtol=0)
    for name in ("log_probs", "entropies", "values"):
        assert not getattr(scores, name)[~own].any()


def test_the_head_sees_own_tokens_alone(model: HuggingFacePolicy) -> None:
    batch = batch_of(converse(model))
    seen: list[torch.Size] = []
    head = model.model.lm.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, __, out: seen.append(out.shape))
    scores = model.score(batch.ids, batch.mask, distributions=False)
    handle.remove()
    assert seen == [(1, int(batch.mask.sum()), 416)]
    assert scores.distributions is None
    assert scores.states.shape == (int(batch.mask.sum()), 64)


def test_the_critic_reads_what_the_head_reads(model: HuggingFacePolicy) -> None:
    batch = batch_of(converse(model))
    assert not model.score(batch.ids, batch.mask).values.any()  # untrained, it says nothing
    with torch.no_grad():
        model.model.critic.weight.copy_(torch.linspace(-1, 1, 64)[None])
        model.model.critic.bias.fill_(0.5)
        values = model.score(batch.ids, batch.mask).values
        states = model.model.lm.model(batch.ids).last_hidden_state[:, :-1]
    expected = states @ torch.linspace(-1, 1, 64) + 0.5
    own = batch.mask > 0
    torch.testing.assert_close(values[own], expected[own[:, 1:]], atol=1e-5, rtol=0)


def test_a_turn_does_not_depend_on_who_else_is_in_the_batch(model: HuggingFacePolicy) -> None:
    transcripts = []
    for row in range(7):
        transcript = Transcript()
        transcript.read(model.read("user", "What is the sum? " * (1 + 3 * (row % 3))))
        transcripts.append(transcript)
    how, seeds = Speaking(30, STOPS, 1.0), [3, 1, 4, 1, 5, 9, 2]
    together = model.session().speak(transcripts, how, seeds)
    assert len({len(said.ids) for said in together}) > 2  # rows have left the batch on their way
    for transcript, seed, said in zip(transcripts, seeds, together, strict=True):
        (alone,) = model.session().speak([transcript], how, [seed])
        assert alone.ids == said.ids and alone.text == said.text and alone.finish == said.finish
        assert alone.log_probs == pytest.approx(said.log_probs, abs=1e-4)


def test_large_batches_are_cut_to_what_memory_holds(
    model: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [t.ids for t in converse(model, rows=6)]
    monkeypatch.setattr("corl_train.policies.huggingface._CELLS", 130)
    sizes: list[int] = []
    forward = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda places, **inputs: (
            sizes.append(inputs["input_ids"].numel()) or forward(places, **inputs)
        ),
    )
    assert [t.ids for t in converse(model, rows=6)] == whole
    assert max(sizes) <= 130 < sum(sizes)


def test_greedy_takes_the_most_probable_token(model: HuggingFacePolicy) -> None:
    batch = batch_of(converse(model, temperature=0.0))
    with torch.no_grad():
        best = model.score(batch.ids, batch.mask).distributions.argmax(dim=1)
    assert torch.equal(batch.ids[batch.mask > 0], best)


@pytest.mark.parametrize(
    ("height", "expected"), [(0.0, 1), (0.199, 1), (0.201, 2), (0.699, 2), (0.701, 4), (0.9999, 4)]
)
def test_a_draw_inverts_the_distribution(height: float, expected: int) -> None:
    scores = torch.tensor([[0.0, 0.2, 0.5, 0.0, 0.3, 0.0]]).log()
    assert draw(scores, torch.tensor([[height]], dtype=torch.float64)).tolist() == [expected]


def test_a_turn_ends_with_the_token_that_completes_a_stop_string(
    model: HuggingFacePolicy,
) -> None:
    transcript = Transcript()
    transcript.read(model.read("user", "What is the sum?"))
    (free,) = model.session().speak([transcript], Speaking(40, (), 1.0), [8])
    pieces = [model.chat.decode([token]) for token in free.ids]
    # A stop string from the middle of one token into the middle of another.
    place = next(
        p
        for p in range(4, len(pieces) - 1)
        if len(pieces[p]) > 1 and len(pieces[p + 1]) > 1
        and (pieces[p][-1] + pieces[p + 1][0]).isascii()
    )  # fmt: skip
    stop = pieces[place][-1] + pieces[place + 1][0]
    end = next(n for n in range(1, len(pieces) + 1) if stop in model.chat.decode(free.ids[:n]))
    (said,) = model.session().speak([transcript], Speaking(40, ("</x>", stop), 1.0), [8])
    assert said.ids == free.ids[:end]
    assert said.finish == "stop"
    assert said.text == model.chat.decode(free.ids[:end])
    assert stop in said.text


def test_an_end_of_turn_is_silent_and_a_stop_string_is_spelled(model: HuggingFacePolicy) -> None:
    call, pointed = '<call expert="nano"></call>', '<answer from="2"/>'
    assert model.spell(call, STOPS)[-1] != model.chat.end
    assert model.spell(pointed, STOPS) == [*model.chat.spell(pointed), model.chat.end]
    assert model.chat.decode(model.spell(pointed, STOPS)) == pointed
    sure = copy.deepcopy(model)
    head = sure.model.lm.get_output_embeddings()
    with torch.no_grad():  # a head of its own that says nothing but the end
        weight = torch.zeros_like(head.weight)
        head.weight = torch.nn.Parameter(weight)
        head.bias = torch.nn.Parameter(torch.nn.functional.one_hot(torch.tensor(2), 416) * 50.0)
    transcript = Transcript()
    transcript.read(sure.read("user", "x"))
    (said,) = sure.session().speak([transcript], Speaking(9, STOPS, 1.0), [1])
    assert (said.ids, said.text, said.finish) == ([sure.chat.end], "", "stop")


def test_the_context_is_the_end_of_a_conversation(llama_folder: Path) -> None:
    policy = HuggingFacePolicy.open(llama_folder, context=64)
    sizes = [63, 64, 65, 60, 200]
    transcripts = [Transcript() for _ in sizes]
    for transcript, size in zip(transcripts, sizes, strict=True):
        transcript.read([100 + n % 200 for n in range(size)])
    said = policy.session().speak(transcripts, Speaking(10, (), 1.0), list(range(5)))
    assert [turn.finish for turn in said] == ["length", "context", "context", "length", "context"]
    assert [len(turn.ids) for turn in said] == [1, 0, 0, 4, 0]
    assert HuggingFacePolicy.open(llama_folder, context=10_000).context == 2048
    batch = batch_of(transcripts)
    scores = policy.score(batch.ids, torch.ones_like(batch.mask))
    assert scores.log_probs.shape == batch.ids.shape
    assert not scores.log_probs[:, 65:].any()


def test_marks_and_unused_rows_are_never_said(model: HuggingFacePolicy) -> None:
    transcript = Transcript()
    transcript.read(model.read("user", "x"))
    seeds = list(range(60))
    how = Speaking(12, (), 5.0)  # so hot that anything is said
    said = model.session().speak([transcript] * 60, how, seeds)
    tokens = {token for turn in said for token in turn.ids}
    assert len(tokens) > 100
    assert not tokens & set(model.chat.never_said)
    assert max(tokens) < len(model.chat.tokenizer) < 416
    assert any(turn.finish == "stop" for turn in said)  # but ends are


def test_what_is_saved_computes_the_very_same(model: HuggingFacePolicy, tmp_path: Path) -> None:
    batch = batch_of(converse(model), [1.0, 0.0, 1.0, 0.0])
    learn(model, batch)
    model.save(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "tokenizer.json", CRITIC_NAME} <= files
    # vLLM loads whatever has this suffix.
    assert {name for name in files if name.endswith((".safetensors", ".bin", ".pt"))} == {
        "model.safetensors"
    }
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    again = open_policy(tmp_path)
    assert isinstance(again, HuggingFacePolicy)
    with torch.no_grad():
        ours, theirs = (p.score(batch.ids, batch.mask) for p in (model, again))
        plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
        assert torch.equal(plain(batch.ids).logits, model.model.lm(batch.ids).logits)
    for name in ("log_probs", "entropies", "values", "distributions"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert ours.values.any()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.chat_template == model.chat.tokenizer.chat_template
    assert again.read("user", "Are you sure?") == model.read("user", "Are you sure?")


def learn(policy: HuggingFacePolicy, batch: Batch, times: int = 1) -> None:
    """Some updates with PPO, from log-probabilities of its own."""
    how = TrainingTable(
        epochs=2, minibatch=4, learning_rate=3e-3, last_learning_rate=3e-3, kl="none"
    )
    optimiser = torch.optim.AdamW(policy.module.parameters(), weight_decay=0.0)
    reference = copy.deepcopy(policy)
    for step in range(times):
        with torch.no_grad():
            log_probs = policy.score(batch.ids, batch.mask, distributions=False).log_probs
        now = replace(batch, log_probs=log_probs)
        update(policy, reference, optimiser, now, how, progress=0.0, rng=Random(step))


def lora_of(folder: Path) -> HuggingFacePolicy:
    pytest.importorskip("peft")
    return HuggingFacePolicy.open(folder, lora=Lora(rank=4, alpha=8.0), seed=3)


@pytest.mark.parametrize("kind", ["whole", "lora"])
def test_one_batch_can_be_overfitted(llama_folder: Path, kind: str) -> None:
    policy = lora_of(llama_folder) if kind == "lora" else HuggingFacePolicy.open(llama_folder)
    transcripts = []
    for answer in ("1", "2") * 2:
        transcript = Transcript()
        transcript.read(policy.read("user", "What is the sum?"))
        said = policy.spell(f'<answer from="{answer}"/>', STOPS)
        transcript.say(said, [0.0] * len(said))
        transcripts.append(transcript)
    batch = batch_of(transcripts, [1.0, 0.0] * 2)

    def odds() -> torch.Tensor:
        with torch.no_grad():
            return policy.score(batch.ids, batch.mask).log_probs.sum(dim=1)

    before = odds()
    learn(policy, batch, times=12)
    after = odds()
    assert after[0] - before[0] > 3
    assert (after[0] - after[1]) - (before[0] - before[1]) > 6


def test_a_lora_leaves_its_base_alone_and_shares_it(llama_folder: Path, tmp_path: Path) -> None:
    policy = lora_of(llama_folder)
    base = HuggingFacePolicy.open(llama_folder)
    batch = batch_of(converse(policy), [1.0, 0.0, 1.0, 0.0])
    with torch.no_grad():
        untouched = base.score(batch.ids, batch.mask).log_probs
        assert torch.equal(policy.score(batch.ids, batch.mask).log_probs, untouched)
    reference = copy.deepcopy(policy)
    frozen = {name: p for name, p in policy.module.named_parameters() if not p.requires_grad}
    theirs = dict(reference.module.named_parameters())
    assert frozen and all(theirs[name] is parameter for name, parameter in frozen.items())
    for parameter in reference.module.parameters():
        parameter.requires_grad_(False)
    assert any(p.requires_grad for p in policy.module.parameters())

    learn(policy, batch)
    with torch.no_grad():
        learned = policy.score(batch.ids, batch.mask).log_probs
        assert not torch.allclose(learned, untouched)
        assert torch.equal(reference.score(batch.ids, batch.mask).log_probs, untouched)
    state = policy.module.state_dict()
    assert state and all("lora_" in name or name.startswith("critic.") for name in state)
    assert reference.module.state_dict().keys() == state.keys()
    twin = lora_of(llama_folder)
    twin.module.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(twin.score(batch.ids, batch.mask).log_probs, learned)
    with pytest.raises(RuntimeError, match="another model"):
        base.module.load_state_dict(state)

    policy.save(tmp_path)
    assert not (tmp_path / "adapter_config.json").exists()
    merged = HuggingFacePolicy.open(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(
            merged.score(batch.ids, batch.mask).log_probs, learned, atol=1e-4, rtol=0
        )
        assert torch.equal(policy.score(batch.ids, batch.mask).log_probs, learned)


def gradients(policy: HuggingFacePolicy, batch: Batch) -> dict[str, torch.Tensor]:
    policy.module.zero_grad()
    scores = policy.score(batch.ids, batch.mask)
    masked_mean(scores.log_probs + scores.values, batch.mask).backward()
    return {
        name: p.grad.clone() for name, p in policy.module.named_parameters() if p.grad is not None
    }


def test_checkpointing_changes_no_gradient(llama_folder: Path, model: HuggingFacePolicy) -> None:
    """Though it takes training mode, in which this model's configuration wants dropout."""
    frugal = HuggingFacePolicy.open(llama_folder, gradient_checkpointing=True)
    batch = batch_of(converse(model))
    layer = frugal.model.lm.model.layers[0]
    runs: list[bool] = []
    layer.input_layernorm.register_forward_pre_hook(lambda m, _: runs.append(m.training))
    plain, saved = gradients(model, batch), gradients(frugal, batch)
    assert runs == [True, True]  # forwards, and again on the way back
    assert plain.keys() == saved.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(saved[name], gradient, atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        frugal.score(batch.ids, batch.mask)
    assert runs == [True, True, False]
    assert [t.ids for t in converse(frugal)] == [t.ids for t in converse(model)]


@pytest.mark.parametrize("kind", ["whole", "lora"])
def test_bfloat16_computes_and_float32_learns(llama_folder: Path, kind: str) -> None:
    """On a CPU, where nobody would want it, for what a GPU does."""
    lora = None
    if kind == "lora":
        pytest.importorskip("peft")
        lora = Lora(rank=4, alpha=8.0)
    half = HuggingFacePolicy.open(llama_folder, dtype="bfloat16", lora=lora)
    exact = HuggingFacePolicy.open(llama_folder)
    for parameter in half.module.parameters():
        wanted = torch.float32 if parameter.requires_grad else torch.bfloat16
        assert parameter.dtype == wanted
    batch = batch_of(converse(half))
    with torch.no_grad():
        found, expected = half.score(batch.ids, batch.mask), exact.score(batch.ids, batch.mask)
    assert found.log_probs.dtype == torch.float32
    difference = (found.log_probs - expected.log_probs).abs().max()
    assert 0 < float(difference) < 0.3
    assert float((found.log_probs - batch.log_probs).abs().max()) < 0.3
    assert all(g.dtype == torch.float32 for g in gradients(half, batch).values())


def test_a_policy_says_what_it_cannot_open(tmp_path: Path, llama_folder: Path) -> None:
    def fails(call: Callable[[], object]) -> str:
        with pytest.raises(ConfigError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "name a directory with config.json" in fails(lambda: HuggingFacePolicy.open(empty))
    assert "holds no controller's weights" in fails(lambda: open_policy(empty))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "no such thing"}')
    assert "the model cannot be loaded" in fails(lambda: open_policy(broken))
    mute = save_llama(tmp_path / "mute", small_tokenizer(None))
    assert "add a chat_template.jinja" in fails(lambda: open_policy(mute))
    critic = save_llama(tmp_path / "critic")
    (critic / CRITIC_NAME).write_bytes(b"no tensors")
    assert "is no critic of this model" in fails(lambda: open_policy(critic))
    assert "no device 'abacus' here" in fails(
        lambda: HuggingFacePolicy.open(llama_folder, device="abacus")
    )
    if not torch.cuda.is_available():
        assert "no device 'cuda' here" in fails(lambda: open_policy(llama_folder, device="cuda"))


def test_a_lora_of_layers_that_are_not_there_is_refused(llama_folder: Path) -> None:
    pytest.importorskip("peft")
    with pytest.raises(ConfigError, match=r"policy\.lora_targets"):
        HuggingFacePolicy.open(llama_folder, lora=Lora(4, 8.0, ("nowhere",)))


def test_a_folder_tells_which_policy_it_holds(policy: TinyPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    assert isinstance(open_policy(tmp_path), TinyPolicy)


def test_a_cpu_has_no_figures_of_a_gpu() -> None:
    assert gpu_figures(torch.device("cpu")) == {}
