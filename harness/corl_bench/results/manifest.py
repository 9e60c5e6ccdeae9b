"""`manifest.json`: what a run was, in enough detail to make it again.

`corl_bench.runs` writes it once, when the directory of a run is made. Reports, re-pricing and
comparisons read it, and know no run.

    manifest = read_manifest(Path("runs/demo"))
    manifest["tasks"]["synth"]["digest"]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corl_bench.results.documents import read_document

MANIFEST_NAME = "manifest.json"
MANIFEST_SCHEMA = "corl-bench/manifest@1"


def read_manifest(run_dir: Path) -> dict[str, Any]:
    """The manifest of a run directory.

    Raises:
        ConfigError: there is none, or it is of another schema.
        StorageError: it cannot be read.
    """
    return read_document(run_dir, MANIFEST_NAME, MANIFEST_SCHEMA)
