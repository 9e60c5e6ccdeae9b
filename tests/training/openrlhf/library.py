"""OpenRLHF itself, where it is installed: its real modules, with stubs for what needs a GPU.

OpenRLHF does not install where there is no nvcc, but most of it runs anywhere. Two commands, in an
environment of its own that corl-bench is installed in (`tox -e openrlhf` does the same):

    pip install --no-deps openrlhf==0.11.2
    pip install deepspeed==0.19.6 ray==2.55.0 transformers==5.15.0 peft torchdata tqdm pylatexenc

Of flash_attn and vllm nothing is called but what the stubs hold; where one is installed it is
used. Tests that need OpenRLHF are skipped where it is not.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

VERSION = "0.11.2"
INSTALL = f"pip install --no-deps openrlhf=={VERSION}; see tests/training/openrlhf/library.py"

_NOTHING = "{name} = object\n"
_STUBS = {
    "flash_attn/__init__.py": "",
    "flash_attn/bert_padding.py": "".join(
        _NOTHING.format(name=name)
        for name in ("index_first_axis", "pad_input", "rearrange", "unpad_input")
    ),
    "flash_attn/utils/__init__.py": "",
    "flash_attn/utils/distributed.py": _NOTHING.format(name="all_gather"),
    "vllm/__init__.py": (
        "class SamplingParams:\n"
        "    def __init__(self, **given):\n"
        "        self.stop, self.n, self.include_stop_str_in_output = [], 1, False\n"
        "        self.__dict__ |= given\n"
        "__version__ = '0.11.0'\n"
    ),
    "vllm/inputs.py": "TokensPrompt = dict\n",
    "vllm/utils.py": "from uuid import uuid4\n\n\ndef random_uuid():\n    return uuid4().hex\n",
}


def write_stubs(folder: Path) -> Path:
    """Packages in the place of those that need a GPU and are not installed; for `sys.path`."""
    for name, text in _STUBS.items():
        if importlib.util.find_spec(name.partition("/")[0]) is None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


@contextmanager
def openrlhf(folder: Path, *names: str) -> Iterator[SimpleNamespace]:
    """OpenRLHF's modules by their last names; all are gone again afterwards.

    Args:
        folder: for stubs.
        names: of modules, without `openrlhf.`.
    """
    require()
    stubbed = {path.name for path in write_stubs(folder).iterdir()} if folder else set()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield SimpleNamespace(
            **{
                name.rpartition(".")[2]: importlib.import_module(f"openrlhf.{name}")
                for name in names
            }
        )
    except ImportError as error:
        pytest.skip(f"OpenRLHF cannot be imported ({error}): {INSTALL}")
    finally:
        sys.path.remove(str(folder))
        for name in list(sys.modules):
            if name.partition(".")[0] in {"openrlhf", *stubbed}:
                del sys.modules[name]


def require() -> None:
    """Skips the test where OpenRLHF is not there, or another one."""
    if importlib.util.find_spec("openrlhf") is None:
        pytest.skip(f"OpenRLHF is not installed: {INSTALL}")
    if (found := importlib.metadata.version("openrlhf")) != VERSION:
        pytest.skip(f"OpenRLHF is {found}, and this compares with {VERSION}: {INSTALL}")
