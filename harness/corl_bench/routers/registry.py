"""From what a user writes after `--system` to routing systems.

A family is a name before the first colon; what follows is the family's own. Other
distributions add families through the entry-point group `corl_bench.routers`: a callable that
takes the text behind the colon and the pool, and returns a list of systems.

    >>> parse_systems(["single:nano", "random"], pool)  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool
from corl_bench.money.prices import cheapest_first
from corl_bench.routers.agreement import Cascade, Vote
from corl_bench.routers.base import Router
from corl_bench.routers.fixed import Mixture, Random, Single
from corl_bench.routers.oracle import Oracle
from corl_bench.types import Mode

ENTRY_POINTS = "corl_bench.routers"

Factory = Callable[[str, Pool], list[Router]]


def parse_systems(texts: Sequence[str], pool: Pool) -> list[Router]:
    """Systems in the order given; a system given twice counts once.

    Raises:
        ConfigError: an unknown family or expert, text that the family cannot read, or two
            systems of one name.
    """
    systems: dict[str, tuple[str, Router]] = {}
    for text in dict.fromkeys(texts):
        family, _, rest = text.partition(":")
        for system in _factory(family, text)(rest, pool):
            first, known = systems.setdefault(system.name, (text, system))
            if known is not system and known != system:
                raise ConfigError(
                    f"{first!r} and {text!r} are two systems of one name, {system.name!r}:"
                    " give one of them another `name`"
                )
    return [system for _, system in systems.values()]


def code_digest(system: Router) -> str | None:
    """sha256 of what a system is made of, where its name does not say it all.

    That is what a system itself gives as its `digest` (a controller's protocol and model, the
    weights of a learned one), else the file in which a user's system is written, and None for
    the bench's own. Part of a run's identity: a system that was edited is another one under the
    same name. Modules that the file imports are not looked at.
    """
    digest = getattr(system, "digest", None)
    if isinstance(digest, str) and digest:
        return digest
    if type(system).__module__.partition(".")[0] == __package__.partition(".")[0]:
        return None
    try:
        path = inspect.getsourcefile(type(system))
    except TypeError:
        return None
    return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


def baselines(pool: Pool, mode: Mode = "auto") -> list[str]:
    """What `corl-bench run` scores when no system is named: every baseline the pool allows.

    In mode live there is no oracle: it reads stored replies, and live shares none.
    """
    names = [expert.name for expert in by_price(pool)]
    texts = [f"single:{expert.name}" for expert in pool.experts]
    if len(names) >= 2:
        texts += ["random", f"mix:{names[0]},{names[-1]}@0.5"]
    if len(names) >= 3:
        middle = names[(len(names) - 1) // 2]
        chosen = (names[0], middle, names[-1])
        texts += ["cascade:" + ">".join(chosen), "vote:" + ",".join(chosen)]
    return texts if mode == "live" else [*texts, "oracle"]


def by_price(pool: Pool) -> list[ExpertSpec]:
    """Experts from cheap to dear, the controller's own model left out."""
    return cheapest_first(expert for expert in pool.experts if expert.role == "expert")


def _factory(family: str, text: str) -> Factory:
    if family in FAMILIES:
        return FAMILIES[family]
    registered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if family in registered:
        try:
            loaded: Factory = registered[family].load()
        except Exception as error:  # whatever stands in another distribution's module
            raise ConfigError(
                f"{text!r}: routing systems {family!r} cannot be loaded ({error!r}); repair or"
                " uninstall the distribution that brings them"
            ) from error
        return loaded
    known = sorted({*FAMILIES, *registered})
    near = get_close_matches(family, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    raise ConfigError(f"unknown routing system {text!r}{hint}")


def _single(rest: str, pool: Pool) -> list[Router]:
    if rest == "*":
        return [Single(expert.name) for expert in pool.experts]
    (expert,) = _experts(rest, ",", pool, f"single:{rest}", least=1, most=1)
    return [Single(expert)]


def _random(rest: str, pool: Pool) -> list[Router]:
    if not rest:
        return [Random(tuple(e.name for e in pool.experts if e.role == "expert"))]
    experts = _experts(rest, ",", pool, f"random:{rest}", least=1)
    return [Random(experts, name=f"random:{rest}")]


def _mixture(rest: str, pool: Pool) -> list[Router]:
    text = f"mix:{rest}"
    names, _, share_text = rest.partition("@")
    first, second = _experts(names, ",", pool, text, least=2, most=2)
    try:
        share = float(share_text) if share_text else 0.5
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(
            f"{text!r}: {share_text!r} is no probability; write mix:a,b@0.3 for b in 30 %"
        )
    return [Mixture(first, second, share)]


def _cascade(rest: str, pool: Pool) -> list[Router]:
    return [Cascade(_experts(rest, ">", pool, f"cascade:{rest}", least=2))]


def _vote(rest: str, pool: Pool) -> list[Router]:
    return [Vote(_experts(rest, ",", pool, f"vote:{rest}", least=2))]


def _oracle(rest: str, pool: Pool) -> list[Router]:
    if rest:
        raise ConfigError(f"'oracle:{rest}': the oracle takes nothing behind a colon")
    return [Oracle()]


def _experts(
    text: str, separator: str, pool: Pool, system: str, *, least: int, most: int | None = None
) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(separator)) if text else ()
    if len(names) < least or (most is not None and len(names) > most):
        wanted = "one expert" if least == most == 1 else f"{least} experts"
        if most is None:
            wanted = "at least one expert" if least == 1 else f"at least {wanted}"
        between = "" if most == 1 else f", with {separator!r} between them"
        found = len(names) or "none"
        raise ConfigError(f"{system!r} names {found}: it takes {wanted}{between}")
    known = [expert.name for expert in pool.experts]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise ConfigError(f"{system!r}: no expert {name!r} in pool {pool.name!r}; {hint}")
    return names


def _imported(module: str, factory: str) -> Factory:
    """A family of a module that is imported once a system of it is named, and not before."""

    def make(rest: str, pool: Pool) -> list[Router]:
        made: list[Router] = getattr(import_module(module, __package__), factory)(rest, pool)
        return made

    return make


FAMILIES: dict[str, Factory] = {
    "single": _single,
    "random": _random,
    "mix": _mixture,
    "cascade": _cascade,
    "vote": _vote,
    "oracle": _oracle,
    "python": _imported(".python", "make_pythons"),
    "exec": _imported(".external", "make_execs"),
    "decisions": _imported(".decision_file", "make_players"),
    "controller": _imported(".controller_file", "make_controllers"),
    "endpoint": _imported(".endpoint_file", "make_endpoints"),
    "learned": _imported(".learned.router", "make_learned"),
}
