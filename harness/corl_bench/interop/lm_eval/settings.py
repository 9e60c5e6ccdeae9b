"""`--model_args` of the model `corl`: which system, whose experts, what it may cost, and where to.

lm-eval hands its arguments over as texts and numbers; `read_settings` makes a plan of them and
refuses what cannot work before anything is sent, as `corl-bench run` does.

    settings = read_settings({"system": "cascade:nano>mini>large", "pool": "sim", "budget": "low"})
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, CorlError
from corl_bench.experts.base import Pool
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import OFFLINE_PROVIDERS
from corl_bench.money.amounts import parse_usd
from corl_bench.routers.base import Router
from corl_bench.runs.plan import Plan, make_plan, parse_budgets, require_worst_cases
from corl_bench.runs.settings import DEFAULT_CONCURRENCY, OWN_STORE
from corl_bench.tasks import LoadedTask, load_task
from corl_bench.types import MODES, Budget, Mode


@dataclass(frozen=True, slots=True)
class Argument:
    """One of `--model_args`."""

    default: Any
    help: str


ARGUMENTS: Mapping[str, Argument] = {
    "system": Argument(None, "routing system, as --system of corl-bench run; must be named"),
    "pool": Argument("sim", "pool file or name"),
    "budget": Argument(None, "a budget that the pool names, or dollars; otherwise none"),
    "problems": Argument(None, "task or JSONL file with the statements of other tasks than ours"),
    "data_dir": Argument(None, "folder with local rows of our tasks"),
    "mode": Argument(MODES[0], f"{', '.join(MODES)}: whether replies are stored and replayed"),
    "recordings": Argument(None, "store of replies, or the run that has one"),
    "out": Argument(None, "directory of ledger and replies; otherwise runs/lm-eval-POOL-ID"),
    "max_cost": Argument(None, "spending cap in dollars"),
    "price_date": Argument(None, "day whose prices hold; otherwise the pool's"),
    "concurrency": Argument(DEFAULT_CONCURRENCY, "requests under way at a time"),
    "seed": Argument(0, "of simulated experts and of coins"),
    "skip_preflight": Argument(False, "true: pay a router behind an address without its proof"),
}
"""What `--model_args` may hold; docs/lm-eval.md says what each means."""

_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)\b")

OF_LM_EVAL = frozenset({"batch_size", "max_batch_size", "device", "trust_remote_code"})
"""What lm-eval adds to them by itself, and what means nothing to a routing system."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is to answer, and how."""

    plan: Plan
    """One system, one budget or none; it has no task, for what is asked is lm-eval's matter."""
    known: tuple[LoadedTask, ...]
    """Rows whose statements lm-eval's requests hold."""
    directory: Path
    recordings: Path | None
    max_cost_usd: Decimal | None
    concurrency: int
    skip_preflight: bool
    """Whether routers behind addresses are paid that have not been seen to work."""

    @property
    def system(self) -> Router:
        return self.plan.systems[0]

    @property
    def budget(self) -> Budget | None:
        """What an episode may cost, for the system if it reads budgets, and as a yardstick."""
        return self.plan.budgets[0] if self.plan.budgets else None

    @property
    def told(self) -> Budget | None:
        """What the system is told of it."""
        return self.plan.budgets_of(self.system)[0]

    @property
    def needs_problems(self) -> bool:
        """Whether there are experts that only answer statements which are known beforehand."""
        return any(expert.provider in OFFLINE_PROVIDERS for expert in self.plan.pool.experts)


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Reads `--model_args`.

    Raises:
        CorlError: an argument is not known or not usable; one line that says what to do.
    """
    with naming_arguments():
        return _read(given)


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Errors inside name arguments where the bench, which knows no lm-eval, names its options."""
    try:
        yield
    except CorlError as error:
        said = str(error)
        named = _OPTION.sub(_argument, said)
        if named != said:
            error.args = (f"--model_args: {named}",)
        raise


def _argument(option: re.Match[str]) -> str:
    name = option[1].replace("-", "_")
    return name if name in ARGUMENTS else option[0]


def _read(given: Mapping[str, Any]) -> Settings:
    args = {name: value for name, value in given.items() if name not in OF_LM_EVAL}
    if unknown := sorted(set(args) - set(ARGUMENTS)):
        near = get_close_matches(unknown[0], list(ARGUMENTS), n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(ARGUMENTS)}"
        raise ConfigError(f"--model_args: the model corl has no {unknown[0]!r}; {hint}")
    defaults = {name: argument.default for name, argument in ARGUMENTS.items()}
    args = {**defaults, **{name: value for name, value in args.items() if value is not None}}
    if args["system"] is None:
        raise ConfigError("--model_args: name a routing system: system=single:nano,pool=sim")
    texts = {name: _text(value) for name, value in args.items()}
    mode = _mode(texts["mode"])
    on = None if args["price_date"] is None else _day(texts["price_date"])
    pool = load_pool(texts["pool"], price_date=on)
    data_dir = None if args["data_dir"] is None else Path(texts["data_dir"])
    plan = make_plan(
        tasks=(),
        pool=pool,
        systems=[texts["system"]],
        budget="none" if args["budget"] is None else _budget(texts["budget"], pool),
        samples=1,
        seed=_whole(args, "seed"),
        limit=None,
        mode=mode,
        data_dir=None,
    )
    _check(plan, texts)
    if args["max_cost"] is not None and mode != "replay":
        require_worst_cases(plan)
    recordings = None if args["recordings"] is None else Path(texts["recordings"])
    if recordings is not None and recordings.is_dir():
        recordings /= OWN_STORE
    if mode == "replay" and recordings is None:
        raise ConfigError("--model_args: mode=replay needs recordings=FILE, what to replay")
    default = Path("runs") / f"lm-eval-{pool.name}-{plan.run_id[:8]}"
    return Settings(
        plan=plan,
        known=tuple(load_task(name, data_dir=data_dir) for name in _names(args["problems"])),
        directory=default if args["out"] is None else Path(texts["out"]),
        recordings=recordings,
        max_cost_usd=(
            None if args["max_cost"] is None else parse_usd(texts["max_cost"], what="max_cost")
        ),
        concurrency=_whole(args, "concurrency", least=1),
        skip_preflight=_truth(args, "skip_preflight"),
    )


def _check(plan: Plan, texts: Mapping[str, str]) -> None:
    if len(plan.systems) != 1:
        raise ConfigError(
            f"--model_args: system={texts['system']} is {len(plan.systems)} systems: name one,"
            " a result of lm-eval is of one model"
        )
    if plan.systems[0].is_oracle:
        raise ConfigError(
            f"--model_args: {texts['system']} looks at golds, which lm-eval keeps to itself"
        )


def _budget(text: str, pool: Pool) -> str:
    """What is written, where it is one budget or none.

    Raises:
        ConfigError: it is something else.
    """
    try:
        budgets = parse_budgets(text, pool)
    except ConfigError as error:
        known = ", ".join(pool.budgets) or "none"
        raise ConfigError(
            f"--model_args: budget={text}: write dollars above 0, or a budget of pool"
            f" {pool.name!r} (it names {known})"
        ) from error
    if len(budgets) > 1:
        raise ConfigError(f"--model_args: budget={text} is {len(budgets)} budgets: name one")
    return text


def _text(value: object) -> str:
    """As it was written: lm-eval reads 0.00005 as a number, and Python writes it as 5e-05."""
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    return str(value)


def _names(value: object) -> Sequence[str]:
    """One name, or several in a list (`problems=["a.jsonl","b.jsonl"]`)."""
    if value is None:
        return ()
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else [str(value)]


def _mode(text: str) -> Mode:
    for mode in MODES:
        if mode == text:
            return mode
    raise ConfigError(f"--model_args: mode={text} is none of {', '.join(MODES)}")


def _whole(args: Mapping[str, Any], name: str, least: int | None = None) -> int:
    value = args[name]
    if isinstance(value, bool) or not isinstance(value, int) or (least and value < least):
        at_least = "" if least is None else f" of at least {least}"
        raise ConfigError(f"--model_args: {name}={value} is no whole number{at_least}")
    return value


def _truth(args: Mapping[str, Any], name: str) -> bool:
    value = args[name]
    if str(value).lower() not in ("true", "false"):
        raise ConfigError(f"--model_args: {name}={value}: write true or false")
    return str(value).lower() == "true"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--model_args: price_date={text}: write 2026-08-31") from None
