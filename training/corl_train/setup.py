"""From a configuration to what a training run works with: pool, problems, controller, policy.

The controller that is trained is the one that is benchmarked: `write_controller` leaves a folder
that `corl-bench run --system controller:DIR` takes. Only what makes a policy imports torch.

    setup = prepare(load_recipe("quickstart"))
    write_controller(setup, new_policy(setup, seed=0), Path("runs/untrained"))
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from corl_bench.errors import ConfigError, StorageError
from corl_bench.experts.base import ExpertSpec, Pool, Sampling
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.experts.card_file import encode_cards, keyed
from corl_bench.experts.pools import load_pool
from corl_bench.files import path_of, write_text
from corl_bench.money.amounts import PRICE_DECIMALS, parse_usd
from corl_bench.money.prices import Price
from corl_bench.routers.controller import Controller
from corl_bench.routers.controller_file import FILE_NAME
from corl_bench.routers.protocol import Protocol, of_integers, parse_protocol, read_protocol
from corl_bench.runs.plan import parse_budgets
from corl_bench.tasks import LoadedTask
from corl_bench.tasks.golds import is_integer
from corl_bench.types import Budget
from corl_train.config import Config, RewardTable
from corl_train.material import LeftOut, gather, unseen
from corl_train.provider import NAME as PROVIDER
from corl_train.rewards import Gate, Linear, Mean, Percentile, Reward, Soft
from corl_train.variety.world import World, open_world

if TYPE_CHECKING:
    from corl_train.policies.base import Policy

OWN_NAME = "controller"
WEIGHTS_FOLDER = "weights"
PROTOCOL_NAME = "protocol.toml"
SERVED_NAME = "served.toml"
"""A `controller.toml` for the same weights behind an address."""
DESCRIPTIONS = frozenset({FILE_NAME, PROTOCOL_NAME, SERVED_NAME, CARDS_NAME})
_NEARLY_ALL = 0.99
_PRICED = date(2025, 1, 1)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a configuration comes to."""

    config: Config
    pool: Pool
    budgets: tuple[Budget, ...]
    train: LoadedTask
    validation: LoadedTask
    left_out: tuple[LeftOut, ...]
    """Of the training and validation problems, those that stand in what is tested on."""
    protocol: Protocol
    protocol_text: str
    """Its file, as it was when it was read: what the controller is handed on with."""
    controller: Controller
    world: World | None = None
    """What pools and budgets are drawn from, where they vary."""


def prepare(config: Config, *, price_date: date | None = None) -> Setup:
    """Loads what a configuration names.

    Args:
        config: the recipe, expanded.
        price_date: the day whose library prices hold; None: the pool's, else today.

    Raises:
        ConfigError: something that it names is not there or cannot be used.
    """
    pool = load_pool(config.data.pool, price_date=price_date)
    require_own_name(pool)
    protocol_text = read_protocol(config.data.protocol)
    protocol = parse_protocol(protocol_text, config.data.protocol)
    require_trainable(protocol)
    if protocol.naming == "letter" and config.variety is None and config.warm_start.episodes:
        raise ConfigError(
            f"protocol {protocol.name!r} has letters for experts, and the warm start of a pool"
            " that stays calls them by name: take `digest` or `votes`, or let pools vary, [variety]"
        )
    material = gather(config.data)
    if config.schedule.keep == "best":
        material = unseen(material, config.data)
    if config.data.answers == "golds" and _are_integers(material.train):
        protocol_text = of_integers(protocol_text)
        protocol = parse_protocol(protocol_text, config.data.protocol)
    world = None
    if config.variety is not None:
        if protocol.naming != "letter":
            raise ConfigError(
                f"protocol {protocol.name!r} knows experts by their names: where pools vary, take"
                " one that has letters for them, as `cards` has"
            )
        if protocol.shows != "answer":
            raise ConfigError(
                f"protocol {protocol.name!r} shows whole texts, and rehearsals with pools that vary"
                ' have answers alone: set shows = "answer" in it'
            )
        world = open_world(pool, material.train, config.variety)
        pool = world.base
    return Setup(
        config=config,
        pool=pool,
        budgets=budgets_of(config, pool),
        train=material.train,
        validation=material.validation,
        left_out=material.left_out,
        protocol=protocol,
        protocol_text=protocol_text,
        controller=Controller(
            f"controller:{config.name}",
            own_model(config.name, config.policy.usd_per_mtok),
            protocol,
        ),
        world=world,
    )


def _are_integers(task: LoadedTask) -> bool:
    """Whether golds are whole numbers, but for the odd one that was published otherwise."""
    whole = sum(is_integer(problem.answer) for problem in task.problems)
    return whole >= _NEARLY_ALL * len(task.problems)


def require_own_name(pool: Pool) -> None:
    """Refuses a pool one of whose experts has the name of the model that is trained.

    Raises:
        ConfigError: there is one.
    """
    if any(expert.name == OWN_NAME for expert in pool.experts):
        raise ConfigError(
            f"pool {pool.name!r} has an expert {OWN_NAME!r}, which is whom training calls itself:"
            " give it another alias"
        )


def require_trainable(protocol: Protocol) -> None:
    """Refuses a protocol that nobody can be trained with.

    Raises:
        ConfigError: its turns are one message, or it names experts in front of a colon.
    """
    if protocol.continues or protocol.naming == "prefix":
        raise ConfigError(
            f"protocol {protocol.name!r} is for running weights that others have trained: train"
            " with one that takes turns and names experts in an attribute, or by letters"
        )


def budgets_of(config: Config, pool: Pool) -> tuple[Budget, ...]:
    """The budgets that a controller is trained for, and measured at.

    Raises:
        ConfigError: neither the recipe nor the pool names one.
    """
    budgets = parse_budgets(config.data.budgets, pool, option="data.budgets")
    if not budgets:
        raise ConfigError(f"pool {pool.name!r} names no budgets: set data.budgets=low=0.0005,…")
    return tuple(budgets)


def own_model(name: str, usd_per_mtok: str, *, key: str = "policy.usd_per_mtok") -> ExpertSpec:
    """The controller's own model as an expert, with its stated price.

    Args:
        name: of the recipe.
        usd_per_mtok: of its tokens, read or said.
        key: of the recipe, where that stands.

    Raises:
        ConfigError: it is no price.
    """
    usd = parse_usd(usd_per_mtok, what=key, decimals=PRICE_DECIMALS)
    return ExpertSpec(
        name=OWN_NAME,
        provider=PROVIDER,
        model=name,
        price=Price(name, _PRICED, f"stated by the recipe, {key}", usd, usd),
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
            path_of(table.path),
            device=table.device,
            dtype=table.dtype,
            context=table.context,
            lora=lora if lora.rank else None,
            gradient_checkpointing=table.gradient_checkpointing,
            seed=seed,
        )
    from corl_train.policies.tiny import TinyPolicy
    from corl_train.policies.transformer import Shape
    from corl_train.policies.vocabulary import open_vocabulary_of, vocabulary_of

    texts = [problem.text for problem in setup.train.problems]
    if setup.protocol.naming == "letter":
        subjects = sorted({p.subject for p in setup.train.problems if p.subject})
        tokens = open_vocabulary_of(setup.protocol, subjects, texts, words=table.words)
    else:
        tokens = vocabulary_of(setup.protocol, setup.pool, setup.budgets, texts, words=table.words)
    shape = Shape(len(tokens), table.width, table.depth, table.heads, table.context)
    return TinyPolicy.new(tokens, shape, seed=seed)


def make_reward(table: RewardTable, budgets: Sequence[Budget]) -> Reward:
    """The reward that a recipe names.

    Args:
        table: of the recipe.
        budgets: in their order.
    """
    if table.kind == "soft":
        return Soft(table.per_usd, table.most)
    if table.kind == "linear":
        return Linear(table.weight, table.scale_usd)
    if table.kind == "mean":
        return Mean({}, table.most)
    if table.kind == "percentile":
        return Percentile(table.alpha)
    return Gate({b.usd: fine for b, fine in zip(budgets, table.fines, strict=False)})


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
        write_text(folder / PROTOCOL_NAME, setup.protocol_text)
        cards = keyed(setup.pool.experts)
        if setup.protocol.lists_cards and cards:
            write_text(folder / CARDS_NAME, encode_cards(cards))
        if weights.exists():
            weights.rename(old)
        new.rename(weights)
        write_text(folder / FILE_NAME, described)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot write {weights}: {error.strerror}") from error


def _describe(setup: Setup, digest: str, *, name: str) -> str:
    """The text of `controller.toml`."""
    options: dict[str, str | int] = {"path": WEIGHTS_FOLDER, "sha256": digest}
    table = setup.config.policy
    if table.kind == "huggingface":
        # What is measured computes as what was trained; a device is the machine's own matter.
        options["dtype"] = table.dtype
        if table.context is not None:
            options["context"] = table.context
    own = replace(
        setup.controller.own_model,
        name=name,
        sampling=Sampling(max_output_tokens=setup.protocol.max_turn_tokens),
        options=options,
    )
    return describe_controller(own)


def describe_controller(own: ExpertSpec) -> str:
    """The `controller.toml` of weights in process, to stand beside a `protocol.toml`.

    Args:
        own: the controller's model: alias, model, limit of a turn, options and price.
    """
    # JSON writes strings and numbers as TOML does.
    price = own.price
    options = ", ".join(f"{key} = {json.dumps(value)}" for key, value in own.options.items())
    return (
        f"name = {json.dumps(own.name)}\n"
        'protocol = "protocol.toml"\n\n'
        "[model]\n"
        f'provider = "{PROVIDER}"\n'
        f"model = {json.dumps(own.model)}\n"
        f"max_output_tokens = {own.sampling.max_output_tokens}\n"
        f"options = {{ {options} }}\n"
        "price = { "
        f'input_usd_per_mtok = "{price.input_usd_per_mtok:f}",'
        f' output_usd_per_mtok = "{price.output_usd_per_mtok:f}",'
        f" effective_from = {price.effective_from.isoformat()},"
        f" source = {json.dumps(price.source)} }}\n"
    )


def digest_of(folder: Path) -> str:
    """sha256 of the files of a folder, of those in its folders too, and of their names.

    What describes a controller beside its weights is no part of them: it states this digest.
    """
    digest = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file())
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in files):
        if name in DESCRIPTIONS:
            continue
        digest.update(name.encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
