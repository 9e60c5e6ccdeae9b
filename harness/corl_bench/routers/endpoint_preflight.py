"""What is asked of a router behind an address before it is paid for: is it really at work?

Some servers start without their weights and fall back to a coin, silently. Three things can show
that this one has not, and what they cannot show is said with the result:

- *The same question goes to the same model.* Each prompt is asked several times. A coin between
  two models passes `n` prompts of `r` askings with a chance of 2^-n(r-1). A fallback that always
  takes one model passes, and a router that is meant to vary does not.
- *An easy and a hard question go to different models*, where the user gives such a pair. This is
  what a constant fallback fails.
- *A health page says what the user expects of it*: that, and no more.

A server that does not say who answers can only be known by its health page.

    line = await prove(probes, asked_for="router-mf-0.12", ask=ask, fetch=fetch)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from corl_bench.episode import ExpertReply
from corl_bench.errors import CorlError
from corl_bench.experts.transport import HttpReply

PROMPTS = (
    "What is 7 + 5? Answer with the number alone.",
    "Name the capital of France in one word.",
    "How many primes are there below 1000? Answer with the number alone.",
    "Is the sum of two odd numbers even? Answer yes or no.",
)
"""Short ones, so that asking them costs next to nothing."""

REMEDY = "or go on without the proof, --skip-preflight (corl-lm-eval: skip_preflight=true)"

Ask = Callable[[str, int], Awaitable[ExpertReply]]
"""Asks a prompt with an output limit."""
Fetch = Callable[[str], Awaitable[HttpReply]]
"""Gets the page of an address."""


class PreflightError(CorlError):
    """Nothing shows that the router behind an address is at work, or something speaks against."""


@dataclass(frozen=True, slots=True)
class Probes:
    """What is asked, as far as the user has a say in it."""

    prompts: tuple[str, ...] = PROMPTS
    repeats: int = 3
    """How often each prompt is asked."""
    easy: str = ""
    hard: str = ""
    """A pair that a router at work sends to different models; both or neither."""
    health_url: str = ""
    health_expects: str = ""
    """Text that the page must contain; empty: that it answers with status 2xx."""
    max_output_tokens: int = 64


async def prove(probes: Probes, *, asked_for: str, ask: Ask, fetch: Fetch) -> str:
    """Asks, and says what the answers show.

    Args:
        probes: what to ask.
        asked_for: the model id that requests name; an echo of it tells nothing.
        ask: sends a paid request.
        fetch: gets a page, without a key.

    Returns:
        One line that belongs with the run's results.

    Raises:
        PreflightError: something speaks against the router, or nothing speaks for it.
    """
    shown = []
    if probes.health_url:
        shown.append(await _check_health(probes, fetch))
    answered = {}
    for prompt in probes.prompts:
        answered[prompt] = [
            await _who_answers(prompt, probes, asked_for, ask) for _ in range(probes.repeats)
        ]
    for prompt, models in answered.items():
        if len(set(models)) > 1:
            raise PreflightError(
                f"the same question ({prompt[:60]!r}) was answered by {_listed(models)}: a router"
                " that has not loaded picks at random; repair it, set repeats = 1 in [preflight]"
                f" where it is meant to vary, {REMEDY}"
            )
    known = {models[0] for models in answered.values()} - {""}
    if probes.easy:
        shown.append(await _check_pair(probes, asked_for, ask))
    elif not known and not shown:
        raise PreflightError(
            "the server does not say which model answers, so no question shows that its router is"
            f" at work: name its model_header, a health_url in [preflight], {REMEDY}"
        )
    coins = len(probes.prompts) * (probes.repeats - 1)
    if known and coins:
        chance = f"{100 * 0.5**coins:.2g}%"
        shown.append(
            f"{len(probes.prompts)} prompts went to the same model {probes.repeats} times"
            f" (a coin between two models does so with a chance of {chance})"
        )
    if len(known) == 1 and not probes.easy:
        shown.append(f"all of them to {next(iter(known))}, as a constant fallback would send them")
    return "; ".join(shown) or "the server answers; nothing else was asked of it"


async def _who_answers(prompt: str, probes: Probes, asked_for: str, ask: Ask) -> str:
    """The model that says it answers; empty where that is only what was asked for."""
    reply = await ask(prompt, probes.max_output_tokens)
    if reply.text is None:
        raise PreflightError(
            f"a probe failed ({reply.status}): start the server, repair its settings, {REMEDY}"
        )
    return "" if reply.model == asked_for else reply.model


async def _check_health(probes: Probes, fetch: Fetch) -> str:
    page = await fetch(probes.health_url)
    where = f"the health page {probes.health_url}"
    if page.status >= 300:
        raise PreflightError(f"{where} answers with status {page.status}: repair it, {REMEDY}")
    if not probes.health_expects:
        return "its health page answers"
    if probes.health_expects not in page.body.decode("utf-8", "replace"):
        raise PreflightError(
            f"{where} does not contain {probes.health_expects!r}: repair the server, {REMEDY}"
        )
    return f"its health page says {probes.health_expects!r}"


async def _check_pair(probes: Probes, asked_for: str, ask: Ask) -> str:
    easy = await _who_answers(probes.easy, probes, asked_for, ask)
    hard = await _who_answers(probes.hard, probes, asked_for, ask)
    if not easy or not hard:
        raise PreflightError(
            "the server does not say which model answers the easy and the hard question: name its"
            f" model_header, take the pair out of [preflight], {REMEDY}"
        )
    if easy == hard:
        raise PreflightError(
            f"the easy and the hard question were both answered by {easy}: a router that has not"
            f" loaded sends everything to one model; repair it, take another pair, {REMEDY}"
        )
    return f"the easy question went to {easy}, the hard one to {hard}"


def _listed(models: list[str]) -> str:
    return ", ".join(model or "a model unnamed" for model in models)
