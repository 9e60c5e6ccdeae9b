"""Which kind of policy a folder holds: the one place that knows them all.

policy = open_policy(Path("runs/quickstart-0/weights"))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from corl_bench.errors import ConfigError
from corl_train.policies.base import Policy
from corl_train.policies.tiny import SHAPE_NAME, TinyPolicy

Dtype = Literal["auto", "float32", "bfloat16"]


class Computing(TypedDict):
    """How a Hugging Face policy computes; a tiny one knows but one way."""

    device: str
    dtype: Dtype
    context: int | None


def computing(options: Mapping[str, Any]) -> Computing:
    """How a policy computes that `controller.toml` describes, as `open_policy` takes it.

    Args:
        options: those of its model: what a run was trained with is measured alike.

    Raises:
        ConfigError: one of them is none that there is.
    """
    device, dtype = options.get("device", "auto"), options.get("dtype", "auto")
    context = options.get("context")
    if dtype not in get_args(Dtype):
        raise ConfigError(f"options.dtype: {dtype!r} is none of {', '.join(get_args(Dtype))}")
    if context is not None and (type(context) is not int or context < 1):
        raise ConfigError(f"options.context: {context!r} is no number of tokens")
    return {"device": str(device), "dtype": dtype, "context": context}


def open_policy(
    folder: Path, *, device: str = "auto", dtype: Dtype = "auto", context: int | None = None
) -> Policy:
    """Loads a policy that was saved, or any causal language model of Hugging Face.

    Args:
        folder: with `shape.json` for a tiny policy, or `config.json` for a Hugging Face one.
        device: where the latter computes; a tiny one is fastest on the CPU.
        dtype: what the latter computes in; see `HuggingFacePolicy.open`.
        context: shorter than the latter's own.

    Raises:
        ConfigError: the folder holds neither, or what it holds is broken.
        MissingExtraError: it takes transformers, which are not installed.
    """
    if (folder / SHAPE_NAME).is_file():
        return TinyPolicy.load(folder)
    if (folder / "config.json").is_file():
        from corl_train.policies.huggingface import HuggingFacePolicy

        return HuggingFacePolicy.open(folder, device=device, dtype=dtype, context=context)
    raise ConfigError(
        f"{folder} holds no controller's weights: name a folder with {SHAPE_NAME} (tiny) or"
        " config.json (Hugging Face)"
    )
