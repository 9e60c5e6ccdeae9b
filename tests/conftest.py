"""Fixtures that every part of the test suite shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with datasets and recordings of real models; tests skip without it."""
    path = Path(os.environ.get("CORL_SHARED_DIR", CHECKOUT.parent / "shared"))
    if not (path / "datasets").is_dir():
        pytest.skip("needs the shared data folder beside the checkout (or CORL_SHARED_DIR)")
    return path
