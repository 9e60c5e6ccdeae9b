"""A crash while a checkpoint is written, with OpenRLHF's own rotation and DeepSpeed's own files.

Real OpenRLHF and DeepSpeed, one process on a CPU; see `library`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from corl_train.openrlhf.command import openrlhf_arguments  # noqa: E402
from corl_train.openrlhf.corrections import CORRECTIONS  # noqa: E402
from corl_train.openrlhf.recipe import PlacementTable, load_job_recipe  # noqa: E402
from corl_train.openrlhf.recovery import mend_checkpoints, whole_checkpoints  # noqa: E402
from training.openrlhf.checkpoints import shards  # noqa: E402
from training.openrlhf.library import openrlhf  # noqa: E402

pytestmark = pytest.mark.openrlhf
PARTS = ("_actor", "_critic")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """OpenRLHF's module, without the wait for a GPU; in a group of one process."""
    with openrlhf(tmp_path_factory.mktemp("stubs"), "utils.deepspeed.deepspeed") as modules:
        store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("group") / "store"), 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            modules.deepspeed.torch_dist_barrier_and_cuda_sync = torch.distributed.barrier
            yield modules.deepspeed
        finally:
            torch.distributed.destroy_process_group()


@pytest.fixture(params=[2, 3])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    deepspeed = pytest.importorskip("deepspeed")
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1")):
        monkeypatch.setenv(name, value)
    deepspeed.init_distributed("gloo")
    module = torch.nn.Linear(4, 4).bfloat16()
    settings = {
        "train_batch_size": 1,
        "bf16": {"enabled": True},
        "zero_optimization": {"stage": request.param},
        "zero_allow_untested_optimizer": True,
    }
    optimizer = torch.optim.AdamW(module.parameters())
    return deepspeed.initialize(model=module, optimizer=optimizer, config=settings)[0]


class Job:
    """Saves as OpenRLHF's `PPOTrainer` does, with the arguments of our recipe."""

    def __init__(self, strategy: Any, engine: Any, folder: Path) -> None:
        self.strategy, self.engine, self.folder = strategy, engine, folder
        flags = openrlhf_arguments(load_job_recipe("corl-paper"), folder, seed=0)
        self.keep = int(flags[flags.index("--ckpt.max_num") + 1])
        self.placement = PlacementTable(
            gpus_per_node=1, zero_stage=engine.zero_optimization_stage()
        )

    def save(self, tag: str, figure: float | None, parts: tuple[str, ...] = PARTS) -> None:
        for part in parts:
            self.strategy.save_ckpt(
                self.engine,
                str(self.folder / part),
                tag,
                self.keep,
                1000,
                {"global_step": int(tag.rpartition("step")[2])},
                metric_value=figure,
                metric_key="eval_validation_pass1",
            )

    def crash(self, tag: str, figure: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both were being written: weights are there, the optimiser's part is not."""

        def die(*given: Any) -> None:
            raise SystemError("the GPU fell off the bus")

        with monkeypatch.context() as patch:
            patch.setattr(self.engine, "_save_zero_checkpoint", die)
            for part in PARTS:
                with pytest.raises(SystemError):
                    self.save(tag, figure, (part,))

    def go_on(self) -> list[int]:
        """What OpenRLHF loads: the steps of policy and critic."""
        loaded = [self.strategy.load_ckpt(self.engine, str(self.folder / p))[1] for p in PARTS]
        return [states["global_step"] for states in loaded]


def until_validation_falls(job: Job) -> None:
    """Steps 10 to 50, with a validation behind 20 that is good, and one behind 40 that is not."""
    job.save("global_step10", None)
    job.save("global_step20", None)
    job.save("best_global_step20", 0.6)
    job.save("global_step30", 0.6)
    job.save("global_step40", 0.6)
    job.save("global_step50", 0.4)


def test_what_openrlhf_leaves_behind_is_gone_on_from(
    theirs: SimpleNamespace, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has deleted its newest checkpoint; DeepSpeed's `latest` names it, and loads nothing."""
    job = Job(object.__new__(theirs.DeepspeedStrategy), engine, tmp_path)
    until_validation_falls(job)
    actor = tmp_path / "_actor"
    assert list(whole_checkpoints(actor, job.placement).values()) == [20, 40, 50]
    names = {path.name for path in (actor / "global_step50").iterdir()}
    assert names == {*shards(job.placement), "metric.json"}
    job.crash("global_step60", 0.4, monkeypatch)
    assert (actor / "latest").read_text() == "global_step50"
    assert not (actor / "global_step50").exists()
    assert mend_checkpoints(tmp_path, job.placement).step == 40
    assert job.go_on() == [40, 40]


def test_corrected_it_deletes_the_oldest(
    theirs: SimpleNamespace, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected = SimpleNamespace(DeepspeedStrategy=theirs.DeepspeedStrategy)
    CORRECTIONS["openrlhf.utils.deepspeed.deepspeed"](corrected)
    job = Job(object.__new__(corrected.DeepspeedStrategy), engine, tmp_path)
    until_validation_falls(job)
    job.crash("global_step60", 0.4, monkeypatch)
    # While it was written there was room made: what `disk_gib` counts on.
    assert len([p for p in (tmp_path / "_actor").iterdir() if p.is_dir()]) == job.keep + 1
    assert mend_checkpoints(tmp_path, job.placement).step == 50
    assert job.go_on() == [50, 50]
    tags = ["best_global_step20", "global_step50"]
    assert list(whole_checkpoints(tmp_path / "_actor", job.placement)) == tags
    # The best is found by its figure, and gives way to a better one alone.
    job.save("best_global_step60", 0.7)
    assert not (tmp_path / "_actor" / "best_global_step20").exists()


def test_a_critic_that_is_behind_takes_the_policy_back(
    theirs: SimpleNamespace, engine: Any, tmp_path: Path
) -> None:
    job = Job(object.__new__(theirs.DeepspeedStrategy), engine, tmp_path)
    job.save("global_step10", None)
    job.save("global_step20", None, ("_actor",))
    assert job.go_on() == [20, 10]
    assert mend_checkpoints(tmp_path, job.placement).step == 10
    assert job.go_on() == [10, 10]
