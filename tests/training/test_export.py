"""Exported weights: the same model, loadable by everybody, with all that a controller is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from corl_bench.errors import ConfigError  # noqa: E402
from corl_bench.experts.base import Pool  # noqa: E402
from corl_bench.experts.pools import load_pool  # noqa: E402
from corl_bench.experts.providers import ProviderContext, make_provider  # noqa: E402
from corl_bench.experts.transport import Transport  # noqa: E402
from corl_bench.routers.controller_file import read_controller  # noqa: E402
from corl_bench.routers.protocol import read_protocol  # noqa: E402
from corl_train.config import load_recipe  # noqa: E402
from corl_train.export import export  # noqa: E402
from corl_train.openrlhf.job import Job, write_job  # noqa: E402
from corl_train.openrlhf.recipe import load_job_recipe  # noqa: E402
from corl_train.setup import digest_of, new_policy, prepare, write_controller  # noqa: E402
from small_models import save_llama, small_tokenizer  # noqa: E402
from training.openrlhf.checkpoints import ONE, cut_short, save  # noqa: E402

IDS = torch.tensor([[5, 9, 40, 41, 7, 300]])


def logits(folder: Path) -> Any:
    lm = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        return lm(IDS).logits


@pytest.fixture
def run(tmp_path: Path, llama_folder: Path) -> Path:
    """A run of the embedded trainer that has left its first controller."""
    settings = [f"policy.path={llama_folder}", "policy.context=512"]
    setup = prepare(load_recipe("smollm2", settings=settings))
    write_controller(setup, new_policy(setup, seed=0), tmp_path / "run", seed=3)
    return tmp_path / "run"


@pytest.fixture
def job(tmp_path: Path, llama_folder: Path) -> Path:
    """A job that has saved nothing yet."""
    folder = tmp_path / "job"
    recipe = load_job_recipe("corl-lora", settings=[f"model.path={llama_folder}"])
    folder.mkdir()
    state = {"recipe": recipe.model_dump(mode="json"), "seed": 0, "attempts": []}
    (folder / "launch.json").write_text(json.dumps(state))
    (folder / "protocol.toml").write_text(read_protocol("digest"))
    budgets = {"low": "0.001"}
    given = {"pool": "sim", "protocol": "protocol.toml", "prompts": {"t": "{problem}"}}
    write_job(Job(name="corl", usd_per_mtok="0.05", budgets=budgets, **given), folder)
    return folder


async def answers(folder: Path) -> str:
    """What the exported controller says first, in process, as `corl-bench run` asks it."""
    controller = read_controller(str(folder), Pool("none", ()))
    transport = Transport()
    context = ProviderContext(pool=load_pool("sim"), transport=transport)
    provider = make_provider(controller.own_model, context)
    check = await provider.check()
    await provider.aclose()
    await transport.aclose()
    return check.detail


async def test_a_run_is_exported_as_a_model_and_a_controller(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "corl"
    done = export(run, out, base_url="http://127.0.0.1:9000/v1")
    assert done.name == "smollm2-3"
    assert torch.equal(logits(out), logits(run / "weights"))
    assert not (out / "critic.tensors").exists()
    assert not list(out.parent.glob(".*"))

    before = read_controller(str(run), Pool("none", ()))
    after = read_controller(str(out), Pool("none", ()))
    assert after.protocol == before.protocol
    assert after.own_model.price == before.own_model.price
    assert after.own_model.name == before.own_model.name
    assert after.own_model.options["context"] == 512
    assert after.own_model.options["sha256"] == digest_of(out)
    await answers(out)  # opens the very weights that the digest is of

    served = read_controller(str(out / "served.toml"), Pool("none", ()))
    assert served.own_model.base_url == "http://127.0.0.1:9000/v1"
    assert served.own_model.model == "smollm2-3"
    assert served.protocol == before.protocol
    assert served.own_model.price.figures() == before.own_model.price.figures()


async def test_weights_that_were_changed_are_not_run(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(run, out)
    (out / "generation_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"the weights in .* are not those of"):
        await answers(out)


def test_a_job_exports_what_it_is_asked_for(job: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no weights yet"):
        export(job, tmp_path / "none")
    for name, seed in (("final", 1), ("checkpoints/global_step9_hf", 2)):
        save_llama(job / name, initializer_range=0.1 * seed)
    for name, seed in (
        ("checkpoints/global_step10_hf", 3),
        ("checkpoints/best_global_step9_hf", 4),
    ):
        save_llama(job / name, initializer_range=0.1 * seed)
    for number, (asked, place) in enumerate(
        [
            (None, "final"),
            ("final", "final"),
            ("latest", "checkpoints/global_step10_hf"),
            ("best", "checkpoints/best_global_step9_hf"),
            ("global_step9_hf", "checkpoints/global_step9_hf"),
        ]
    ):
        done = export(job, tmp_path / f"out{number}", weights=asked)
        assert done.source == job / place
        assert torch.equal(logits(done.folder), logits(job / place))
        controller = read_controller(str(done.folder), Pool("none", ()))
        assert controller.protocol.name == "digest"
        assert format(controller.own_model.price.output_usd_per_mtok, "f") == "0.05"
    with pytest.raises(ConfigError, match="no weights 'worst': there are final, best_global"):
        export(job, tmp_path / "worst", weights="worst")
    with pytest.raises(ConfigError, match="is there already"):
        export(job, tmp_path / "out0")


def test_what_a_crash_has_cut_short_is_not_exported(job: Path, tmp_path: Path) -> None:
    actor = job / "checkpoints" / "_actor"
    save(actor, "global_step10", "best_global_step20", placement=ONE)
    cut_short(actor, "global_step30", placement=ONE)
    save_llama(job / "checkpoints" / "global_step25_hf")
    save_llama(job / "checkpoints" / "global_step30_hf")
    (job / "checkpoints" / "global_step30_hf" / "tokenizer_config.json").unlink()
    (job / "final").mkdir()
    shutil.copy(job / "checkpoints" / "global_step25_hf" / "config.json", job / "final")
    with pytest.raises(ConfigError, match="no weights 'final': there are ") as refused:
        export(job, tmp_path / "out", weights="final")
    listed = str(refused.value).partition("there are ")[2].split(", ")
    whole = {"global_step10", "best_global_step20", "global_step25_hf"}
    assert set(listed) == whole | {"best", "latest"}
    done = export(job, tmp_path / "out", weights="latest")
    assert done.source == job / "checkpoints" / "global_step25_hf"


def test_a_lora_is_merged_into_what_it_was_trained_on(
    job: Path, tmp_path: Path, llama_folder: Path
) -> None:
    peft = pytest.importorskip("peft")
    lm = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear"
    )
    whole = peft.get_peft_model(lm, settings)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in whole.named_parameters():
            if "lora_" in name:
                parameter += 0.2 * torch.randn(parameter.shape, generator=draw)
        wanted = whole(IDS).logits
    whole.save_pretrained(job / "final")
    # As OpenRLHF saves one: the base's config beside the adapter.
    shutil.copyfile(llama_folder / "config.json", job / "final" / "config.json")
    small_tokenizer().save_pretrained(job / "final")
    done = export(job, tmp_path / "out")
    assert torch.allclose(logits(done.folder), wanted, atol=1e-4)
    assert not torch.allclose(logits(done.folder), logits(llama_folder), atol=1e-1)
    assert not (done.folder / "adapter_config.json").exists()


def test_what_nobody_could_serve_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="drop --weights"):
        export(run, tmp_path / "a", weights="best")
    (run / "weights" / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="no chat template"):
        export(run, tmp_path / "b")
    (run / "weights" / "config.json").rename(run / "weights" / "shape.json")
    with pytest.raises(ConfigError, match="corl-train serve"):
        export(run, tmp_path / "c")
    with pytest.raises(ConfigError, match="holds no controller yet"):
        export(tmp_path, tmp_path / "d")
    left = [path.name for path in tmp_path.iterdir()]
    assert not {"a", "b", "c", "d"} & set(left)
    assert not [name for name in left if name.startswith(".")]


def test_the_broken_state_of_a_job_is_said(job: Path, tmp_path: Path) -> None:
    (job / "launch.json").write_text(json.dumps({"recipe": {}}))
    save_llama(job / "final")
    with pytest.raises(ConfigError, match="not what `corl-train launch` writes"):
        export(job, tmp_path / "out")


def test_a_job_that_was_only_prepared_has_no_weights(job: Path, tmp_path: Path) -> None:
    (job / "launch.json").unlink()
    with pytest.raises(ConfigError, match="was prepared and never submitted, so no weights"):
        export(job, tmp_path / "out")
