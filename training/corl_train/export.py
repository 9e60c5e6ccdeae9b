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
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.extras import require
from corl_bench.files import write_text
from corl_bench.routers.controller_file import FILE_NAME, read_controller
from corl_bench.routers.protocol import load_protocol
from corl_train.openrlhf.command import CHECKPOINTS, FINAL
from corl_train.openrlhf.job import FILE_NAME as JOB_NAME
from corl_train.openrlhf.job import Job, read_job
from corl_train.openrlhf.recipe import JobRecipe, ModelTable, PlacementTable
from corl_train.openrlhf.recovery import ACTOR, whole_checkpoints
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
            else `best`, else `latest`. What is half written or was cut short is none of them.
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
        cards = found.protocol.with_name(CARDS_NAME)
        if cards.is_file():
            shutil.copyfile(cards, partial / CARDS_NAME)
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
        own_model(job.name, job.usd_per_mtok, key="model.usd_per_mtok"),
        name=source.name,
        sampling=Sampling(max_output_tokens=load_protocol(job.protocol).max_turn_tokens),
        options={"dtype": "bfloat16"},
    )
    recipe = _recipe_of(source)
    path = _weights_of(_saved(source, recipe.placement), source, weights)
    return _Source(path, own, _protocol_of(job), recipe.model)


def _protocol_of(job: Job) -> Path:
    path = Path(job.protocol)
    if not path.is_file():
        raise ConfigError(f"the job has no protocol file {path}: export from its own directory")
    return path


def _recipe_of(source: Path) -> JobRecipe:
    path = source / STATE_NAME
    try:
        return JobRecipe.model_validate(json.loads(path.read_bytes())["recipe"])
    except FileNotFoundError:
        raise ConfigError(
            f"{source} holds a job that was prepared and never submitted, so no weights: repeat its"
            " `corl-train launch`"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not what `corl-train launch` writes ({_line(error)})") from None


def _weights_of(saved: Mapping[str, Path], source: Path, weights: str | None) -> Path:
    """The folder with the weights that are meant."""
    for wanted in ("final", "best", "latest") if weights is None else (weights,):
        if wanted in saved:
            return saved[wanted]
    if weights is None:
        raise ConfigError(f"{source} holds no weights yet: a job saves some every so many steps")
    there = ", ".join(saved) or "none"
    raise ConfigError(f"{source} has no weights {weights!r}: there are {there}")


def _saved(source: Path, placement: PlacementTable) -> dict[str, Path]:
    """What a job has saved whole: by name, and `final`, `best` and `latest` for what they mean.

    Of a step's, the best one goes before the other, for it was saved later; a Hugging Face
    directory before DeepSpeed's checkpoint, for it need not be put together.
    """
    checkpoints = source / CHECKPOINTS
    tags = whole_checkpoints(checkpoints / ACTOR, placement)
    found = {tag: checkpoints / ACTOR / tag for tag in tags}
    found |= {path.name: path for path in sorted(checkpoints.glob("*_hf")) if _is_model(path)}
    named = {match: name for name in found if (match := _STEP.fullmatch(name)) is not None}
    ordered = sorted(named, key=lambda m: (int(m[2]), m[1] is not None, m[3] is not None))
    for meant, matches in (("best", [m for m in ordered if m[1]]), ("latest", ordered)):
        if matches:
            found[meant] = found[named[matches[-1]]]
    final = {"final": source / FINAL} if _is_model(source / FINAL) else {}
    return final | found


def _is_model(folder: Path) -> bool:
    """Whether OpenRLHF has written it to its end: `save_model` writes the tokenizer last."""
    return all((folder / name).is_file() for name in ("config.json", "tokenizer_config.json"))


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
