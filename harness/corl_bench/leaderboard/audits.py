"""Audits: what caught real cheating, and real carelessness, on other leaderboards.

Verification asks whether an entry follows from its raw episodes; audits ask whether these can be
what they are said to be. A finding is `failed` only where no honest run could look like this,
and `flagged` where a reader should know.

    for finding in [audit(case) for audit in AUDITS]:
        print(finding.check, finding.status, finding.text)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from corl_bench.leaderboard.case import Case
from corl_bench.leaderboard.checks import Check
from corl_bench.leaderboard.findings import Finding, finding, places
from corl_bench.leaderboard.raw import stamp_of
from corl_bench.leaderboard.redrawing import plain_request
from corl_bench.money.amounts import display_usd, format_usd, sum_usd
from corl_bench.results import CallRecord, EpisodeRecord
from corl_bench.types import Usage

LEAST_REPLIES = 20
"""Of one expert, before the spread of its token counts says anything."""
COMMONEST_SHARE = 0.5
"""Of the replies of an expert with one and the same count of output tokens."""
BYTES_A_TOKEN = 8
"""No reply has more bytes a token, runs of one character counted as four. The most among 15,869
answers of ten models to MATH and GSM8K problems is 5.1, by the tokeniser of GPT-4o."""
LEAST_BYTES = 256
"""Shorter replies are not held against their tokens."""
HIDDEN_SHARE = 0.05
"""Of replies with more tokens than bytes, though no reasoning is stated, that go unmentioned."""
TOKEN_NOISE = 3
"""By how many tokens two counts of one text may differ: ends of turns, say."""

_ROUNDING_S = 1e-6
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def total_of_parts(case: Case) -> Finding:
    """Every stated total is the sum of its parts, in dollars, tokens and seconds."""
    wrong = []
    for row, episode in zip(case.rows, case.episodes, strict=True):
        calls_s = row["timings"]["calls_s"]
        # Calls follow one another, or overlap; times are rounded to microseconds.
        slack_s = _ROUNDING_S * (len(calls_s) + 1)
        if not max(calls_s, default=0) - slack_s <= episode.latency_s <= sum(calls_s) + slack_s:
            wrong.append(f"{episode.key} (latency_s)")
        parts = {
            "list_cost_usd": episode.list_cost_usd,
            "unsettled_usd": episode.unsettled_usd,
        }
        for name, part in parts.items():
            if Decimal(row[name]) != part:
                wrong.append(f"{episode.key} ({name})")
        wrong += [
            f"{episode.key}#{call.id} (more reasoning than output)"
            for call in episode.calls
            if call.usage is not None and call.usage.reasoning_tokens > call.usage.output_tokens
        ]
    booked_usd = sum_usd(line.list_cost_usd for line in case.ledger)
    spent_usd = sum_usd(episode.list_cost_usd for episode in case.episodes)
    if booked_usd != spent_usd:
        what = f"the ledger has ${format_usd(booked_usd)}, the episodes ${format_usd(spent_usd)}"
        return finding(total_of_parts, "failed", what)
    if wrong:
        what = f"{len(wrong):,} totals are not the sum of their parts"
        return finding(total_of_parts, "failed", f"{what}{places(wrong)}")
    return finding(total_of_parts, "passed", f"totals add up to ${format_usd(spent_usd)}")


def constant_tokens(case: Case) -> Finding:
    """Token counts vary as texts do: one count for all of them was put in, not counted."""
    outputs: dict[str, Counter[int]] = defaultdict(Counter)
    inputs: dict[str, Counter[int]] = defaultdict(Counter)
    sizes: dict[str, set[int]] = defaultdict(set)
    for episode, call in _answered(case):
        if call.expert in case.simulated or call.usage is None:
            continue
        problem = case.problem_of(episode)
        inputs[call.expert][call.usage.total_input_tokens] += 1
        sizes[call.expert].add(0 if problem is None else len(problem.text.encode()))
        # A cut reply has as many tokens as it was allowed.
        if call.finish == "stop":
            outputs[call.expert][call.usage.output_tokens] += 1
    if not inputs:
        return _declared(constant_tokens, case)
    frozen, common = [], []
    for expert, counted in sorted(outputs.items()):
        share, said = _commonest(expert, "output", counted)
        if share == 1:
            frozen.append(said)
        elif share > COMMONEST_SHARE:
            common.append(said)
    for expert, counted in sorted(inputs.items()):
        share, said = _commonest(expert, "input", counted)
        if share == 1 and max(sizes[expert]) - min(sizes[expert]) > BYTES_A_TOKEN:
            frozen.append(said)
    if frozen:
        return finding(constant_tokens, "failed", f"constant token counts{places(frozen)}")
    if common:
        return finding(constant_tokens, "flagged", f"nearly constant counts{places(common)}")
    return finding(constant_tokens, "passed", "token counts vary as texts do")


def free_answers(case: Case) -> Finding:
    """No right answer costs $0: whoever answers is paid, or is not metered."""
    free = [e for e in case.episodes if e.verdict == "correct" and not e.list_cost_usd]
    if not free:
        return finding(free_answers, "passed", "no right answer costs $0")
    priced = {
        expert.name
        for expert in case.board.pool.experts
        if expert.price.input_usd_per_mtok or expert.price.output_usd_per_mtok
    }
    keys = [episode.key for episode in free]
    unmetered = [e.key for e in free if not e.calls or {c.expert for c in e.calls} & priced]
    what = f"{len(free):,} right answers at $0"
    if unmetered and case.entry.cost == "metered":
        return finding(free_answers, "failed", f"{what}, in an entry marked metered{places(keys)}")
    return finding(free_answers, "flagged", f"{what}{places(keys)}")


def token_sizes(case: Case) -> Finding:
    """Token counts fit the size of the texts that they are said to be the tokens of."""
    simulated = case.simulated
    few, many, measured = [], [], 0
    for row, episode in zip(case.rows, case.episodes, strict=True):
        for raw, call in zip(row["calls"], episode.calls, strict=True):
            stamp = stamp_of(raw, "text")
            if call.expert in simulated or call.usage is None or stamp is None:
                continue
            measured += 1
            name = f"{episode.key}#{call.id}"
            visible = visible_tokens(call.usage)
            size = stamp[1] if call.text is None else _size(call.text)
            if size >= LEAST_BYTES and size > BYTES_A_TOKEN * call.usage.output_tokens:
                few.append(f"{name} ({size:,} bytes in {call.usage.output_tokens:,} tokens)")
            elif visible > stamp[1] + TOKEN_NOISE and call.finish == "stop":
                many.append(f"{name} ({visible:,} tokens for {stamp[1]:,} bytes)")
            few += _oversized_input(case, episode, raw, call)
    if not measured:
        if not simulated:
            return finding(token_sizes, "unchecked", "there are no replies to be measured")
        return _declared(token_sizes, case)
    if few:
        what = f"{len(few):,} of {measured:,} calls have too few tokens for their text"
        return finding(token_sizes, "failed", f"{what}{places(few)}")
    if len(many) > HIDDEN_SHARE * measured:
        what = f"{len(many):,} of {measured:,} replies have more tokens than bytes"
        return finding(token_sizes, "flagged", f"{what}{places(many)}")
    return finding(token_sizes, "passed", f"tokens of {measured:,} replies fit their sizes")


def unknown_costs(case: Case) -> Finding:
    """The cost mark says how the costs are known: metered ones are neither estimated nor open."""
    estimated = sum(call.usage.estimated for _, call in _answered(case) if call.usage is not None)
    open_usd = sum_usd(line.unsettled_usd for line in case.ledger)
    known = []
    if estimated:
        known.append(f"{estimated:,} calls have estimated token counts")
    if open_usd:
        known.append(f"bills of up to {display_usd(open_usd)} are unknown and in no cost")
    if told := case.entry.system.name.startswith("endpoint:"):
        known.append("token counts are the word of the server that routes")
    if (estimated or told) and case.entry.cost == "metered":
        return finding(unknown_costs, "failed", f"marked metered, but {'; '.join(known)}")
    if known:
        return finding(unknown_costs, "flagged", "; ".join(known))
    return finding(unknown_costs, "passed", "every token was counted by whoever bills it")


def reused_replies(case: Case) -> Finding:
    """No reply that another entry has word for word is billed here with other tokens."""
    simulated = case.simulated
    other = []
    for row, episode in zip(case.rows, case.episodes, strict=True):
        for raw, call in zip(row["calls"], episode.calls, strict=True):
            key = reply_key(episode, raw)
            if key is None or call.usage is None or call.expert in simulated:
                continue
            visible = visible_tokens(call.usage)
            for entry, sizes in case.others.sizes.get(key, {}).items():
                if entry != case.entry.id and min(abs(s - visible) for s in sizes) > TOKEN_NOISE:
                    other.append(f"{episode.key}#{call.id} ({visible:,} tokens; see {entry})")
    if other:
        what = f"{len(other):,} replies stand in other entries with other tokens"
        return finding(reused_replies, "flagged", f"{what}{places(other)}")
    return finding(reused_replies, "passed", "no reply is another entry's with other tokens")


AUDITS: tuple[Check, ...] = (
    total_of_parts,
    constant_tokens,
    free_answers,
    token_sizes,
    unknown_costs,
    reused_replies,
)


def visible_tokens(usage: Usage) -> int:
    """Output tokens of the reply's text: those of reasoning are not in it."""
    return usage.output_tokens - usage.reasoning_tokens


def reply_key(episode: EpisodeRecord, call: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
    """What two entries share that have the same reply; None for short ones, which anyone may."""
    stamp = stamp_of(call, "text")
    if stamp is None or stamp[1] < LEAST_BYTES:
        return None
    return episode.task, episode.problem_id, call["model"], stamp[0]


def _answered(case: Case) -> list[tuple[EpisodeRecord, CallRecord]]:
    return [
        (episode, call)
        for episode in case.episodes
        for call in episode.calls
        if call.status == "ok" and call.usage is not None
    ]


def _declared(check: Check, case: Case) -> Finding:
    """What is said of counts that are a simulation's declaration."""
    if case.board.pool.served:
        said = "experts are simulated by a server: nobody here can draw their replies again"
        return finding(check, "unchecked", said)
    said = "experts are simulated, their replies are drawn again instead"
    return finding(check, "passed", said)


def _commonest(expert: str, what: str, counted: Counter[int]) -> tuple[float, str]:
    """Share of the commonest count, and the same in words; 0 where there are too few."""
    if counted.total() < LEAST_REPLIES:
        return 0.0, ""
    (tokens, times), *_ = counted.most_common(1)
    share = times / counted.total()
    said = f"{expert}: {tokens:,} {what} tokens in {share:.0%} of {counted.total():,} replies"
    return share, said


def _size(text: str) -> int:
    """Bytes of a text, runs of one character (a rule of dashes, say) taken as four."""
    return len(_RUN.sub(rb"\1\1\1\1", text.encode("utf-8", "surrogatepass")))


def _oversized_input(
    case: Case, episode: EpisodeRecord, raw: Mapping[str, Any], call: CallRecord
) -> list[str]:
    """The call, where its message cannot fit into its input tokens; nothing where it can."""
    problem = case.problem_of(episode)
    if problem is None or call.usage is None:
        return []
    expert = case.board.pool[call.expert]
    key = raw["id"].partition(".")[0]
    canonical = raw.get("request")
    seed = case.entry.run.seed
    request = plain_request(case.bench, seed, expert, problem, episode.task)
    if canonical is None and request.key().startswith(key):
        size = sum(_size(message.content) for message in request.messages)
        if size >= LEAST_BYTES and size > BYTES_A_TOKEN * call.usage.total_input_tokens:
            tokens = call.usage.total_input_tokens
            return [f"{episode.key}#{call.id} (message of {size:,} bytes in {tokens:,} tokens)"]
    return []
