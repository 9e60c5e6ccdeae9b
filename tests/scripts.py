"""Scripts of `benchmarks/`, which are no part of a package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def load_script(name: str) -> ModuleType:
    """`benchmarks/NAME.py`; skips the test where there is no checkout."""
    path = BENCHMARKS / f"{name}.py"
    if not path.is_file():
        pytest.skip("benchmarks are part of the checkout alone")
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
