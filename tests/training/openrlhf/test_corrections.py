"""Corrections get into modules as they are imported.

What they do to OpenRLHF itself is in `test_agent_oracle.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
