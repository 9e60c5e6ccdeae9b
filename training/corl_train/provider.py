"""The provider `corl-train`: a trained controller in process, for `corl-bench run`.

`corl_bench` knows no trainer; it finds `make` through the entry-point group
`corl_bench.providers` when a `controller.toml` names it. Weights are taken only as the file
describes them: its `sha256` is that of the folder, or there is no run.

    [model]
    provider = "corl-train"
    options = { path = "weights", sha256 = "…" }
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec
from corl_bench.experts.providers import ProviderContext
from corl_bench.extras import require
from corl_bench.files import path_of

if TYPE_CHECKING:
    from corl_train.speaker import Speaker

NAME = "corl-train"
_OPTIONS = frozenset({"path", "sha256", "device", "dtype", "context"})


def make(spec: ExpertSpec, context: ProviderContext) -> Speaker:
    """The factory behind the entry point.

    Args:
        spec: its `options` are `path` (the folder with the weights), `sha256` of that folder
            as `corl_train.setup.digest_of` gives it, for recorded turns are found by it, and,
            for a Hugging Face model, `device` (`auto`, `cpu`, `cuda`, …), `dtype` (`auto`,
            `float32`, `bfloat16`) and `context` (tokens; without it the model's own).
        context: its seed is that of the draws, where the temperature is not 0.

    Raises:
        ConfigError: an option is unknown, or the weights are not there or are others.
        MissingExtraError: torch or transformers is not installed.
    """
    if unknown := sorted(set(spec.options) - _OPTIONS):
        raise ConfigError(
            f"{spec.name}: provider {NAME} has no option {unknown[0]!r}; it has"
            f" {', '.join(sorted(_OPTIONS))}"
        )
    if not spec.options.get("path"):
        raise ConfigError(f"{spec.name}: name the folder with the weights in options.path")
    require("torch", extra="train", why="A controller in process")
    from corl_train.policies.loading import computing, open_policy
    from corl_train.speaker import Speaker

    policy = open_policy(weights_of(spec), **computing(spec.options))
    return Speaker(policy, seed=context.seed)


def weights_of(spec: ExpertSpec) -> Path:
    """The folder with a controller's weights, which are those that it describes.

    Raises:
        ConfigError: there is no such folder, others are in it, or nothing says which they are.
    """
    from corl_train.setup import digest_of

    folder = path_of(str(spec.options["path"]))
    if not folder.is_dir():
        raise ConfigError(
            f"{spec.name}: there is no folder {folder}: carry the weights along with the"
            " controller.toml, or mend options.path"
        )
    expected, found = spec.options.get("sha256"), digest_of(folder)
    if expected is None:
        raise ConfigError(
            f"{spec.name}: nothing says which weights are in {folder}, and recorded turns are found"
            f' by them: write sha256 = "{found}" among its options'
        )
    if found != expected:
        raise ConfigError(
            f"{spec.name}: the weights in {folder} are not those of its controller.toml: fetch"
            f' both again, or write sha256 = "{found}" if you have changed them'
        )
    return folder
