"""`manifest.json`: what a run was, in enough detail to make it again.

`corl_bench.runs` writes it once, when the directory of a run is made, and so does an import.
Reports, re-pricing and comparisons read it, and know no run.

    manifest = read_manifest(Path("runs/demo"))
    manifest["tasks"]["synth"]["digest"]
"""

from __future__ import annotations

import platform
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corl_bench import __version__
from corl_bench.errors import ConfigError, CorlError
from corl_bench.results.documents import read_document
from corl_bench.shapes import AMOUNT, Shape

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = "corl-bench/manifest@1"


@contextmanager
def intact(run_dir: Path) -> Iterator[None]:
    """Says of a manifest that lacks what is computed from it that it is broken.

    Raises:
        ConfigError: what is done inside meets a missing key or a value that is none.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, CorlError):
            raise
        raise ConfigError(
            f"{run_dir / MANIFEST_NAME} is broken ({error!r}): restore it, or make the run anew"
        ) from error


def describe_origin(run_id: str, command: Sequence[str]) -> dict[str, Any]:
    """What every manifest begins with: whose it is, and when, how and with what it was made."""
    return {
        "schema": MANIFEST_SCHEMA,
        "run_id": run_id,
        "instance": uuid.uuid4().hex[:16],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "corl_bench": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }


def read_manifest(run_dir: Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises:
        ConfigError: there is none, or it is of another schema.
        StorageError: it cannot be read.
    """
    manifest = read_document(run_dir, MANIFEST_NAME, MANIFEST_SCHEMA)
    if fault := _SHAPE.find_fault(manifest):
        raise ConfigError(
            f"{run_dir / MANIFEST_NAME} is broken: {fault}; restore it, or make the run anew"
        )
    return manifest


_PRICE = {str: (str, bool, None)}
_SHAPE = Shape(
    {
        "run_id?": str,
        "instance?": str,
        "created?": str,
        "corl_bench?": str,
        "mode?": str,
        "grader?": str,
        "grader_digest?": (str, None),  # an import keeps others' verdicts
        "samples?": int,
        "seed?": int,
        "limit?": (int, None),
        "command?": [str],
        "budgets?": {str: AMOUNT},
        "tasks?": {
            str: {
                "title?": str,
                "digest": str,
                "digest_status?": str,
                "split?": str,
                "source?": str,
                "problems?": int,
                "total?": int,
                "redistributable?": bool,
                "licence?": str,
                "prompt?": (str, None),
            }
        },
        "pool?": {
            "name?": str,
            "digest?": str,
            "simulated?": bool,
            "experts?": [{"name?": str, "model?": str, "role?": str, "price?": (_PRICE, None)}],
        },
        "systems?": [{"name?": str, "is_oracle?": bool, "reads_budget?": bool}],
        "identity?": {"tasks?": {str: dict}, "pool?": {"digest?": str, "prices?": {str: str}}},
        "regraded?": [dict],
        "imported?": {"notes?": [str]},
    }
)
"""What readers compute with; what one of them cannot do without is its own to ask for."""
