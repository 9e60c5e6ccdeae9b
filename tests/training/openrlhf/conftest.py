"""What a test leaves behind in this process is gone before the next one."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def as_it_was_imported() -> Iterator[None]:
    """No test finds OpenRLHF corrected because another one has entered a job."""
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
