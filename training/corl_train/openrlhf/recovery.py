"""Checkpoints that a crash has cut short: what a job can go on from, and what it cannot.

OpenRLHF 0.11.2 saves policy and critic side by side, each into a folder of its own (`save_ckpt` in
utils/deepspeed/deepspeed.py): it deletes what is too much, which may be what DeepSpeed's file
`latest` names; then every GPU writes its part, and the first one `latest`; when all have written
comes `metric.json`. A job that is cut short in between leaves checkpoints that look finished, and
`latest` naming one that is gone. So neither that file nor a step's number is believed: whole is
what has `metric.json` and the parts of all GPUs, since a deletion may be cut short, too. A job
goes on behind the last step that is whole in policy and critic; what is newer or not whole is put
aside, for it would be written again and look whole meanwhile. Nothing is deleted.

    mended = mend_checkpoints(folder / "checkpoints", recipe.placement)
    mended.step, mended.told
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from corl_bench.errors import StorageError
from corl_bench.files import write_text
from corl_train.openrlhf.recipe import PlacementTable

ACTOR, CRITIC = "_actor", "_critic"
LATEST = "latest"
METRIC_NAME = "metric.json"
"""OpenRLHF writes it behind a barrier, when all GPUs have written theirs."""
_TAG = re.compile(r"(best_)?global_step(\d+)")


@dataclass(frozen=True, slots=True)
class Mended:
    """Where a job goes on."""

    step: int
    """Behind which; 0 where it begins."""
    aside: Path | None = None
    """Where unfinished checkpoints are now, if there were any."""

    @property
    def told(self) -> list[str]:
        """What happened, as lines for a terminal; none where nothing was saved."""
        lines = [f"going on behind step {self.step}"] if self.step else []
        if self.aside is not None and not self.step:
            lines.append("no checkpoint is whole in policy and critic: the job begins anew")
        if self.aside is not None:
            lines.append(
                f"unfinished checkpoints lie in {self.aside} now: delete them where room is short"
            )
        return lines


def mend_checkpoints(folder: Path, placement: PlacementTable) -> Mended:
    """Makes policy and critic go on behind the last step that both have whole.

    Args:
        folder: of a job's checkpoints; nobody may be writing there.
        placement: on which they were written.

    Raises:
        StorageError: it cannot be read or written.
    """
    parts = [part for name in (ACTOR, CRITIC) if (part := folder / name).is_dir()]
    if not parts:
        return Mended(0)
    try:
        whole = [whole_checkpoints(part, placement) for part in parts]
        # Of a step's two the best: it was saved later, and knows that it is the best so far.
        tags = [{step: tag for tag, step in found.items()} for found in whole]
        common = set(tags[0]) & set(tags[1]) if len(parts) == 2 else set()
        if not common:
            return Mended(0, _put_aside(folder, parts))
        step = max(common)
        unfinished = [
            path
            for part, found in zip(parts, whole, strict=True)
            for path in sorted(part.iterdir())
            if _TAG.fullmatch(path.name) and found.get(path.name, step + 1) > step
        ]
        aside = _put_aside(folder, unfinished) if unfinished else None
        for part, of in zip(parts, tags, strict=True):
            write_text(part / LATEST, of[step])
    except OSError as error:
        raise StorageError(
            f"cannot mend the checkpoints in {folder}: {error.filename or ''} {error.strerror}"
        ) from error
    return Mended(step, aside)


def whole_checkpoints(part: Path, placement: PlacementTable) -> dict[str, int]:
    """Steps of the checkpoints that a crash has not cut short, by tag, the last one last.

    Args:
        part: the folder of the policy, or of the critic.
        placement: on which they were written.
    """
    found: dict[str, int] = {}
    for path in part.glob("*global_step*"):
        named = _TAG.fullmatch(path.name)
        if named is not None and _is_whole(path, placement):
            found[path.name] = int(named.group(2))
    # "global_step20" comes before "best_global_step20".
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0].startswith("best_"))))


def _is_whole(path: Path, placement: PlacementTable) -> bool:
    """By the files that DeepSpeed names in `_get_zero_ckpt_name` and `_get_ckpt_name`.

    Each GPU writes a part of the optimiser, and with ZeRO-3 one of the weights, too.
    """
    if not (path / METRIC_NAME).is_file():
        return False
    weights = placement.gpus if placement.zero_stage == 3 else 1
    return (
        len(list(path.glob("*_optim_states.pt"))) == placement.gpus
        and len(list(path.glob("*_model_states.pt"))) == weights
    )


def _put_aside(folder: Path, paths: list[Path]) -> Path:
    """Out of the way of OpenRLHF, which counts and deletes what lies beside its checkpoints."""
    number = 1
    while (aside := folder / f"unfinished-{number}").exists():
        number += 1
    for path in paths:
        place = aside / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    return aside
