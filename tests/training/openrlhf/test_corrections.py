"""Corrections get into modules as they are imported, and stop what must not be trained on.

What they do to OpenRLHF itself is in `test_agent_oracle.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corl_bench.errors import CapReachedError
from corl_train.openrlhf import agent_path
from corl_train.openrlhf.corrections import UnsoundBatchError, require_sound

torch = pytest.importorskip("torch")

IMPORTING = """
import sys
from corl_train.openrlhf import corrections
corrections.install()
corrections.install()
import openrlhf.trainer.uses
from openrlhf.trainer.uses import RemoteExperienceMaker
assert RemoteExperienceMaker.__name__ == "SkippingMaker", RemoteExperienceMaker
assert RemoteExperienceMaker().greeting() == "as it was"
assert openrlhf.trainer.uses.RemoteExperienceMaker.__mro__[1].__module__.endswith("_maker")
assert "torch" not in sys.modules and "ray" not in sys.modules
import json.tool
print("corrected")
"""


def test_a_module_is_corrected_before_anybody_has_a_name_of_it(tmp_path: Path) -> None:
    """A library of the same shape, in a process of its own."""
    files = {
        "__init__.py": "",
        "trainer/__init__.py": "",
        "trainer/ppo_utils/__init__.py": "",
        "trainer/ppo_utils/experience_maker.py": (
            "class RemoteExperienceMaker:\n    def greeting(self):\n        return 'as it was'\n"
        ),
        "trainer/uses.py": (
            "from openrlhf.trainer.ppo_utils.experience_maker import RemoteExperienceMaker\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / "openrlhf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{IMPORTING}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "corrected\n", done.stderr


def test_nothing_but_the_agent_needs_openrlhf(tmp_path: Path) -> None:
    code = (
        "import sys, corl_train.openrlhf as o, corl_train.openrlhf.corrections, "
        "corl_train.openrlhf.job, corl_train.openrlhf.label, corl_train.openrlhf.stage, "
        "corl_train.openrlhf.training\n"
        "assert not {'openrlhf', 'ray', 'vllm'} & set(sys.modules)\n"
        "assert o.agent_path().is_file()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert agent_path().suffix == ".py"


def rollout(own: int = 3, **logs: float) -> Any:
    """An experience of OpenRLHF's as far as it is looked at."""
    info = {f"corl/{name}": torch.tensor([float(value)]) for name, value in logs.items()}
    return SimpleNamespace(action_mask=torch.tensor([[1] * own + [0] * 2]), info=info)


def test_a_batch_that_the_cap_has_cut_is_not_trained_on() -> None:
    batch = [rollout(cap=0, calls=1), rollout(cap=1, calls=1, own=0), rollout(cap=1, calls=0)]
    with pytest.raises(CapReachedError, match="2 of 3 rollouts") as stopped:
        require_sound(batch)
    assert stopped.value.exit_code == 3 and "checkpoint" in str(stopped.value)


def test_a_batch_that_says_nothing_is_not_trained_on() -> None:
    with pytest.raises(UnsoundBatchError, match="none of 2"):
        require_sound([rollout(own=0), rollout(own=0)])
    require_sound([rollout(own=0), rollout(own=1)])


def test_a_batch_without_experts_is_not_trained_on() -> None:
    with pytest.raises(UnsoundBatchError, match="21 of 40 calls"):
        require_sound([rollout(calls=4, failed_calls=2)] * 9 + [rollout(calls=4, failed_calls=3)])
    require_sound([rollout(calls=4, failed_calls=2)] * 10)
    require_sound([rollout(calls=4, failed_calls=4)])  # too few to tell


def test_rollouts_of_another_agent_are_none_of_our_business() -> None:
    require_sound([rollout()])
