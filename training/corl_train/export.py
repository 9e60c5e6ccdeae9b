"""Trained weights as a directory that is a Hugging Face model and a controller at once.

What is written can be served as it is (`vllm serve OUT`) and measured as it is, in process
(`controller:OUT`) or behind that server (`controller:OUT/served.toml`). Invariants: all that a
controller is besides its weights, protocol and price, lies beside them; a LoRA is merged; the
critic stays behind; the directory appears whole or not at all.

    export(Path("runs/smollm2"), Path("models/corl-135m"))
    export(Path("/shared/corl-paper"), Path("models/corl-7b"), weights="best")
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.base import ExpertSpec, Pool, Sampling
from corl_bench.extras import require
from corl_bench.files import write_text
from corl_bench.routers.controller_file import FILE_NAME, read_controller
from corl_bench.routers.protocol import load_protocol
from corl_train.openrlhf.command import CHECKPOINTS, FINAL
from corl_train.openrlhf.job import FILE_NAME as JOB_NAME
from corl_train.openrlhf.job import Job, read_job
from corl_train.openrlhf.recipe import ModelTable
from corl_train.openrlhf.submission import STATE_NAME
from corl_train.runs.files import require_controller
from corl_train.setup import (
    PROTOCOL_NAME,
    SERVED_NAME,
    WEIGHTS_FOLDER,
    describe_controller,
    digest_of,
    own_model,
)

ADAPTER_NAME = "adapter_config.json"
DEFAULT_URL = "http://127.0.0.1:8000/v1"
"""Where `vllm serve` listens by itself."""
_CRITIC_NAME = "critic.tensors"
_ACTOR = "_actor"
_STEP = re.compile(r"(best_)?global_step(\d+)(_hf)?")


@dataclass(frozen=True, slots=True)
class Exported:
    """A directory that was written."""

    folder: Path
    source: Path
    """Where its weights come from."""
    name: str
    """Of the controller, and of the model on a server."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Weights that were found, and what they are."""

    path: Path
    own: ExpertSpec
    protocol: Path
    base: ModelTable | None = None
    """Of a job: what its weights were before."""


def export(
    source: Path, out: Path, *, weights: str | None = None, base_url: str = DEFAULT_URL
) -> Exported:
    """Writes the directory.

    Args:
        source: of a training run, or of a job.
        out: what is made; it must not be there.
        weights: of a job: `final`, `best`, `latest`, or the name of a checkpoint; None: `final`,
            else `best`, else `latest`.
        base_url: where the weights will be served, for `served.toml`.

    Raises:
        ConfigError: there is nothing to write, or no place for it.
        StorageError: it cannot be written.
        MissingExtraError: it takes torch, transformers, peft or deepspeed.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already: name a directory that is not")
    found = _of_job(source, weights) if (source / JOB_NAME).is_file() else _of_run(source, weights)
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_weights(found, partial)
        _require_template(partial)
        shutil.copyfile(found.protocol, partial / PROTOCOL_NAME)
        _describe(found, partial, base_url)
        partial.rename(out)
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(out, found.path, found.own.name)


def _of_run(source: Path, weights: str | None) -> _Source:
    if weights is not None:
        raise ConfigError(f"{source} is a run with one set of weights, its best: drop --weights")
    require_controller(source)
    folder = source / WEIGHTS_FOLDER
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} holds no Hugging Face model, and vLLM loads no other: serve it with"
            f" `corl-train serve {source}`"
        )
    own = read_controller(str(source), Pool("none", ())).own_model
    return _Source(folder, own, source / PROTOCOL_NAME)


def _of_job(source: Path, weights: str | None) -> _Source:
    job = read_job(source / JOB_NAME)
    own = replace(
        own_model(job.name, job.usd_per_mtok),
        name=source.name,
        sampling=Sampling(max_output_tokens=load_protocol(job.protocol).max_turn_tokens),
        options={"dtype": "bfloat16"},
    )
    return _Source(_weights_of(source, weights), own, _protocol_of(job), _base_of(source))


def _protocol_of(job: Job) -> Path:
    path = Path(job.protocol)
    if not path.is_file():
        raise ConfigError(f"the job has no protocol file {path}: export from its own directory")
    return path


def _base_of(source: Path) -> ModelTable:
    path = source / STATE_NAME
    try:
        return ModelTable.model_validate(json.loads(path.read_bytes())["recipe"]["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({error})") from None


def _weights_of(source: Path, weights: str | None) -> Path:
    """The folder with the weights that are meant."""
    named = _saved(source)
    for wanted in ("final", "best", "latest") if weights is None else (weights,):
        if wanted in named:
            return named[wanted]
    if weights is None:
        raise ConfigError(f"{source} holds no weights yet: a job saves some every so many steps")
    there = ", ".join(named) or "none"
    raise ConfigError(f"{source} has no weights {weights!r}: there are {there}")


def _saved(source: Path) -> dict[str, Path]:
    """What a job has saved: by name, and `final`, `best` and `latest` for what they stand for.

    A Hugging Face directory goes before the DeepSpeed checkpoint of the same step.
    """
    found: dict[str, Path] = {}
    if (source / FINAL / "config.json").is_file():
        found["final"] = source / FINAL
    steps: dict[tuple[bool, int], Path] = {}
    folders = [*(source / CHECKPOINTS / _ACTOR).glob("*"), *(source / CHECKPOINTS).glob("*_hf")]
    for folder in folders:
        match = _STEP.fullmatch(folder.name)
        if match is None or not folder.is_dir():
            continue
        found[folder.name] = folder
        steps[match.group(1) is not None, int(match.group(2))] = folder
    for name, is_best in (("best", True), ("latest", False)):
        if numbers := [number for best, number in steps if best == is_best]:
            found[name] = steps[is_best, max(numbers)]
    return found


def _write_weights(found: _Source, folder: Path) -> None:
    """The model and its tokenizer, as `transformers` and vLLM load them."""
    if (found.path / ADAPTER_NAME).is_file():
        _merge_adapter(found, folder)
    elif (found.path / "config.json").is_file():
        ignored = shutil.ignore_patterns(_CRITIC_NAME, "*.pt", "optimizer*")
        shutil.copytree(found.path, folder, ignore=ignored, dirs_exist_ok=True)
    else:
        _gather_checkpoint(found, folder)


def _merge_adapter(found: _Source, folder: Path) -> None:
    """A LoRA that was saved beside nothing: its base is loaded, and it is added."""
    transformers = require("transformers", extra="lora", why="Exporting a LoRA")
    peft = require("peft", extra="lora", why="Exporting a LoRA")
    settings = json.loads((found.path / ADAPTER_NAME).read_bytes())
    base = found.base.path if found.base is not None else settings["base_model_name_or_path"]
    lm = _loaded(transformers, base)
    dtype = lm.dtype
    try:
        merged = peft.PeftModel.from_pretrained(lm.float(), str(found.path)).merge_and_unload()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{found.path}: no LoRA of {base}: {_line(error)}") from None
    _save(merged.to(dtype), transformers, found.path, folder)


def _gather_checkpoint(found: _Source, folder: Path) -> None:
    """A DeepSpeed checkpoint: its parts are put together in this machine's memory."""
    assert found.base is not None
    transformers = require("transformers", extra="openrlhf", why="Exporting a checkpoint")
    gathering = require(
        "deepspeed.utils.zero_to_fp32", extra="openrlhf", why="Exporting a DeepSpeed checkpoint"
    )
    try:
        parameters: Mapping[str, Any] = gathering.get_fp32_state_dict_from_zero_checkpoint(
            str(found.path.parent), tag=found.path.name
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"{found.path}: no whole checkpoint: {_line(error)}") from None
    lm = _loaded(transformers, found.base.path)
    dtype = lm.dtype
    lm = lm.float()
    if found.base.lora_rank:
        peft = require("peft", extra="lora", why="Exporting a LoRA")
        settings = peft.LoraConfig(
            task_type="CAUSAL_LM",
            r=found.base.lora_rank,
            lora_alpha=found.base.lora_alpha,
            target_modules="all-linear",
        )
        whole = peft.get_peft_model(lm, settings)
        _fill(whole, parameters, found.path)
        lm = whole.merge_and_unload()
    else:
        _fill(lm, parameters, found.path)
    _save(lm.to(dtype), transformers, found.base.path, folder)


def _fill(module: Any, parameters: Mapping[str, Any], source: Path) -> None:
    try:
        missing, unexpected = module.load_state_dict(dict(parameters), strict=False)
    except RuntimeError as error:
        raise ConfigError(f"{source}: not of this model: {_line(error)}") from None
    tied = set(getattr(module, "_tied_weights_keys", None) or ())
    lost = [name for name in missing if not any(name.endswith(key) for key in tied)]
    if unexpected or lost:
        raise ConfigError(
            f"{source}: not of this model: {(list(unexpected) or lost)[0]} is in one of them alone"
        )


def _loaded(transformers: Any, base: str) -> Any:
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the base model {base} cannot be loaded: {_line(error)}") from None


def _save(lm: Any, transformers: Any, tokenizer: str | Path, folder: Path) -> None:
    lm.save_pretrained(folder)
    try:
        transformers.AutoTokenizer.from_pretrained(str(tokenizer)).save_pretrained(folder)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{tokenizer}: no tokenizer: {_line(error)}") from None


def _require_template(folder: Path) -> None:
    """Refuses what no server could ask: a tokenizer without a chat template."""
    if (folder / "chat_template.jinja").is_file():
        return
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        settings = {}
    if not settings.get("chat_template"):
        raise ConfigError("the tokenizer has no chat template: put a chat_template.jinja beside it")


def _describe(found: _Source, folder: Path, base_url: str) -> None:
    """Both descriptions: of the weights in process, and behind an address."""
    from corl_train.server import describe_served

    options = {k: v for k, v in found.own.options.items() if k not in ("path", "sha256")}
    here = {"path": ".", "sha256": digest_of(folder), **options}
    write_text(folder / FILE_NAME, describe_controller(replace(found.own, options=here)))
    served = describe_served(found.own, base_url=base_url, model=found.own.name)
    write_text(folder / SERVED_NAME, served)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
