"""The formats that can be imported and exported, each loaded when it is used.

>>> sorted(IMPORTS)[:2]
['inspect', 'llmrouterbench']
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

NAMED = frozenset({"lm-eval", "inspect", "routerarena", "trace"})
"""Formats in which a system may have no name, so that `Wanted.system` is asked for."""
SCORED = frozenset({"lm-eval", "inspect"})
"""Formats in which a reply may have several scores, so that `Wanted.scorers` is asked for."""

EXPORTS = {
    "lm-eval": "lm_eval.write",
    "inspect": "inspect_logs.write",
    "every-eval-ever": "every_eval_ever.write",
    "csv": "tables.write_csv",
    "parquet": "tables.write_parquet",
}
"""Functions of `corl_bench.interop.exports` by format; each takes a run and a path."""
TABLES = frozenset({"csv", "parquet"})
"""Formats that are one file with a row an episode."""


def reader_of(name: str) -> Callable[[Path, Wanted], Reading]:
    """The function that reads files of a format."""
    module = importlib.import_module(f"corl_bench.interop.imports.{IMPORTS[name]}")
    read: Callable[[Path, Wanted], Reading] = module.read
    return read


def writer_of(name: str) -> Callable[[StoredRun, Path], int]:
    """The function that writes a run in a format and says how many files or rows it wrote."""
    module, _, function = EXPORTS[name].partition(".")
    found = importlib.import_module(f"corl_bench.interop.exports.{module}")
    write: Callable[[StoredRun, Path], int] = getattr(found, function)
    return write
