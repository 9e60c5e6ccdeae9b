"""The driver: OpenRLHF's own code in every process of a Ray job, corrected.

Real OpenRLHF and real Ray, each in processes of their own; see `library`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.openrlhf.library import require, write_stubs

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.openrlhf, pytest.mark.timeout(900)]

STAND_IN = '''
import sys
from types import SimpleNamespace

import ray

def rollout(cap):
    """What the agent hands back of a rollout, cut by the cap or not."""
    return {
        "prompt": "p", "label": "l", "reward": 0.0, "scores": 0.0,
        "observation_tokens": [5, 6, 7], "action_ranges": [] if cap else [(1, 3)],
        "rollout_log_probs": [0.0] * 3, "truncated": False, "extra_logs": {"corl/cap": cap},
    }

@ray.remote
class Trainer:
    """OpenRLHF's own trainer and its own classes, as far as they need no GPU."""

    def corrected(self):
        from openrlhf.trainer import ppo_trainer
        from openrlhf.trainer.ray import ppo_actor
        return [
            ppo_trainer.RemoteExperienceMaker.__name__,
            ppo_trainer.SamplesGenerator.__name__,
            ppo_actor.get_loss_batch_info.__module__,
            ppo_actor.masked_mean.__module__,
        ]

    def fit(self):
        """A step of its own from rollouts that its own generator has processed."""
        from openrlhf.trainer import ppo_trainer
        generator = ppo_trainer.SamplesGenerator(SimpleNamespace(args=None), None, None, None, [])
        samples = [
            generator._process_response_into_experience(rollout(cap), max_len=8)
            for cap in (0.0, 1.0, 1.0)
        ]
        kind = ppo_trainer.PPOTrainer.__ray_metadata__.modified_class
        trainer = kind.__new__(kind)
        advantage = SimpleNamespace(estimator="gae")
        args = SimpleNamespace(algo=SimpleNamespace(advantage=advantage))
        trainer.experience_maker = ppo_trainer.RemoteExperienceMaker(
            None, None, None, None, None, SimpleNamespace(args=args), None
        )
        trainer.train_step(samples, 0)

assert __name__ == "__main__" and sys.argv[1:] == ["--some", "flag"], sys.argv
trainer = Trainer.remote()
print("in a worker:", *ray.get(trainer.corrected.remote()), flush=True)
ray.get(trainer.fit.remote())
'''


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For processes that need no GPU; Ray's workers have it, too."""
    require()
    pytest.importorskip("datasets")
    stubs = write_stubs(tmp_path)
    paths = (stubs, ROOT / "harness", ROOT / "training")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }


def drive(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_every_process_is_corrected_and_the_cap_is_an_exit_code(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """`train_ppo_ray` is exchanged for one without GPUs, which calls `train_step` of its trainer.

    Who runs it, and where, is not: the cap's error comes out of OpenRLHF's trainer in a Ray worker.
    """
    pytest.importorskip("ray")
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    done = drive(
        environment,
        "import sys\n"
        "from corl_train.openrlhf import training\n"
        "training._DRIVER = 'stand_in'\n"
        "sys.exit(training.main(['--some', 'flag']))\n",
    )
    assert (
        "in a worker: SkippingMaker CountingGenerator"
        " corl_train.openrlhf.corrections corl_train.openrlhf.corrections"
    ) in done.stdout, done.stderr
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("error: the spending cap has cut 2 of 3"), (
        done.stderr
    )


def test_another_openrlhf_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from corl_train.openrlhf import corrections, training

    monkeypatch.setattr(corrections, "VERSION", "0.99.0")
    before = list(sys.meta_path)
    try:
        assert training.main([]) == 2
    finally:
        sys.meta_path[:] = before
    assert "pip install openrlhf==0.99.0" in capsys.readouterr().err
