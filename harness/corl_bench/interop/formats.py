"""The formats that can be imported and exported, each loaded when it is used.

>>> sorted(IMPORTS)[:2]
['inspect', 'llmrouterbench']
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from corl_bench.interop.exports.stored import StoredRun
from corl_bench.interop.reported import Reading, Wanted

IMPORTS = {
    "routerbench": "routerbench",
    "llmrouterbench": "llmrouterbench",
    "routerarena": "routerarena",
    "omnisbench": "omnisbench",
    "zeroeval": "zeroeval",
    "lm-eval": "lm_eval",
    "inspect": "inspect_logs",
    "trace": "trace",
}
"""Modules of `corl_bench.interop.imports`, each with `read(path, wanted)`, by format."""

EXPORTS = {
    "lm-eval": "lm_eval",
    "inspect": "inspect_logs",
    "every-eval-ever": "every_eval_ever",
    "csv": "tables",
    "parquet": "tables",
}
"""Modules of `corl_bench.interop.exports`, each with `write(run, out, format)`, by format."""


def reader_of(name: str) -> Callable[[Path, Wanted], Reading]:
    """The function that reads files of a format."""
    module = importlib.import_module(f"corl_bench.interop.imports.{IMPORTS[name]}")
    read: Callable[[Path, Wanted], Reading] = module.read
    return read


def writer_of(name: str) -> Callable[[StoredRun, Path, str], int]:
    """The function that writes a run in a format."""
    module = importlib.import_module(f"corl_bench.interop.exports.{EXPORTS[name]}")
    write: Callable[[StoredRun, Path, str], int] = module.write
    return write
