"""Routers that are Python: `python:MODULE:ATTRIBUTE`, with options behind an `@`.

What the attribute names is recognised by its methods: `solve` makes a whole routing system;
`score` or `score_batch` scores; `decide`, `decide_batch` or being callable decides, and `learn`
beside these makes a student. A class is made first (with the experts, if it takes an argument),
and so is what a function without arguments returns. Methods get as many of (prompt, experts,
budget) as they take, may be async, and run in one thread of their own where they are not, so that
neither a slow one holds up the run nor one that is not thread-safe meets itself.

    def route(prompt, experts, budget):             # python:my_router:route
        return experts[0].name if len(prompt) < 300 else experts[-1].name
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from corl_bench.episode import ExpertInfo
from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.routers.base import Router
from corl_bench.routers.batches import Batches
from corl_bench.routers.decisions import (
    Choice,
    Decider,
    Deciding,
    DecisionError,
    Question,
    faults,
    on_offer,
    shown,
)
from corl_bench.routers.learning import Feedback, Learning
from corl_bench.routers.options import read_fee, read_options
from corl_bench.routers.scores import SCORE_OPTIONS, make_thresholded, wants_scores

_OPTIONS = ("name", "fee", *SCORE_OPTIONS)
CLOSING_S = 5.0
"""How long a router may take to close."""

_ASKED = ("prompt", "experts", "budget")
_TOLD = ("prompt", "expert", "reward", "cost_usd")


def make_pythons(rest: str, pool: Pool) -> list[Router]:
    """The system that `python:` and this text name.

    Raises:
        ConfigError: it cannot be loaded or made, or is nothing that routes.
    """
    text = f"python:{rest}"
    target, _, options_text = rest.partition("@")
    options = read_options(options_text, text, _OPTIONS)
    module, found = _load(target.strip(), text)
    return [make_router(found, text, pool, options, module=module)]


def make_router(
    found: Any,
    text: str,
    pool: Pool,
    options: Mapping[str, str],
    *,
    module: ModuleType | None = None,
) -> Router:
    """A routing system from any of the shapes; for factories behind an entry point, too.

    Args:
        found: the object, class or function.
        text: what the user wrote, for messages; the system's name where nothing else names it.
        pool: whose experts are on offer.
        options: `name`, `fee`, and for what scores `threshold` or `share`, `weak`, `strong`.
        module: where it was found; its file is part of what the system is.

    Raises:
        ConfigError: it cannot be made, or is nothing that routes.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="router")
    made = found
    if inspect.isclass(found) or _is_factory(found):
        experts = on_offer(map(ExpertInfo.of, pool.experts))
        arguments = (experts,)[: _takes(found, _ASKED[1:2], text)] if inspect.isclass(found) else ()
        try:
            made = thread.submit(found, *arguments).result()
        except (Exception, SystemExit) as error:  # whatever stands in a user's module
            raise ConfigError(f"{text!r} cannot be made: {error!r}") from error
    digest = _digest([module, found, made], options)
    if isinstance(made, Router):
        if options:
            raise ConfigError(f"{text!r} solves by itself, so it takes no options")
        return _marked(made, digest)
    router = _PythonRouter(made, text, thread)
    named = getattr(made, "name", None)
    name = f"{named}{_written(options)}" if isinstance(named, str) and named else text
    declared = getattr(made, "reads_budget", None)
    return Deciding(
        name=options.get("name") or name,
        decider=_decider(router, options, text, pool),
        reads_budget=declared if isinstance(declared, bool) else router.takes_budget,
        fee_usd=read_fee(options, text),
        digest=digest,
    )


def _marked(system: Any, digest: str) -> Router:
    """A whole system that is known by its files, where it says nothing of itself.

    The file of its class alone is not enough: what it was made with stands where it was made.
    """
    if isinstance(system, Deciding) and not system.digest:
        return replace(system, digest=digest)
    if not hasattr(system, "digest"):
        with contextlib.suppress(AttributeError):  # frozen, or with slots
            system.digest = digest
    return cast(Router, system)


def _decider(router: _PythonRouter, options: Mapping[str, str], text: str, pool: Pool) -> Decider:
    """What decides, by the methods that are there and the options that are given."""
    if router.scores_questions and (wants_scores(options) or not router.decides):
        return make_thresholded(router, options, text, pool)
    if wants_scores(options):
        raise ConfigError(f"{text!r} decides by itself: it has no score(prompt), drop the options")
    if not router.decides:
        raise ConfigError(
            f"{text!r} is no routing system: it needs decide(prompt, experts, budget), or"
            " score(prompt), or name, reads_budget, is_oracle and"
            " async solve(problem, budget, episode)"
        )
    return Learning(router) if router.learns else router


class _Verb:
    """One thing that a router is asked: a function for one question, or for many at once."""

    def __init__(
        self, function: Callable[..., Any], call: _Call, takes: int, *, many: bool
    ) -> None:
        self._function = function
        self._call = call
        self.takes = takes
        self._batches: Batches[Any] | None = Batches(self._answer_many) if many else None

    async def answer(self, question: Question) -> Any:
        if self._batches is not None:
            return await self._batches.answer(question)
        given = (question.text, question.experts, question.budget)
        return await self._call(self._function, *given[: self.takes])

    async def answers(self, questions: Sequence[Question]) -> Sequence[Any]:
        if self._batches is not None:
            return await asyncio.gather(*map(self._batches.answer, questions))
        return [await self.answer(question) for question in questions]

    async def _answer_many(self, questions: list[Question]) -> Sequence[Any]:
        given = ([q.text for q in questions], questions[0].experts, questions[0].budget)
        return list(await self._call(self._function, *given[: self.takes]))


class _PythonRouter:
    """A user's object as decider, scorer or student, as far as it has the methods."""

    def __init__(self, made: Any, text: str, thread: ThreadPoolExecutor) -> None:
        self._made = made
        self._text = text
        self._thread = thread
        self._decide, self._score = self._verb("decide"), self._verb("score")
        if self._decide is None and self._score is None and callable(made):
            # A bare function decides, unless its options say that it scores.
            self._decide = _Verb(made, self._call, _takes(made, _ASKED, text), many=False)
            self._score = self._decide
        learn = getattr(made, "learn", None)
        self._learn = learn if callable(learn) else None
        self._told = 0 if self._learn is None else _takes(self._learn, _TOLD, text)

    @property
    def decides(self) -> bool:
        return self._decide is not None

    @property
    def scores_questions(self) -> bool:
        return self._score is not None

    @property
    def learns(self) -> bool:
        return self._learn is not None

    @property
    def takes_budget(self) -> bool:
        """Whether the function that is asked looks at the budget."""
        return any(verb is not None and verb.takes == 3 for verb in (self._decide, self._score))

    async def decide(self, question: Question) -> Choice:
        """The choice, whether it is a `Choice`, an expert or its name."""
        assert self._decide is not None
        answer = await self._decide.answer(question)
        if isinstance(answer, Choice):
            return answer
        name = answer.name if isinstance(answer, ExpertInfo) else answer
        if not isinstance(name, str):
            raise DecisionError(f"the router's decision names no expert: {shown(answer)}")
        return Choice(name)

    async def scores(self, questions: Sequence[Question]) -> Sequence[float]:
        """Scores as they come, not looked at yet."""
        assert self._score is not None
        return await self._score.answers(questions)

    async def learn(self, feedback: Feedback) -> None:
        """`learn(prompt, expert, reward, cost_usd)`, or as many of these as it takes."""
        assert self._learn is not None
        told = (feedback.question.text, feedback.expert, feedback.reward, feedback.cost_usd)
        await self._call(self._learn, *told[: self._told])

    async def freeze(self) -> None:
        """`freeze()`, where there is one."""
        if callable(freeze := getattr(self._made, "freeze", None)):
            await self._call(freeze)

    async def aclose(self) -> None:
        """`aclose()` or `close()`, where there is one; what it raises changes no result."""
        close = getattr(self._made, "aclose", None) or getattr(self._made, "close", None)
        if callable(close):
            with contextlib.suppress(DecisionError, TimeoutError):
                await asyncio.wait_for(self._call(close), CLOSING_S)

    def _verb(self, verb: str) -> _Verb | None:
        for name, many in ((f"{verb}_batch", True), (verb, False)):
            if callable(function := getattr(self._made, name, None)):
                return _Verb(function, self._call, _takes(function, _ASKED, self._text), many=many)
        return None

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls foreign code in the router's own thread, and awaits what is to be awaited."""

        def guarded() -> Any:
            with faults():
                return function(*arguments)

        answer = await asyncio.get_running_loop().run_in_executor(self._thread, guarded)
        if inspect.isawaitable(answer):
            with faults():
                return await answer
        return answer


_Call = Callable[..., Awaitable[Any]]


def _load(target: str, text: str) -> tuple[ModuleType, Any]:
    """A module and what it has under a name, the current directory among the places looked at."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{text!r}: write python:module:attribute")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
        return module, functools.reduce(getattr, attribute.split("."), module)
    except (Exception, SystemExit) as error:  # whatever stands in a user's module
        raise ConfigError(f"{text!r} cannot be loaded: {error!r}") from error


def _is_factory(found: Any) -> bool:
    """A function that can be called without an argument makes a router; others are routers."""
    if not inspect.isroutine(found):
        return False
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(parameter.default is not parameter.empty for parameter in parameters)


def _takes(function: Callable[..., Any], offered: Sequence[str], text: str) -> int:
    """How many of the arguments on offer a function is given, by position.

    Those that it needs, and those with a default of its own that it calls by our name: what else
    has a default (a `threshold=0.5`) is the function's own business.

    Raises:
        ConfigError: it needs more than there is.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 1  # a builtin without a signature
    needed = [p for p in parameters if p.default is p.empty and p.kind in _FILLED]
    if len(needed) > len(offered) or any(p.kind is p.KEYWORD_ONLY for p in needed):
        raise ConfigError(
            f"{text!r}: {shown(function)} needs more than it is offered, which is"
            f" ({', '.join(offered)})"
        )
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return len(offered)
    positional = [p for p in parameters if p.kind in _FILLED and p.kind is not p.KEYWORD_ONLY]
    takes = 0
    for place, parameter in enumerate(positional[: len(offered)], 1):
        if parameter in needed or parameter.name == offered[place - 1]:
            takes = place
    return takes


_FILLED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def _written(options: Mapping[str, str]) -> str:
    """Options as a name shows them: what tells two systems of one object apart."""
    parts = [f"{name}={value}" for name, value in options.items() if name != "name"]
    return f"@{','.join(parts)}" if parts else ""


def _digest(objects: Sequence[Any], options: Mapping[str, str]) -> str:
    """sha256 of the files in which the objects are written, and of the options."""
    files: list[str] = []
    for written in objects:
        has_file = inspect.ismodule(written) or inspect.isclass(written)
        try:
            path = inspect.getsourcefile(
                written if has_file or inspect.isroutine(written) else type(written)
            )
        except TypeError:  # a builtin
            path = None
        if path is not None:
            files.append(hashlib.sha256(Path(path).read_bytes()).hexdigest())
    made_of = {"files": sorted(set(files)), "options": _written(options)}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
