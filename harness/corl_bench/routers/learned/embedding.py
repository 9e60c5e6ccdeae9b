"""Embedding models: a Python callable, or a folder in the layout of sentence-transformers.

A model is known by a digest of what it is made of, kept with what was fitted on it: vectors of
another model mean something else, so a router is refused where its model has changed. Weights
are read from safetensors alone, which cannot hold code. Texts are encoded one at a time, so that
a vector never depends on its neighbours in a batch.

    model = open_embedding("models/all-MiniLM-L6-v2")   # or "my_module:encode"
    model.encode(["What is 2 + 2?"]).shape              # (1, 384)
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corl_bench.errors import ConfigError
from corl_bench.extras import require

_MODEL_FILES = (".json", ".safetensors", ".txt")
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_REMEMBERED = 1024
"""Vectors kept: the operating points of one router ask for the same texts."""


class Embedding:
    """A model that turns a text into a vector of length 1.

    Args:
        name: as it was given; leads to the model again.
        digest: sha256 of what it is made of.
        function: from a list of texts to a table of numbers, a row a text.
    """

    def __init__(self, name: str, digest: str, function: Callable[[list[str]], Any]) -> None:
        self.name = name
        self.digest = digest
        self._function = function
        # A user's model may not bear two callers at a time.
        self._lock = threading.Lock()
        self._vector = lru_cache(_REMEMBERED)(self._compute)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(texts, width) of unit length; callable from any thread.

        Raises:
            ConfigError: the model fails, or gives anything but finite numbers of one width.
        """
        vectors = [self._vector(text) for text in texts]
        if len({len(vector) for vector in vectors}) > 1:
            raise ConfigError(f"embedding model {self.name!r} gives vectors of several widths")
        return np.array(vectors)

    def _compute(self, text: str) -> NDArray[np.float64]:
        try:
            with self._lock:
                made = np.asarray(self._function([text]), np.float64)
        except Exception as error:  # whatever a user's model raises
            raise ConfigError(f"embedding model {self.name!r} fails: {error!r}") from error
        if made.ndim != 2 or made.shape[0] != 1 or not made.size or not np.isfinite(made).all():
            raise ConfigError(
                f"embedding model {self.name!r} must give a row of finite numbers for each text,"
                f" not shape {made.shape}"
            )
        length = float(np.sqrt(np.sum(made**2)))
        vector: NDArray[np.float64] = made[0] / (length or 1.0)
        return vector


def open_embedding(name: str) -> Embedding:
    """The model that is meant.

    Args:
        name: a folder with `modules.json`, or `module:attribute`, a callable that takes a list
            of texts and returns a row of numbers for each.

    Raises:
        ConfigError: there is no such model, or it cannot be used.
        MissingExtraError: a folder is named and transformers is not installed.
    """
    if Path(name).is_dir():
        return _from_folder(Path(name).resolve())
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise ConfigError(
            f"no embedding model {name!r}: name a sentence-transformers folder, or"
            " module:attribute, a callable from a list of texts to rows of numbers"
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        loaded = importlib.import_module(module)
        function = getattr(loaded, attribute)
        source = Path(str(loaded.__file__)).read_bytes()
    except Exception as error:  # whatever stands in a user's module
        raise ConfigError(f"embedding model {name!r} cannot be loaded: {error!r}") from error
    return Embedding(name, f"sha256:{hashlib.sha256(source).hexdigest()}", function)


def _from_folder(folder: Path) -> Embedding:
    torch = require("torch", extra="hf", why=f"the embedding model {folder}")
    transformers = require("transformers", extra="hf", why=f"the embedding model {folder}")
    pooling, longest = _layout(folder)
    transformers.utils.logging.disable_progress_bar()
    try:
        options = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, **options)
    except Exception as error:  # each library on the way has errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ConfigError(f"{folder}: no embedding model that can be loaded: {reason}") from error
    model.eval()
    limit = longest or tokenizer.model_max_length

    def embed(texts: list[str]) -> Any:
        tokens = tokenizer(texts, truncation=True, max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        # One text at a time, so nothing is padded and every token counts.
        return (states[:, 0] if pooling == "cls" else states.mean(dim=1)).float().numpy()

    return Embedding(str(folder), _folder_digest(folder), embed)


def _layout(folder: Path) -> tuple[str, int | None]:
    """How token vectors become one, and how many tokens are read.

    Raises:
        ConfigError: the folder is laid out in another way, or asks for what is not done here.
    """
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
        if set(kinds) - {"Normalize"} != {"Transformer", "Pooling"} or kinds["Transformer"]:
            raise ConfigError(
                f"{folder}: its modules are {', '.join(kinds)}; only a transformer in the folder"
                " itself, a pooling and a normalisation are read"
            )
        pooling = json.loads((folder / kinds["Pooling"] / "config.json").read_text("utf-8"))
        limits = folder / "sentence_bert_config.json"
        longest = json.loads(limits.read_text("utf-8")) if limits.exists() else {}
        modes = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: no sentence-transformers model ({error!r}): modules.json, the pooling's"
            " config.json and sentence_bert_config.json say how its vectors are made"
        ) from error
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ConfigError(f"{folder}: pooling {modes} is not read, only mean tokens or CLS token")
    limit = longest.get("max_seq_length")
    return _POOLINGS[modes[0]], limit if isinstance(limit, int) and limit > 0 else None


def _folder_digest(folder: Path) -> str:
    sha = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _MODEL_FILES and path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            sha.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return f"sha256:{sha.hexdigest()}"
