"""Checkpoints of a job as DeepSpeed and OpenRLHF 0.11.2 name their files, without their weights.

`test_rotation.py` has both write real ones, which are held against these.
"""

from __future__ import annotations

from pathlib import Path

from corl_train.openrlhf.recipe import PlacementTable

ONE = PlacementTable(gpus_per_node=1, zero_stage=2)
EIGHT = PlacementTable()


def shards(placement: PlacementTable) -> list[str]:
    """Names of the files of one whole checkpoint, but for `metric.json`."""
    ranks = range(placement.gpus)
    if placement.zero_stage == 3:
        weights = [f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt" for rank in ranks]
    else:
        weights = ["mp_rank_00_model_states.pt"]
    return [*weights, *(f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt" for rank in ranks)]


def save(
    part: Path, *tags: str, latest: str | None = None, placement: PlacementTable = EIGHT
) -> None:
    """Whole checkpoints of a policy or a critic."""
    for tag in tags:
        cut_short(part, tag, placement=placement)
        (part / tag / "metric.json").write_text("{}")
    if latest is not None:
        part.mkdir(parents=True, exist_ok=True)
        (part / "latest").write_text(latest)


def cut_short(part: Path, tag: str, *, placement: PlacementTable = EIGHT, lost: int = 0) -> None:
    """A checkpoint that a crash has cut short: the parts of all GPUs but some, and no figure."""
    (part / tag).mkdir(parents=True)
    for name in shards(placement)[lost:]:
        (part / tag / name).touch()
