"""What the files of a model's directory say of its size, without loading anything.

A recipe states the figures that a job is sized by; where the model lies in a directory they are
held against it. Shapes come from the heads of the safetensors files, which take milliseconds.

    read_figures(Path("models/qwen"), lora_rank=0)["layers"]
"""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.shapes import find_fault

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer_config.json"
_NOT_ADAPTED = ("embed", "lm_head", "wte", "wpe")
"""What `all-linear`, OpenRLHF's choice for a LoRA, leaves out: embeddings and the head."""
_LONGEST_HEAD = 100 * 2**20


_FIGURES = (
    *("num_attention_heads?", "hidden_size?", "num_hidden_layers?", "num_key_value_heads?"),
    *("head_dim?", "vocab_size?"),
)
_CONFIG = dict.fromkeys(_FIGURES, (int, None))


def read_figures(folder: Path, *, lora_rank: int) -> dict[str, int]:
    """The figures of a recipe's `[model]` as a directory has them, as far as it tells.

    Args:
        folder: a Hugging Face directory.
        lora_rank: of the LoRA whose parameters are counted; 0: there is none.

    Raises:
        ConfigError: it is no directory of a whole model; one line.
    """
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        raise ConfigError(
            f"{folder} has no {CONFIG_NAME}: name the directory of a whole model"
        ) from None
    if fault := find_fault(config, _CONFIG):
        raise ConfigError(f"{folder / CONFIG_NAME}: {fault}: fetch the model anew")
    if not (folder / TOKENIZER_NAME).is_file():
        raise ConfigError(f"{folder} has no tokenizer: save the model's own beside its weights")
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    told = {
        "layers": config.get("num_hidden_layers"),
        "hidden": hidden,
        "kv_heads": config.get("num_key_value_heads", heads),
        "head_dim": config.get("head_dim") or (hidden // heads if hidden and heads else None),
        "vocabulary": config.get("vocab_size"),
    }
    if shapes := _shapes(folder):
        told["parameters"] = sum(prod(shape) for shape in shapes.values())
        if lora_rank:
            told["lora_parameters"] = lora_rank * sum(
                sum(shape)
                for name, shape in shapes.items()
                if len(shape) == 2 and not any(part in name for part in _NOT_ADAPTED)
            )
    return {name: int(value) for name, value in told.items() if value is not None}


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights by name; none where they are not in safetensors."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                # Its format: eight bytes of length, little-endian, and so many bytes of JSON.
                (length,) = struct.unpack("<Q", file.read(8))
                if length > _LONGEST_HEAD:
                    raise ValueError("its head is too long")
                head: dict[str, Any] = json.loads(file.read(length))
            if fault := find_fault(head.pop("__metadata__", {}), dict) or find_fault(
                head, {str: {"shape": [int]}}
            ):
                raise ValueError(fault)
            shapes |= {name: tuple(entry["shape"]) for name, entry in head.items()}
        except (
            OSError,
            ValueError,
            struct.error,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise ConfigError(f"{path} is no safetensors file ({error}): fetch it anew") from None
    return shapes
