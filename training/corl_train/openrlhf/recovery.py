"""Checkpoints that a crash has cut short: what a job can go on from, and what it cannot.

OpenRLHF 0.11.2 saves policy and critic side by side, each into a folder of its own whose file
`latest` DeepSpeed writes last. A crash in between leaves a folder without it, from which OpenRLHF
loads nothing and ends (`init_checkpoint_states` in trainer/ppo_trainer.py then has no `episode`),
or a critic of another step than the policy. So before a job goes on both are pointed to the last
step that both have; where there is none they are put aside, and the job begins.

    mend_checkpoints(folder / "checkpoints")
"""

from __future__ import annotations

import re
from pathlib import Path

from corl_bench.errors import StorageError
from corl_bench.files import write_text

PARTS = ("_actor", "_critic")
LATEST = "latest"
_TAG = re.compile(r"(?:best_)?global_step(\d+)")


def mend_checkpoints(folder: Path) -> int:
    """Makes policy and critic go on from the same step.

    Args:
        folder: of a job's checkpoints.

    Returns:
        The step; 0 where the job begins.

    Raises:
        StorageError: it cannot be written.
    """
    parts = [folder / name for name in PARTS]
    if not any(part.exists() for part in parts):
        return 0
    named = [_named(part) for part in parts]
    if None not in named and len({_step(tag) for tag in named if tag}) == 1:
        return _step(named[0] or "")
    newest = min((_step(tag) for tag in named if tag), default=0)
    both = [_whole(part, up_to=newest) for part in parts]
    common = sorted(set(both[0]) & set(both[1]))
    if None in named or not common:
        _put_aside(folder, parts)
        return 0
    for part, tags in zip(parts, both, strict=True):
        write_text(part / LATEST, tags[common[-1]])
    return common[-1]


def _named(part: Path) -> str | None:
    """The tag that the part's last whole checkpoint has."""
    try:
        tag = (part / LATEST).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return tag if _TAG.fullmatch(tag) and (part / tag).is_dir() else None


def _whole(part: Path, *, up_to: int) -> dict[int, str]:
    """Tags of a part's checkpoints by step; all that are older than its last one are whole."""
    tags = [path.name for path in part.iterdir() if path.is_dir() and _TAG.fullmatch(path.name)]
    # Of a step's two, the regular one: it comes last here.
    return {_step(tag): tag for tag in sorted(tags) if _step(tag) <= up_to}


def _step(tag: str) -> int:
    found = _TAG.fullmatch(tag)
    return int(found.group(1)) if found else 0


def _put_aside(folder: Path, parts: list[Path]) -> None:
    """Nothing is deleted: whoever wants to can still look."""
    number = 1
    while any((folder / f"unfinished-{number}{part.name}").exists() for part in parts):
        number += 1
    for part in parts:
        if part.exists():
            try:
                part.rename(folder / f"unfinished-{number}{part.name}")
            except OSError as error:
                raise StorageError(f"cannot move {part}: {error.strerror}") from error
