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
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corl_bench import __version__
from corl_bench.results.documents import read_document

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = "corl-bench/manifest@1"


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
    return read_document(run_dir, MANIFEST_NAME, MANIFEST_SCHEMA)
