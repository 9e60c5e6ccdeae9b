"""A LoRA as engines get it: under the names that a plain model has, and merged."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from corl_train.openrlhf.lora_weights import MergedModel, merging_trainer  # noqa: E402
from training.openrlhf.library import openrlhf  # noqa: E402


@pytest.fixture
def plain(llama_folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(llama_folder, dtype=torch.bfloat16)


@pytest.fixture
def lora(plain: Any) -> Any:
    """With adapters that are far from nothing."""
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear"
    )
    whole = peft.get_peft_model(copy.deepcopy(plain), settings)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in whole.named_parameters():
            if "lora_" in name:
                parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
    return whole


def test_names_and_shapes_are_those_of_the_plain_model(plain: Any, lora: Any) -> None:
    sent = dict(MergedModel(lora).named_parameters())
    wanted = dict(plain.named_parameters())
    assert list(sent) == list(wanted)
    for name, parameter in wanted.items():
        assert (sent[name].shape, sent[name].dtype) == (parameter.shape, parameter.dtype)
        assert sent[name].data.dtype == torch.bfloat16


def test_weights_are_merged_and_the_base_stays(plain: Any, lora: Any) -> None:
    sent = {name: p.data.clone() for name, p in MergedModel(lora).named_parameters()}
    merged = copy.deepcopy(lora).float().merge_and_unload()
    changed = 0
    for name, parameter in merged.named_parameters():
        assert torch.allclose(sent[name].float(), parameter.data, atol=1e-2, rtol=1e-2), name
        changed += not torch.equal(sent[name], dict(plain.named_parameters())[name].data)
    assert changed == 14  # seven linear layers in each of two blocks
    for name, parameter in MergedModel(lora).named_parameters():
        if hasattr(parameter, "base"):
            assert torch.equal(parameter.base.data, dict(plain.named_parameters())[name].data)


class Sender:
    """What of a trainer sends weights, as OpenRLHF's class names things."""

    def __init__(self, model: Any) -> None:
        self.actor = SimpleNamespace(model=SimpleNamespace(module=model))
        self.sent: list[str] = []

    def broadcast_to_vllm(self) -> None:
        self.sent = [name for name, _ in self.actor.model.module.named_parameters()]


def test_a_model_without_a_lora_is_sent_as_it_was(plain: Any, lora: Any) -> None:
    names = [name for name, _ in plain.named_parameters()]
    for model in (plain, lora):
        trainer = merging_trainer(Sender)(model)
        actor = trainer.actor
        trainer.broadcast_to_vllm()
        assert trainer.sent == names
        assert trainer.actor is actor


@pytest.mark.openrlhf
def test_openrlhfs_own_broadcast_sends_merged_weights(
    plain: Any, lora: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its code as it is, but for what only a GPU has: streams and NCCL."""
    with openrlhf(tmp_path, "trainer.ray.ppo_actor") as theirs:
        module = theirs.ppo_actor
        received: dict[str, Any] = {}

        class Engine:
            def __init__(self) -> None:
                self.update_weight = SimpleNamespace(remote=self._note)

            def _note(self, name: str, *, dtype: Any, shape: Any, empty_cache: bool) -> None:
                self.name = name
                received[name] = (dtype, tuple(shape))

        engine = Engine()
        group = SimpleNamespace(
            broadcast=lambda data, src, stream: received.update(
                {engine.name: (*received[engine.name], data.clone())}
            )
        )
        monkeypatch.setattr(module.ray, "get", lambda refs: refs)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
        monkeypatch.setattr(module, "torch_dist_barrier_and_cuda_sync", lambda: None)

        def send(kind: type[Any]) -> None:
            received.clear()
            trainer = object.__new__(kind)
            trainer.strategy = SimpleNamespace(
                args=SimpleNamespace(
                    vllm=SimpleNamespace(enable_prefix_caching=False, sync_with_ray=False),
                    ds=SimpleNamespace(zero_stage=2, tensor_parallel_size=1),
                )
            )
            trainer.vllm_engines, trainer.use_cuda_ipc = [engine], False
            trainer._model_update_group = group
            trainer.actor = SimpleNamespace(model=SimpleNamespace(module=lora))
            trainer.broadcast_to_vllm()

        send(module.ActorPPOTrainer)
        assert any("lora_A" in name for name in received)  # what vLLM does not know
        send(merging_trainer(module.ActorPPOTrainer))
        wanted = dict(plain.named_parameters())
        assert list(received) == list(wanted)
        merged = dict(copy.deepcopy(lora).float().merge_and_unload().named_parameters())
        for name, (dtype, shape, data) in received.items():
            assert dtype == torch.bfloat16
            assert shape == tuple(wanted[name].shape)
            assert torch.allclose(data.float(), merged[name].data, atol=1e-2, rtol=1e-2)
