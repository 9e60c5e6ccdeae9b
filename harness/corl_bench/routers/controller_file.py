"""`controller:…`: which controller is meant, and what its own model is and costs.

A controller is described by a TOML file: its protocol, and its model as a pool file would
declare an expert. `corl-train` writes one beside the weights it has trained.

    protocol = "corl"                # a built-in protocol, or a file beside this one

    [model]
    provider = "openai"              # any OpenAI-compatible server, vLLM's above all
    base_url = "http://127.0.0.1:8000/v1"
    model = "corl-7b"
    price = { input_usd_per_mtok = "0.05", … }

What follows `controller:` is that file, the directory that holds it as `controller.toml`, or the
address of a server, whose only model is then looked up and whose price is in the price library.
How much a turn may say is the protocol's matter. `docs/controllers.md` tells it to users.
"""

from __future__ import annotations

import json
import tomllib
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from corl_bench.errors import ConfigError, UnpricedModelError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.experts.card_file import FILE_NAME as CARDS_NAME
from corl_bench.experts.card_file import read_cards
from corl_bench.experts.pool_file import ExpertTable, validate
from corl_bench.experts.pools import make_expert
from corl_bench.experts.transport import is_loopback
from corl_bench.files import path_of
from corl_bench.routers.base import Router
from corl_bench.routers.controller import Controller
from corl_bench.routers.protocol import Protocol, load_protocol
from corl_bench.toml import parse_toml

FILE_NAME = "controller.toml"
LISTING_TIMEOUT_S = 5.0
_LISTING_BYTES = 1_000_000


def make_controllers(rest: str, pool: Pool) -> list[Router]:
    """The family behind `controller:`; see `read_controller`."""
    return [read_controller(rest, pool)]


def read_controller(rest: str, pool: Pool) -> Controller:
    """The controller that is meant.

    Args:
        rest: a file, a directory, or an address, and behind a `#` the model's id on a server.
        pool: gives the day whose library prices hold.

    Raises:
        ConfigError: there is no controller, or it cannot be used.
        UnpricedModelError: nobody says what its tokens cost.
    """
    if not rest:
        raise ConfigError(
            "'controller:': name a directory, a controller.toml, or a server's address"
        )
    on = pool.price_date or date.today()
    is_address = rest.startswith(("http://", "https://"))
    controller = _served(rest, on) if is_address else _described(rest, on)
    _check_names(controller, pool)
    return replace(controller, experts=tuple(expert.name for expert in pool.experts))


def _check_names(controller: Controller, pool: Pool) -> None:
    """Refuses names that would call nobody, or somebody else."""
    aliases = [expert.name for expert in pool.experts]
    if strangers := [alias for alias in controller.names if alias not in aliases]:
        raise ConfigError(
            f"{controller.name!r}: [names] names {strangers[0]!r}, and the experts of pool"
            f" {pool.name!r} are {', '.join(aliases)}"
        )
    known = [controller.names.get(alias, alias) for alias in aliases]
    folded = [name.casefold() for name in known]
    by_prefix = controller.protocol.naming == "prefix"
    for name in known:
        if folded.count(name.casefold()) > 1 and (by_prefix or known.count(name) > 1):
            raise ConfigError(f"{controller.name!r}: [names] calls two experts {name!r}")
        if by_prefix and (":" in name or name != name.strip()):
            raise ConfigError(
                f"{controller.name!r}: its calls name an expert in front of a colon, which"
                f" {name!r} cannot be: give it another name in [names]"
            )


def _described(rest: str, on: date) -> Controller:
    name = f"controller:{rest.rstrip('/') or '/'}"
    path = path_of(rest)
    path = path / FILE_NAME if path.is_dir() else path
    try:
        data = parse_toml(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(
            f"{name!r}: there is no {path}; name the file, its directory, or a server's address"
        ) from None
    except OSError as error:
        raise ConfigError(f"{name!r}: cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    if unknown := sorted(set(data) - {"name", "protocol", "model", "names"}):
        raise ConfigError(
            f"{path}: unknown key {unknown[0]!r}; it has name, protocol, [names] and [model]"
        )
    own_name = data.get("name", path.resolve().parent.name)
    protocol_name = data.get("protocol", "corl")
    if not isinstance(own_name, str) or not own_name or not isinstance(protocol_name, str):
        raise ConfigError(f"{path}: name and protocol are texts")
    names = data.get("names", {})
    if not isinstance(names, dict) or not all(n and isinstance(n, str) for n in names.values()):
        raise ConfigError(f'{path}: [names] holds lines like  alias = "what the weights call it"')
    beside = path.parent / protocol_name
    protocol = load_protocol(beside if protocol_name.endswith(".toml") else protocol_name)
    table = validate(ExpertTable, data.get("model"), file=str(path), where=("model",))
    if table.max_output_tokens not in (None, protocol.max_turn_tokens):
        raise ConfigError(
            f"{path}: model.max_output_tokens: a turn is limited by max_turn_tokens of protocol"
            f" {protocol.name!r} ({protocol.max_turn_tokens}): leave it out, or change it there"
        )
    own = make_expert(own_name, table, on=on, file=str(path), where=("model",))
    if path_option := own.options.get("path"):
        # Weights lie beside the file, wherever both are carried.
        own = replace(own, options={**own.options, "path": str(path.parent / str(path_option))})
    beside_cards = path.parent / CARDS_NAME
    cards = read_cards(beside_cards) if protocol.lists_cards and beside_cards.is_file() else {}
    return replace(_controller(name, own, protocol), names=names, cards=cards)


def _served(text: str, on: date) -> Controller:
    address, _, model = text.partition("#")
    base_url, file = address.rstrip("/"), f"controller:{text}"
    # Checked before anything is sent there, and not repeated: it may hold a password.
    given = {"provider": "openai", "base_url": base_url}
    table = validate(ExpertTable, given, file="--system controller", where=("address",))
    model = model or _only_model(base_url)
    try:
        own = make_expert(model, table, on=on, file=file)
    except UnpricedModelError:
        raise UnpricedModelError(
            f"{file!r}: the price library has no openai/{model}: write a {FILE_NAME} with this"
            " base_url, model and a price, and name it instead (docs/controllers.md)"
        ) from None
    return _controller(f"controller:{model}", own, load_protocol("corl"))


def _controller(name: str, own: ExpertSpec, protocol: Protocol) -> Controller:
    """Its own model is no expert, and speaks no longer than a turn may be."""
    sampling = replace(own.sampling, max_output_tokens=protocol.max_turn_tokens)
    own = replace(own, role="self", sampling=sampling)
    return Controller(name, own, protocol, reads_budget=protocol.tells_budget)


def _only_model(base_url: str) -> str:
    # Proxies are for other hosts: a server on this machine is asked directly, as in a run.
    local = is_loopback(urlsplit(base_url).hostname or "")
    proxies = urllib.request.ProxyHandler({} if local else None)
    try:
        with urllib.request.build_opener(proxies).open(
            f"{base_url}/models", timeout=LISTING_TIMEOUT_S
        ) as answer:
            listing: Any = json.loads(answer.read(_LISTING_BYTES))
        ids = [str(entry["id"]) for entry in listing["data"] if isinstance(entry, Mapping)]
    except (OSError, HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
        said = getattr(error, "reason", error)
        reason = " ".join(f"{said}".split()) or type(error).__name__
        raise ConfigError(
            f"'controller:{base_url}': no list of models at {base_url}/models ({reason[:200]}):"
            f" start the server, name its model, controller:{base_url}#MODEL, or write a"
            f" {FILE_NAME}"
        ) from None
    if len(ids) != 1:
        raise ConfigError(
            f"'controller:{base_url}' serves {', '.join(ids) or 'nothing'}: name one model,"
            f" controller:{base_url}#MODEL"
        )
    return ids[0]
