"""The ledger: a line for every attempt and every fee, and the truth for money.

Two append-only files. `journal.jsonl` gets a line *before* an attempt is sent, with its
worst-case cost; `ledger.jsonl` gets one when its cost is known, or when it is known that
nobody can know it. Adding up `list_cost_usd` over `ledger.jsonl` gives the summary's total to
the last digit. An attempt that is in the journal alone was in flight when the process died:
`Ledger.unaccounted` names it, and the run either settles it from a stored reply or writes it
off as `unsettled` at its worst case, apart from both totals. A fee (`Ledger.book_fee`) has no
journal: it is booked when it is known. Lines say where their amount comes from, see
`corl_bench.money.basis`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, Self

from corl_bench.errors import ConfigError, StorageError
from corl_bench.files import Closing, LineFile, read_records
from corl_bench.money.amounts import format_usd
from corl_bench.money.basis import CostBasis, read_basis
from corl_bench.shapes import AMOUNT, Shape
from corl_bench.types import Usage

LEDGER_SCHEMA = 2
"""The newest form of a line. Each is written in the oldest form that can hold it: 1, and 2 for
fees and for costs that are not metered, which older versions would take for metered calls."""
INTERRUPTED = "interrupted"
"""Status of an attempt that was in flight when the process died or was cancelled."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What one attempt cost."""

    call: str
    """Episode key, `#`, position of the call in its episode."""
    attempt: int
    """From 1, counted over all runs of the command on this directory."""
    expert: str
    model: str
    price: str
    """Price row that was used: id, `@`, the day from which it holds."""
    status: str
    """`ok`, what the attempt failed with, or `interrupted`."""
    usage: Usage | None = None
    list_cost_usd: Decimal = Decimal(0)
    """At the price list, whoever paid it."""
    billed_cost_usd: Decimal = Decimal(0)
    """What this run paid for it; zero for a stored reply."""
    settled: bool = True
    """False: nobody knows what the provider billed for it."""
    unsettled_usd: Decimal = Decimal(0)
    """Worst case of an attempt that is not settled; in neither of the two costs above."""
    stored: bool = False
    """The reply came from a recording or from another episode of this run."""
    basis: CostBasis = "metered"
    """Where the amounts come from."""
    fee: str = ""
    """What the line is a fee for; empty for an attempt. A fee has no expert, model or price."""

    def encode(self) -> dict[str, Any]:
        is_plain = self.basis == "metered" and not self.fee
        row: dict[str, Any] = {
            "v": 1 if is_plain else LEDGER_SCHEMA,
            "call": self.call,
            "attempt": self.attempt,
            "expert": self.expert,
            "model": self.model,
            "price": self.price,
            "status": self.status,
            "settled": self.settled,
            "stored": self.stored,
            "usage": None if self.usage is None else self.usage.as_dict(),
            "list_cost_usd": format_usd(self.list_cost_usd),
            "billed_cost_usd": format_usd(self.billed_cost_usd),
        }
        if not self.settled:
            row["unsettled_usd"] = format_usd(self.unsettled_usd)
        if not is_plain:
            row["basis"] = self.basis
        if self.fee:
            row["fee"] = self.fee
        return row

    @classmethod
    def decode(cls, row: Mapping[str, Any]) -> Self:
        _check(row, "ledger", _LINE)
        return cls(
            call=row["call"],
            attempt=row["attempt"],
            expert=row["expert"],
            model=row["model"],
            price=row["price"],
            status=row["status"],
            usage=None if row["usage"] is None else Usage(**row["usage"]),
            list_cost_usd=Decimal(row["list_cost_usd"]),
            billed_cost_usd=Decimal(row["billed_cost_usd"]),
            settled=row["settled"],
            unsettled_usd=Decimal(row.get("unsettled_usd", "0")),
            stored=row["stored"],
            basis=read_basis(row.get("basis", "metered")),
            fee=row.get("fee", ""),
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt about to be sent, as the journal holds it."""

    call: str
    attempt: int
    expert: str
    model: str
    price: str
    worst_usd: Decimal
    request_key: str
    sample: int
    occurrence: int
    scope: str
    """The episode that the draw belongs to, or empty where any may use it."""

    def encode(self) -> dict[str, Any]:
        row = {name: getattr(self, name) for name in self.__slots__}
        row["worst_usd"] = format_usd(self.worst_usd)
        return {"v": 1, **row}

    @classmethod
    def decode(cls, row: Mapping[str, Any]) -> Self:
        _check(row, "journal", _INTENT)
        fields = {name: row[name] for name in cls.__slots__}
        fields["worst_usd"] = Decimal(row["worst_usd"])
        return cls(**fields)


_LINE = Shape(
    {
        "v": int,
        "call": str,
        "attempt": int,
        "expert": str,
        "model": str,
        "price": str,
        "status": str,
        "settled": bool,
        "stored": bool,
        "fee?": str,
        "basis?": str,
        "list_cost_usd": AMOUNT,
        "billed_cost_usd": AMOUNT,
        "unsettled_usd?": AMOUNT,
        "usage": ({str: (int, bool)}, None),
    }
)
_INTENT = Shape(
    {
        "v": int,
        "call": str,
        "attempt": int,
        "expert": str,
        "model": str,
        "price": str,
        "worst_usd": AMOUNT,
        "request_key": str,
        "sample": int,
        "occurrence": int,
        "scope": str,
    }
)


def _check(row: Any, name: str, shape: Shape) -> None:
    """Refuses what a newer version wrote, and what is not of this shape."""
    version = row.get("v") if isinstance(row, dict) else None
    if type(version) is int and version > LEDGER_SCHEMA:
        raise ConfigError(
            f"the {name} is of schema {version}, this version reads up to {LEDGER_SCHEMA}:"
            " upgrade corl-bench"
        )
    if fault := shape.find_fault(row):
        raise ValueError(fault)


@dataclass(slots=True)
class Totals:
    """Sums over ledger lines."""

    list_cost_usd: Decimal = Decimal(0)
    billed_cost_usd: Decimal = Decimal(0)
    unsettled_usd: Decimal = Decimal(0)
    attempts: int = 0
    """Attempts that this run made; stored replies and fees are none."""
    unsettled_attempts: int = 0

    def add(self, line: LedgerLine) -> None:
        self.list_cost_usd += line.list_cost_usd
        self.billed_cost_usd += line.billed_cost_usd
        self.unsettled_usd += line.unsettled_usd
        self.attempts += not (line.stored or line.fee)
        self.unsettled_attempts += not line.settled

    @property
    def committed_usd(self) -> Decimal:
        """What may have been spent: the bill, and the worst case of what is unsettled."""
        return self.billed_cost_usd + self.unsettled_usd


@dataclass(slots=True)
class _CallHistory:
    attempts: int = 0
    lines: list[LedgerLine] = field(default_factory=list)


class Lines(Protocol):
    """Where a ledger's lines go: a `LineFile`, or what keeps none."""

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None: ...

    def close(self) -> None: ...


class Ledger(Closing):
    """Ledger and journal of one run directory, open for appending."""

    def __init__(self, ledger: Lines, journal: Lines) -> None:
        self._ledger = ledger
        self._journal = journal
        self._history: dict[str, _CallHistory] = {}
        self._open: dict[tuple[str, int], Intent] = {}
        self.totals = Totals()

    @classmethod
    def open(cls, run_dir: Path, *, remember: bool = True) -> Self:
        """Opens both files and reads what they hold.

        Args:
            run_dir: where they are.
            remember: whether calls go on that were begun before. Where none does, only sums and
                what was in flight are kept, however long the files are.

        Raises:
            ConfigError: a file cannot be written, or holds something else.
            StorageError: a line stands twice. Where calls are not remembered, nobody notices.
        """
        paths = run_dir / "ledger.jsonl", run_dir / "journal.jsonl"
        self = cls(LineFile.open(paths[0]), LineFile.open(paths[1]))
        try:
            self._read(run_dir, remember=remember)
        except BaseException:
            self.close()
            raise
        return self

    def _read(self, run_dir: Path, *, remember: bool) -> None:
        """What the files of a run hold; arguments and errors as of `open`."""
        intents = read_records(
            run_dir / "journal.jsonl",
            Intent.decode,
            what="line of a journal",
            advice="restore the file, or take the line out if its attempt is on the ledger",
        )
        for line in read_ledger(run_dir):
            # An attempt is journalled before it is accounted for, so no more of the journal is
            # held at a time than was in flight.
            attempt = line.call, line.attempt
            is_journalled = not (line.stored or line.fee)
            while is_journalled and attempt not in self._open:
                if (intent := next(intents, None)) is None:
                    break
                self._begin(intent, remember=remember)
            self._open.pop(attempt, None)
            if self._has(line):
                raise StorageError(
                    f"{run_dir / 'ledger.jsonl'}: attempt {line.attempt} of {line.call} stands"
                    " there twice: take one of the two lines out"
                )
            self._count(line, remember=remember)
        for intent in intents:
            self._begin(intent, remember=remember)

    def unaccounted(self) -> list[Intent]:
        """Attempts that were journalled and never accounted for."""
        return list(self._open.values())

    def next_attempt(self, call: str) -> int:
        history = self._history.get(call)
        return 1 if history is None else history.attempts + 1

    def lines_of(self, call: str) -> list[LedgerLine]:
        """Lines of one call so far, those of attempts that were interrupted left out."""
        history = self._history.get(call)
        if history is None:
            return []
        return [line for line in history.lines if line.status != INTERRUPTED]

    def announce(self, intent: Intent) -> None:
        """Journals an attempt; it may be sent only after this has returned."""
        self._journal.append(map(Intent.encode, (intent,)))
        self._begin(intent)

    def account(self, lines: Iterable[LedgerLine]) -> None:
        """Appends lines, all of them or none."""
        lines = list(lines)
        self._ledger.append(line.encode() for line in lines)
        for line in lines:
            self._open.pop((line.call, line.attempt), None)
            self._count(line)

    def book_fee(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> LedgerLine | None:
        """Appends the line of a fee, if it is owed.

        A fee of a call is owed once, as the call is, and is no bill where the reply was stored.
        Any other is owed each time that its episode is made: whoever decides again is paid again.
        Its list cost stands once all the same, as the episode has it once.

        Args:
            name: of the fee in the ledger: episode key, `#`, its name in the episode.
            what: what it is for.
            usd: the amount; of an opaque fee its worst case.
            basis: where the amount comes from.
            of: name of the call that the fee belongs to, if there is one.

        Returns:
            The line; None where the fee of a call is booked already.
        """
        booked = self.lines_of(name)
        if booked and of is not None:
            return None
        made = [] if of is None else self.lines_of(of)
        is_stored = bool(made) and made[-1].stored
        is_opaque = basis == "opaque"
        line = LedgerLine(
            call=name,
            attempt=self.next_attempt(name),
            expert="",
            model="",
            price="",
            status="ok",
            list_cost_usd=Decimal(0) if is_opaque or booked else usd,
            billed_cost_usd=Decimal(0) if is_opaque or is_stored else usd,
            settled=not is_opaque or is_stored,
            unsettled_usd=usd if is_opaque and not is_stored else Decimal(0),
            stored=is_stored,
            basis=basis,
            fee=what,
        )
        self.account([line])
        return line

    def resume(self, *, written: Container[str], again: Container[str]) -> None:
        """Keeps of the calls before only what matters to the episodes that are still owed.

        Args:
            written: keys of episodes that are finished; their calls are forgotten.
            again: keys of episodes that ended in error and are made once more; their calls
                that failed begin anew, but for the numbers of their attempts.
        """
        for call in list(self._history):
            episode = call.rpartition("#")[0]
            if episode in again:
                history = self._history[call]
                history.lines = [line for line in history.lines if line.status == "ok"]
            elif episode in written:
                del self._history[call]

    def forget(self, calls: Iterable[str]) -> None:
        """Drops the history of calls whose episode is written, to keep memory flat."""
        for call in calls:
            self._history.pop(call, None)

    def _begin(self, intent: Intent, *, remember: bool = True) -> None:
        self._open[intent.call, intent.attempt] = intent
        if remember:
            history = self._history.setdefault(intent.call, _CallHistory())
            history.attempts = max(history.attempts, intent.attempt)

    def _has(self, line: LedgerLine) -> bool:
        """Whether the attempt of a line is counted already, as far as calls are remembered."""
        history = self._history.get(line.call)
        return history is not None and any(h.attempt == line.attempt for h in history.lines)

    def _count(self, line: LedgerLine, *, remember: bool = True) -> None:
        if remember:
            history = self._history.setdefault(line.call, _CallHistory())
            history.attempts = max(history.attempts, line.attempt)
            history.lines.append(line)
        self.totals.add(line)

    def close(self) -> None:
        self._ledger.close()
        self._journal.close()


def read_ledger(run_dir: Path) -> Iterator[LedgerLine]:
    """Lines of a stored run, in the order in which they were written.

    Raises:
        StorageError: a line is none of a ledger, or a newer version's.
    """
    return read_records(
        run_dir / "ledger.jsonl",
        LedgerLine.decode,
        what="line of a ledger",
        advice="restore the file, or take the line out: the run's own command then settles its"
        " attempt by the stored reply, or books it as unsettled",
    )
