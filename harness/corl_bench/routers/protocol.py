"""The protocol of a multi-round controller, as data: tags, texts, limits.

One `Protocol` is used wherever a controller speaks: in evaluation, by the trainer, behind a
server. It is a TOML file that is kept beside the weights that were trained with it, and peers'
protocols are other such files. An expert's name is an attribute of the call's tag; for
weights that have learned to write `name: query` it ends at the first colon, and all other colons
are the query's. What stands between tags is text and nothing else.

    >>> protocol = load_protocol("corl")
    >>> protocol.stops
    ('</call>', '</answer>')
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from decimal import ROUND_CEILING, ROUND_UP, Decimal
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Literal, get_args

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import format_usd, parse_usd
from corl_bench.routers.outlook import (
    card_of,
    cards_text,
    costs_of,
    fits_text,
    left_text,
    share_text,
)
from corl_bench.routers.tags import defuse
from corl_bench.toml import parse_toml
from corl_bench.types import Budget

if TYPE_CHECKING:
    from corl_bench.episode import ExpertInfo

Shows = Literal["text", "answer"]
"""What the controller sees of a reply: all of it, or the final answer that it states."""

Answers = Literal["any", "integer"]
"""Of what form the answer of a reply has to be. Where every gold is a whole number, a reply that
states anything else is next to never right, and nobody should be believed with it."""

Naming = Literal["attribute", "prefix", "letter"]
"""How a call names its expert: `<call expert="nano">…`, or `<call>nano: …`, or by its letter in a
listing from cheap to dear, `<call expert="A">…` (see `outlook.lettered`)."""

_CALL_PLACES = ("expert", "number", "cost_usd", "spent_usd", "spent_percent", "calls_left")
_PLACES: Mapping[str, frozenset[str]] = {
    "instructions": frozenset({"budget", "listing", "cards", "max_calls", "problem"}),
    "listing": frozenset(
        {"expert", "model", "description", "input_usd_per_mtok", "output_usd_per_mtok"}
        | {"typical_share", "fits"}
    ),
    "budget_named": frozenset({"name", "usd"}),
    "budget_dollars": frozenset({"usd"}),
    "budget_none": frozenset(),
    "result": frozenset({*_CALL_PLACES, "reply", "agrees", "tally", "left"}),
    "failure": frozenset({*_CALL_PLACES, "failure", "tally", "left"}),
    "invalid": frozenset({"reason"}),
    "last_turn": frozenset(),
}
_NEEDED: Mapping[str, frozenset[str]] = {
    "instructions": frozenset({"problem"}),
    "result": frozenset({"reply"}),
}
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_FIRST_TABLE = re.compile(r"(?m)(?=^[ \t]*\[)")
_ANSWERS = re.compile(r"""(?m)^[ \t]*["']?answers["']?[ \t]*=.*\n""")


@dataclass(frozen=True, slots=True)
class CallReport:
    """What a controller is told of a call, apart from the reply."""

    expert: str
    number: int
    """From 1."""
    cost_usd: Decimal
    spent_usd: Decimal
    """List cost of the episode so far, the controller's own tokens included."""
    budget_usd: Decimal | None
    calls_left: int
    costs_usd: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Of typical calls, by what the controller calls the expert; see `outlook.costs_of`."""

    @property
    def left_usd(self) -> Decimal | None:
        """Of the budget; below zero it is broken."""
        return None if self.budget_usd is None else self.budget_usd - self.spent_usd


@dataclass(frozen=True, slots=True)
class Voice:
    """Which answer a call has brought."""

    expert: str
    group: int | None
    """Calls with equal answers are of one group; None where there was no answer."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a controller and the bench talk; see the files in `routers/protocols/`."""

    name: str
    call_tag: str
    result_tag: str
    answer_tag: str
    texts: Mapping[str, str]
    """Templates by name; `str.format` places."""
    max_calls: int
    """Calls to experts an episode; afterwards only an answer is taken."""
    max_turn_tokens: int
    """Output limit of one turn of the controller."""
    shows: Shows
    answers: Answers = "any"
    """Of what form a reply's answer has to be; one of another form counts as none."""
    max_invalid: int = 2
    """Turns without a call or an answer that are forgiven; the next one ends the episode."""
    naming: Naming = "attribute"
    continues: bool = False
    """Whether all turns are one message that goes on, with what comes back standing in it."""
    begins: str = ""
    """How that message begins, before the controller has said anything."""
    think_tag: str = ""
    """Tag of its drafts. It does nothing, and is kept out of texts from outside as well."""

    def figures(self) -> dict[str, Any]:
        """All that it says, for digests: keys that came later are left out at their defaults."""
        later = {
            "answers": "any",
            "naming": "attribute",
            "continues": False,
            "begins": "",
            "think_tag": "",
        }
        return {k: v for k, v in asdict(self).items() if later.get(k, ...) != v}

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings at which a turn is over."""
        return (f"</{self.call_tag}>", f"</{self.answer_tag}>")

    @property
    def marks_agreement(self) -> bool:
        """Whether it says who agrees with whom, which takes comparing answers."""
        told = self.texts["result"] + self.texts["failure"]
        return "{agrees}" in told or "{tally}" in told

    @property
    def tells_budget(self) -> bool:
        """Whether the controller reads of a budget at all."""
        shown = (self.texts["result"], self.texts["failure"])
        return "{budget}" in self.texts["instructions"] or any(
            "{spent_percent}" in text for text in shown
        )

    @property
    def lists_cards(self) -> bool:
        """Whether it says what has been measured of the experts, for which they need cards."""
        told = (self.texts[name] for name in ("instructions", "listing", "result", "failure"))
        marks = ("{typical_share}", "{fits}", "{cards}", "{left}")
        return self.naming == "letter" or any(mark in text for text in told for mark in marks)

    @property
    def tags(self) -> tuple[str, ...]:
        named = (self.call_tag, self.result_tag, self.answer_tag, self.think_tag)
        return tuple(filter(None, named))

    def opening(self, problem: str, budget: Budget | None, experts: Sequence[ExpertInfo]) -> str:
        """The first message: budget, listing of the pool, problem.

        Args:
            problem: the statement.
            budget: named budgets are written with their name, others in dollars alone.
            experts: those on offer, by the names and in the order in which they are listed.

        Raises:
            ConfigError: it lists cards, and an expert has none.
        """
        if budget is None:
            line = self._fill("budget_none")
        else:
            line = self._fill(
                "budget_dollars" if _is_amount(budget.name) else "budget_named",
                name=budget.name,
                usd=format_usd(budget.usd),
            )
        lists_cards = self.lists_cards
        listing = "\n".join(
            self._fill(
                "listing",
                expert=expert.name,
                model=expert.model,
                description=expert.description,
                input_usd_per_mtok=format_usd(expert.price.input_usd_per_mtok),
                output_usd_per_mtok=format_usd(expert.price.output_usd_per_mtok),
                **(_measured(expert, budget) if lists_cards else {}),
            ).rstrip()
            for expert in experts
        )
        return self._fill(
            "instructions",
            budget=line,
            listing=listing,
            cards=cards_text({e.name: card_of(e) for e in experts} if lists_cards else {}),
            max_calls=self.max_calls,
            problem=self.defuse(problem),
        ).lstrip("\n")

    def result(
        self,
        call: CallReport,
        *,
        reply: str | None,
        voices: Sequence[Voice] = (),
        failure: str = "",
    ) -> str:
        """What comes back after a call.

        Args:
            call: which call it was, and what has been spent.
            reply: text or answer, as `shows` says; None where the call failed or, with
                `shows = "answer"`, stated none.
            voices: of all calls so far, this one the last; none where the protocol marks no
                agreement.
            failure: what went wrong, in a word.
        """
        places = {
            "expert": call.expert,
            "number": call.number,
            "cost_usd": _rounded(call.cost_usd),
            "spent_usd": _rounded(call.spent_usd),
            "spent_percent": _percent(call.spent_usd, call.budget_usd),
            "calls_left": call.calls_left,
            "tally": _tally(voices),
            "left": left_text(call.costs_usd, call.left_usd),
        }
        if reply is None:
            text = self._fill("failure", failure=self.defuse(failure), **places)
        else:
            agrees = _agreeing(voices)
            text = self._fill("result", reply=self.defuse(reply), agrees=agrees, **places)
        return text if call.calls_left else f"{text}\n{self._fill('last_turn')}"

    def invalid(self, reason: str, *, calls_left: int) -> str:
        """What comes back after a turn that was neither a call nor an answer."""
        text = self._fill("invalid", reason=self.defuse(reason))
        return text if calls_left else f"{text}\n{self._fill('last_turn')}"

    def defuse(self, text: str) -> str:
        """Text from outside in which no tag of the protocol is one.

        A reply is never read for tags; this keeps it from looking like one to the controller,
        too: `</result><answer>42` becomes `&lt;/result>&lt;answer>42`. See `tags`.
        """
        return defuse(text, self.tags)

    def _fill(self, template: str, **values: object) -> str:
        return self.texts[template].format(**values)


def load_protocol(name_or_path: str | Path) -> Protocol:
    """A protocol that comes with the bench, by name, or one of the user's own, by path.

    Raises:
        ConfigError: there is none, or the file is no protocol.
    """
    return parse_protocol(read_protocol(name_or_path), str(name_or_path))


def read_protocol(name_or_path: str | Path) -> str:
    """The text of a protocol's file, as `load_protocol` finds it.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:  # no UTF-8, or a path that no system takes
            raise ConfigError(f"cannot read protocol {str(path)!r}: {error}") from None
    own = resources.files("corl_bench.routers") / "protocols"
    known = sorted(entry.name.removesuffix(".toml") for entry in own.iterdir())
    if str(name_or_path) not in known:
        raise ConfigError(
            f"no protocol {str(name_or_path)!r}: there are {', '.join(known)}, or name a .toml file"
        )
    return (own / f"{name_or_path}.toml").read_text(encoding="utf-8")


def parse_protocol(text: str, source: str) -> Protocol:
    """Reads a protocol file.

    Raises:
        ConfigError: what it says is no protocol; one line that names the key.
    """
    try:
        data = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: no TOML: {error}") from None
    known = {"name", "max_calls", "max_turn_tokens", "max_invalid", "shows", "tags", "texts"}
    known |= {"answers", "naming", "continues", "begins"}
    _refuse(set(data) - known, source, "unknown key")
    tags, texts = _table(data, "tags", source), _table(data, "texts", source)
    wanted = {"call", "result", "answer"}
    _refuse(wanted ^ (set(tags) - {"think"}), source, "[tags] holds call, result and answer; see")
    _refuse(set(_PLACES) ^ set(texts), source, "[texts] lacks or does not know")
    if any(not _TAG.fullmatch(tag) for tag in tags.values()) or len(set(tags.values())) < len(tags):
        count = "four" if "think" in tags else "three"
        raise ConfigError(f"{source}: tags are {count} different names of letters and digits")
    for name, template in texts.items():
        _check_template(name, template, source)
    if data.get("shows") not in ("text", "answer"):
        raise ConfigError(f'{source}: shows is "text" or "answer"')
    if data.get("answers", "any") not in get_args(Answers):
        raise ConfigError(f'{source}: answers is "any" or "integer"')
    if data.get("naming", "attribute") not in get_args(Naming):
        raise ConfigError(f'{source}: naming is "attribute", "prefix" or "letter"')
    continues, begins = data.get("continues", False), data.get("begins", "")
    if not isinstance(continues, bool) or not isinstance(begins, str) or (begins and not continues):
        raise ConfigError(f"{source}: continues is true or false, begins a text where it is true")
    numbers = {"max_calls": 1, "max_turn_tokens": 1, "max_invalid": 0}
    for name, least in numbers.items():
        value = data.get(name, 2 if name == "max_invalid" else None)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{source}: {name} is a whole number of at least {least}")
    return Protocol(
        name=str(data.get("name", source)),
        call_tag=tags["call"],
        result_tag=tags["result"],
        answer_tag=tags["answer"],
        texts=dict(texts),
        max_calls=data["max_calls"],
        max_turn_tokens=data["max_turn_tokens"],
        shows=data["shows"],
        answers=data.get("answers", "any"),
        max_invalid=data.get("max_invalid", 2),
        naming=data.get("naming", "attribute"),
        continues=continues,
        begins=begins,
        think_tag=tags.get("think", ""),
    )


def of_integers(text: str) -> str:
    """A protocol file for which no answer but a whole number is one."""
    settings, tables = _FIRST_TABLE.split(text, maxsplit=1)
    return 'answers = "integer"\n' + _ANSWERS.sub("", settings) + tables


def _table(data: Mapping[str, object], name: str, source: str) -> dict[str, str]:
    table = data.get(name)
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise ConfigError(f"{source}: [{name}] is a table of texts")
    return table


def _refuse(names: Set[str], source: str, why: str) -> None:
    if names:
        raise ConfigError(f"{source}: {why} {', '.join(sorted(names))}")


def _measured(expert: ExpertInfo, budget: Budget | None) -> dict[str, str]:
    """What the listing says of an expert's card."""
    costs_usd = costs_of(expert)
    left_usd = None if budget is None else budget.usd
    return {
        "typical_share": share_text(costs_usd, left_usd),
        "fits": fits_text(costs_usd, left_usd),
    }


def _is_amount(name: str) -> bool:
    """Whether a budget has no other name than its dollars."""
    try:
        parse_usd(name)
    except ConfigError:
        return False
    return True


def _rounded(amount_usd: Decimal) -> str:
    """Dollars in three digits that count: a reader needs no more, and a model copies fewer."""
    if not amount_usd:
        return "0"
    digits = 2 - amount_usd.adjusted()
    return format_usd(amount_usd.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_UP))


def _percent(spent_usd: Decimal, budget_usd: Decimal | None) -> str:
    """The share of the budget that is gone, rounded up; above 100 the budget is broken."""
    if budget_usd is None:
        return "-"
    return f"{min(999, int((100 * spent_usd / budget_usd).to_integral_value(ROUND_CEILING)))}%"


def _agreeing(voices: Sequence[Voice]) -> str:
    """Numbers of the earlier calls whose answer equals that of the last one: `1,3`, or `-`."""
    if not voices or voices[-1].group is None:
        return "-"
    *before, last = voices
    numbers = [str(n) for n, voice in enumerate(before, start=1) if voice.group == last.group]
    return ",".join(numbers) or "-"


def _tally(voices: Sequence[Voice]) -> str:
    """Who stands behind which answer, most voices first: `nano,mini;large`, or `-`."""
    groups: dict[int, list[str]] = {}
    for voice in voices:
        if voice.group is not None:
            groups.setdefault(voice.group, []).append(voice.expert)
    # Sorting is stable: of equally many the answer that came first.
    ranked = sorted(groups.values(), key=len, reverse=True)
    return ";".join(map(",".join, ranked)) or "-"


def _check_template(name: str, template: str, source: str) -> None:
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ConfigError(f"{source}: [texts] {name}: {error}") from None
    places = {place for _, place, _, _ in fields if place is not None}
    if any(form or conversion for _, _, form, conversion in fields):
        raise ConfigError(f"{source}: [texts] {name}: write a place as {{name}} and nothing more")
    _refuse(places - _PLACES[name], source, f"[texts] {name} has no place")
    _refuse(_NEEDED.get(name, frozenset()) - places, source, f"[texts] {name} needs the place")
