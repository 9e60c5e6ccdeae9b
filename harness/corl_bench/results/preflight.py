"""`preflight.json`: what showed, before a run paid for it, that a router behind an address works.

notes, cost_usd = preflight_notes(Path("runs/demo"))
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from corl_bench.errors import ConfigError
from corl_bench.files import write_json
from corl_bench.money.amounts import display_usd, sum_usd
from corl_bench.money.ledger import read_ledger
from corl_bench.results.documents import read_document

PREFLIGHT_NAME = "preflight.json"
PREFLIGHT_SCHEMA = "corl-bench/preflight@1"
PREFLIGHT_CALLS = "preflight|"
"""What the calls of a preflight begin with in the ledger; they are in no episode."""

SKIPPED = "no preflight: nothing shows that its router was at work"


def write_findings(run_dir: Path, findings: Mapping[str, str]) -> None:
    """Keeps what was found, by system; systems that are not named keep what they had.

    Raises:
        StorageError: it cannot be written.
    """
    if not findings:
        return
    known = read_findings(run_dir)
    document = {"schema": PREFLIGHT_SCHEMA, "systems": {**known, **findings}}
    write_json(run_dir / PREFLIGHT_NAME, document)


def read_findings(run_dir: Path) -> dict[str, str]:
    """What was found, by system; empty where there was no preflight.

    Raises:
        ConfigError: the file is broken.
    """
    if not (run_dir / PREFLIGHT_NAME).exists():
        return {}
    document = read_document(run_dir, PREFLIGHT_NAME, PREFLIGHT_SCHEMA)
    systems = document.get("systems")
    if not isinstance(systems, dict):
        raise ConfigError(f"{run_dir / PREFLIGHT_NAME} is broken: delete it")
    return {str(name): str(line) for name, line in systems.items()}


def preflight_notes(run_dir: Path) -> tuple[tuple[str, ...], Decimal]:
    """What a reader of a run's figures must know of its preflights, and their list cost."""
    findings = read_findings(run_dir)
    if not findings:
        return (), Decimal(0)
    cost_usd = sum_usd(
        line.list_cost_usd for line in read_ledger(run_dir) if line.call.startswith(PREFLIGHT_CALLS)
    )
    notes = [f"{name}: {line}" for name, line in findings.items()]
    if cost_usd:
        notes.append(f"preflights cost {display_usd(cost_usd)}, in no row of the table")
    return tuple(notes), cost_usd
