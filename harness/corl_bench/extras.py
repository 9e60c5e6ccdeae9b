"""Optional dependencies: imported where they are used, and named in one line when missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from corl_bench.errors import MissingExtraError


def require(module: str, *, extra: str, why: str) -> ModuleType:
    """Imports `module`, or says which extra brings it.

    Args:
        module: dotted name of the module to import.
        extra: the extra of this distribution that installs it.
        why: what needs it, as the beginning of a sentence.

    Raises:
        MissingExtraError: the module, or something it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(extra, why) from error
