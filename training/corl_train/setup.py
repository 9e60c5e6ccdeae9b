"""From a configuration to what a training run works with: pool, problems, controller, policy.

The controller that is trained is the one that is benchmarked: `write_controller` leaves a folder
that `corl-bench run --system controller:DIR` takes.

    setup = prepare(load_recipe("quickstart"))
    write_controller(setup, new_policy(setup, seed=0), Path("runs/untrained"))
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.base import ExpertSpec, Pool, Sampling
from corl_bench.experts.pools import load_pool
from corl_bench.files import write_text
from corl_bench.money.amounts import PRICE_DECIMALS, parse_usd
from corl_bench.money.prices import Price
from corl_bench.routers.controller import Controller
from corl_bench.routers.controller_file import FILE_NAME
from corl_bench.routers.protocol import Protocol, parse_protocol, read_protocol
from corl_bench.runs.plan import parse_budgets
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.types import Budget
from corl_train.config import Config, RewardTable
from corl_train.policies.base import Policy
from corl_train.policies.tiny import TinyPolicy
from corl_train.policies.transformer import Shape
from corl_train.policies.vocabulary import vocabulary_of
from corl_train.provider import NAME as PROVIDER
from corl_train.rewards import Gate, Linear, Mean, Percentile, Reward, Soft

OWN_NAME = "controller"
WEIGHTS_FOLDER = "weights"
_PRICED = date(2025, 1, 1)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a configuration comes to."""

    config: Config
    pool: Pool
    budgets: tuple[Budget, ...]
    train: LoadedTask
    validation: LoadedTask
    protocol: Protocol
    protocol_text: str
    """Its file, as it was when it was read: what the controller is handed on with."""
    controller: Controller


def prepare(config: Config, *, price_date: date | None = None) -> Setup:
    """Loads what a configuration names.

    Args:
        config: the recipe, expanded.
        price_date: the day whose library prices hold; None: the pool's, else today.

    Raises:
        ConfigError: something that it names is not there or cannot be used.
    """
    pool = load_pool(config.data.pool, price_date=price_date)
    if any(expert.name == OWN_NAME for expert in pool.experts):
        raise ConfigError(
            f"pool {pool.name!r} has an expert {OWN_NAME!r}, which is whom training calls itself:"
            " give it another alias"
        )
    protocol_text = read_protocol(config.data.protocol)
    protocol = parse_protocol(protocol_text, config.data.protocol)
    if protocol.continues or protocol.naming != "attribute":
        raise ConfigError(
            f"protocol {protocol.name!r} is for running weights that others have trained: train"
            " with one that takes turns and names experts in an attribute"
        )
    return Setup(
        config=config,
        pool=pool,
        budgets=budgets_of(config, pool),
        train=load_task(config.data.train),
        validation=load_task(config.data.validation),
        protocol=protocol,
        protocol_text=protocol_text,
        controller=Controller(f"controller:{config.name}", own_model(config), protocol),
    )


def budgets_of(config: Config, pool: Pool) -> tuple[Budget, ...]:
    """The budgets that a controller is trained for, and measured at.

    Raises:
        ConfigError: neither the recipe nor the pool names one.
    """
    budgets = parse_budgets(config.data.budgets, pool)
    if not budgets:
        raise ConfigError(f"pool {pool.name!r} names no budgets: set data.budgets=low=0.0005,…")
    return tuple(budgets)


def own_model(config: Config) -> ExpertSpec:
    """The controller's own model as an expert, with its stated price."""
    usd = parse_usd(config.policy.usd_per_mtok, what="policy.usd_per_mtok", decimals=PRICE_DECIMALS)
    return ExpertSpec(
        name=OWN_NAME,
        provider=PROVIDER,
        model=config.name,
        price=Price(config.name, _PRICED, "stated by the recipe, policy.usd_per_mtok", usd, usd),
        role="self",
        sampling=Sampling(max_output_tokens=1),
        max_concurrency=1_000_000,
    )


def new_policy(setup: Setup, *, seed: int) -> Policy:
    """The policy that training begins with.

    Raises:
        ConfigError: the recipe's model cannot be loaded.
        MissingExtraError: it takes transformers or peft, which are not installed.
    """
    table = setup.config.policy
    if table.kind == "huggingface":
        from corl_train.policies.huggingface import HuggingFacePolicy, Lora

        lora = Lora(table.lora_rank, table.lora_alpha, table.lora_targets)
        return HuggingFacePolicy.open(
            Path(table.path).expanduser(),
            device=table.device,
            dtype=table.dtype,
            context=table.context,
            lora=lora if lora.rank else None,
            gradient_checkpointing=table.gradient_checkpointing,
            seed=seed,
        )
    texts = [problem.text for problem in setup.train.problems]
    tokens = vocabulary_of(setup.protocol, setup.pool, setup.budgets, texts, words=table.words)
    shape = Shape(len(tokens), table.width, table.depth, table.heads, table.context)
    return TinyPolicy.new(tokens, shape, seed=seed)


def make_reward(table: RewardTable) -> Reward:
    """The reward that a recipe names."""
    if table.kind == "soft":
        return Soft(table.per_usd, table.most)
    if table.kind == "linear":
        return Linear(table.weight, table.scale_usd)
    if table.kind == "mean":
        return Mean({}, table.most)
    if table.kind == "percentile":
        return Percentile(table.alpha)
    return Gate(table.fine)


def write_controller(setup: Setup, policy: Policy, folder: Path, *, seed: int = 0) -> None:
    """Leaves a controller that the bench can run: weights, protocol, `controller.toml`.

    All of it is written beside what an earlier call has left and takes its place in the end, so
    that a kill leaves the old controller or the new one; between two renames, neither, and then
    whoever opens it says so.

    Args:
        setup: what it was trained with.
        policy: its weights.
        folder: the run's directory.
        seed: of the run; part of the controller's alias, so that two seeds can be compared.

    Raises:
        StorageError: it cannot be written.
    """
    weights = folder / WEIGHTS_FOLDER
    new, old = folder / f".{WEIGHTS_FOLDER}.new", folder / f".{WEIGHTS_FOLDER}.old"
    try:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        new.mkdir(parents=True)
        policy.save(new)
        described = _describe(setup, digest_of(new), name=f"{setup.config.name}-{seed}")
        write_text(folder / "protocol.toml", setup.protocol_text)
        if weights.exists():
            weights.rename(old)
        new.rename(weights)
        write_text(folder / FILE_NAME, described)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {weights}: {error.strerror}") from error


def _describe(setup: Setup, digest: str, *, name: str) -> str:
    """The text of `controller.toml`; JSON writes strings and numbers as TOML does."""
    options: dict[str, str | int] = {"path": WEIGHTS_FOLDER, "sha256": digest}
    table = setup.config.policy
    if table.kind == "huggingface":
        # What is measured computes as what was trained; a device is the machine's own matter.
        options["dtype"] = table.dtype
        if table.context is not None:
            options["context"] = table.context
    price = setup.controller.own_model.price
    usd = json.dumps(format(price.output_usd_per_mtok, "f"))
    written = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    return (
        f"name = {json.dumps(name)}\n"
        'protocol = "protocol.toml"\n\n'
        "[model]\n"
        f'provider = "{PROVIDER}"\n'
        f"model = {json.dumps(setup.config.name)}\n"
        f"max_output_tokens = {setup.protocol.max_turn_tokens}\n"
        f"options = {{ {written} }}\n"
        "price = { "
        f"input_usd_per_mtok = {usd}, output_usd_per_mtok = {usd}, "
        f"effective_from = {price.effective_from.isoformat()}, "
        f"source = {json.dumps(price.source)} }}\n"
    )


def digest_of(folder: Path) -> str:
    """sha256 of the files of a folder, of those in its folders too, and of their names."""
    digest = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file())
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        digest.update(name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
