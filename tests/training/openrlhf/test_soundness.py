"""What must not be trained on, nor choose a checkpoint, is refused with a line that says why.

That OpenRLHF's own classes ask is shown in `test_agent_oracle.py` and `test_training.py`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from corl_bench.errors import CapReachedError
from corl_train.openrlhf.soundness import FEWEST, Judge, UnsoundBatchError

torch = pytest.importorskip("torch")


def rollout(own: int = 3, *, bad: int = 0, cap: int = 0, **experts: tuple[int, int]) -> Any:
    """An experience of OpenRLHF's as far as it is looked at; experts by calls and failures."""
    logs = {"corl/bad": bad, "corl/cap": cap}
    for name, (calls, failed) in experts.items():
        logs |= {f"corl/experts/{name}/calls": calls, f"corl/experts/{name}/failed": failed}
    info = {name: torch.tensor([float(value)]) for name, value in logs.items()}
    return SimpleNamespace(action_mask=torch.tensor([[1] * own + [0] * 2]), info=info)


def test_a_batch_that_the_cap_has_cut() -> None:
    batch = [rollout(), rollout(own=0, cap=1, bad=1), rollout(own=0, cap=1, bad=1)]
    with pytest.raises(CapReachedError, match="2 of 3 rollouts") as stopped:
        Judge().require_sound(batch)
    assert stopped.value.exit_code == 3 and "checkpoint" in str(stopped.value)


def test_a_batch_that_says_nothing() -> None:
    with pytest.raises(UnsoundBatchError, match="none of 2"):
        Judge().require_sound([rollout(own=0), rollout(own=0)])
    Judge().require_sound([rollout(own=0), rollout(own=1)])


def test_a_dead_expert_among_three() -> None:
    """A third of all calls fail, and all of one expert's."""
    batch = [rollout(nano=(2, 0), mid=(2, 1), o3=(2, 2))] * 20
    with pytest.raises(UnsoundBatchError, match="40 of 40 calls to expert o3 have failed"):
        Judge().require_sound(batch)
    Judge().require_sound([rollout(nano=(2, 0), mid=(2, 1), o3=(2, 1))] * 20)  # half, no more


def test_an_expert_that_is_hardly_asked_is_judged_over_batches() -> None:
    """The policy learns not to ask it: then it is still found, and not by a single failure."""
    judge = Judge()
    batch = [rollout(nano=(1, 0), o3=(0, 0))] * 30 + [rollout(nano=(0, 0), o3=(1, 1))] * 5
    for _ in range(FEWEST // 5 - 1):
        judge.require_sound(batch)
    with pytest.raises(UnsoundBatchError, match="20 of 20 calls to expert o3"):
        judge.require_sound(batch)


def test_what_was_judged_is_over() -> None:
    """Failures of a bad hour do not add up over a whole training."""
    judge = Judge()
    judge.require_sound([rollout(o3=(4, 0))] * 10)
    with pytest.raises(UnsoundBatchError, match="24 of 40"):
        judge.require_sound([rollout(o3=(5, 3))] * 8)


def test_rollouts_that_are_no_episodes() -> None:
    batch = [rollout()] + [rollout(own=0, bad=1)] * 511
    with pytest.raises(UnsoundBatchError, match="511 of 512 rollouts are no episodes"):
        Judge().require_sound(batch)
    # An engine of eight that has died.
    with pytest.raises(UnsoundBatchError, match="64 of 512"):
        Judge().require_sound([rollout()] * 448 + [rollout(own=0, bad=1)] * 64)
    Judge().require_sound([rollout()] * 462 + [rollout(own=0, bad=1)] * 50)


def test_rollouts_of_another_agent_are_none_of_our_business() -> None:
    bare = SimpleNamespace(action_mask=torch.tensor([[1, 1]]), info={})
    Judge().require_sound([bare] * 40)
    Judge().require_sound([])
