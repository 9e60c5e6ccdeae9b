"""`summary.json`: what a run comes to, as operating points and totals.

It is derived from episodes and ledger and can be made again from them. Dollars are strings of
exact decimals; readings of the clock stand under `timings`.

    summary = read_summary(Path("runs/demo"))
    best = max(summary.rows, key=lambda point: point.accuracy)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError
from corl_bench.money.amounts import format_usd
from corl_bench.money.basis import CostBasis, is_known, read_basis
from corl_bench.results.documents import read_document
from corl_bench.shapes import AMOUNT, Shape

SUMMARY_NAME = "summary.json"
SUMMARY_SCHEMA = "corl-bench/summary@1"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Cost and accuracy of a system on a task, scored at a budget: a row of the summary.

    Budget-blind systems have a point for each budget, over the same episodes.
    """

    task: str
    system: str
    budget: str | None
    budget_usd: Decimal | None
    told_budget: bool
    """Whether the system saw the budget, or is only scored at it."""
    oracle: bool
    problems: int
    samples: int
    """Samples of each problem; accuracy is the mean over them (pass@1)."""
    episodes: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    """95 %, see `corl_bench.metrics.inference.intervals`."""
    accuracy_as_recorded: float | None
    """By the verdicts that came with imported recordings, where all episodes have one."""
    verdicts: Mapping[str, int]
    mean_cost_usd: Decimal
    """List cost per episode, rounded to 12 decimals; `total_cost_usd` is exact."""
    total_cost_usd: Decimal
    unsettled_usd: Decimal
    calls: int
    """All calls: those to experts and those to the controller's own model."""
    expert_calls: int
    self_calls: int
    """Calls to the controller's own model."""
    expert_call_ratio: float
    """Calls to experts per episode."""
    calls_by_expert: Mapping[str, int]
    """All calls by name, the controller's own model included."""
    violations: int
    violation_rate: float | None
    """Share of episodes whose list cost is above the budget; None without a budget."""
    truncated: int
    """Calls whose reply was cut at its output limit."""
    refused: int
    errors: int
    """Episodes with the verdict `error`."""
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    estimated_calls: int
    """Calls whose usage is an estimate."""
    latency_p50_s: float
    latency_p95_s: float
    events: int = 0
    """What the system noted: turns of a controller that were neither a call nor an answer, say."""
    fees_usd: Decimal = Decimal(0)
    """Of the total cost, what was charged beside the calls; opaque fees are in `unsettled_usd`."""
    cost_basis: CostBasis = "metered"
    """That of the least sure of its costs, see `corl_bench.money.basis`."""

    @property
    def is_ranked(self) -> bool:
        """Whether it is compared with others: it sees no golds, and what it cost is known."""
        return not self.oracle and is_known(self.cost_basis)


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary.json` holds."""

    run_id: str
    simulated: bool
    """True where any expert is simulated; everything that prints figures says so."""
    finished: bool
    tasks: Mapping[str, Mapping[str, Any]]
    """By task: title, digest, digest_status, problems, redistributable."""
    rows: tuple[OperatingPoint, ...]
    """By task, system and budget, in the order of the run."""
    list_cost_usd: Decimal
    billed_cost_usd: Decimal
    """What this run paid: calls that were replayed cost nothing."""
    unsettled_usd: Decimal
    unsettled_attempts: int
    attempts: int
    notes: tuple[str, ...] = field(default_factory=tuple)


_LEFT_OUT: Mapping[str, Any] = {"events": 0, "fees_usd": Decimal(0), "cost_basis": "metered"}
"""Values that are not written."""
_POINT_TIMINGS = ("latency_p50_s", "latency_p95_s")


def encode_summary(summary: Summary) -> dict[str, Any]:
    """The JSON object of `summary.json`; costs are strings, clock readings under `timings`."""
    return {
        "schema": SUMMARY_SCHEMA,
        "run_id": summary.run_id,
        "simulated": summary.simulated,
        "finished": summary.finished,
        "totals": {
            "list_cost_usd": format_usd(summary.list_cost_usd),
            "billed_cost_usd": format_usd(summary.billed_cost_usd),
            "unsettled_usd": format_usd(summary.unsettled_usd),
            "unsettled_attempts": summary.unsettled_attempts,
            "attempts": summary.attempts,
        },
        "notes": list(summary.notes),
        "tasks": {name: dict(task) for name, task in summary.tasks.items()},
        "rows": [encode_point(point) for point in summary.rows],
    }


def encode_point(point: OperatingPoint) -> dict[str, Any]:
    """The JSON object of one row of `summary.json`.

    Events and fees stand there only where there are some, the basis of costs where they are not
    all metered.
    """
    encoded: dict[str, Any] = {}
    for name in point.__slots__:
        value = getattr(point, name)
        if name in _POINT_TIMINGS or (name in _LEFT_OUT and value == _LEFT_OUT[name]):
            continue
        if isinstance(value, Decimal):
            value = format_usd(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        encoded[name] = value
    encoded["timings"] = {name: round(getattr(point, name), 6) for name in _POINT_TIMINGS}
    return encoded


def decode_summary(data: Mapping[str, Any]) -> Summary:
    """The inverse of `encode_summary`.

    Raises:
        KeyError: a field is missing.
    """
    totals = data["totals"]
    rows = []
    for row in data["rows"]:
        fields = {name: value for name, value in row.items() if name != "timings"}
        for name in ("budget_usd", "mean_cost_usd", "total_cost_usd", "unsettled_usd"):
            if fields[name] is not None:
                fields[name] = Decimal(fields[name])
        fields["fees_usd"] = Decimal(fields.get("fees_usd", "0"))
        fields["cost_basis"] = read_basis(fields.get("cost_basis", "metered"))
        low, high = fields["accuracy_interval"]
        fields["accuracy_interval"] = (low, high)
        rows.append(OperatingPoint(**fields, **row["timings"]))
    return Summary(
        run_id=data["run_id"],
        simulated=data["simulated"],
        finished=data["finished"],
        tasks=data["tasks"],
        rows=tuple(rows),
        list_cost_usd=Decimal(totals["list_cost_usd"]),
        billed_cost_usd=Decimal(totals["billed_cost_usd"]),
        unsettled_usd=Decimal(totals["unsettled_usd"]),
        unsettled_attempts=totals["unsettled_attempts"],
        attempts=totals["attempts"],
        notes=tuple(data["notes"]),
    )


_COUNTS = (
    *("problems", "samples", "episodes", "calls", "expert_calls", "self_calls", "violations"),
    *("truncated", "refused", "errors", "input_tokens", "output_tokens", "reasoning_tokens"),
    *("estimated_calls", "events?"),
)
_SHAPE = Shape(
    {
        "run_id": str,
        "simulated": bool,
        "finished": bool,
        "notes": [str],
        "tasks": {str: dict},
        "totals": {
            "list_cost_usd": AMOUNT,
            "billed_cost_usd": AMOUNT,
            "unsettled_usd": AMOUNT,
            "attempts": int,
            "unsettled_attempts": int,
        },
        "rows": [
            {
                **dict.fromkeys(_COUNTS, int),
                "task": str,
                "system": str,
                "budget": (str, None),
                "budget_usd": (AMOUNT, None),
                "told_budget": bool,
                "oracle": bool,
                "accuracy": float,
                "verdicts": {str: int},
                "accuracy_interval": [float],
                "accuracy_as_recorded": (float, None),
                "mean_cost_usd": AMOUNT,
                "total_cost_usd": AMOUNT,
                "unsettled_usd": AMOUNT,
                "calls_by_expert": {str: int},
                "expert_call_ratio": float,
                "fees_usd?": AMOUNT,
                "violation_rate": (float, None),
                "cost_basis?": str,
                "timings": dict.fromkeys(_POINT_TIMINGS, float),
            }
        ],
    }
)


def read_summary(run_dir: Path) -> Summary:
    """The summary of a run directory.

    Raises:
        ConfigError: there is none, it is of another schema, or it is broken.
        StorageError: it cannot be read.
    """
    document = read_document(run_dir, SUMMARY_NAME, SUMMARY_SCHEMA)
    try:
        if fault := _SHAPE.find_fault(document):
            raise ValueError(fault)
        return decode_summary(document)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ConfigError(
            f"{run_dir / SUMMARY_NAME} is broken ({error!r}): the run's own command makes it again"
        ) from error
