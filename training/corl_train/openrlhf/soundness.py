"""Whether rollouts may be learned from, or a checkpoint be chosen by them.

OpenRLHF trains on a batch whatever it is. One that the spending cap has cut short would teach not
to call experts, one in which an expert does not answer not to call *that* expert, and one whose
rollouts have mostly run out of time says nothing of those that are missing. So each expert is
judged by its own calls, however few of all they are, and what is too little to tell is kept for
the batches that follow. Validations are judged as well: they choose the best checkpoint.

    judge = Judge()
    judge.require_sound(samples)        # of every batch, before anything is learned from it
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corl_bench.errors import CapReachedError, CorlError
from corl_train.openrlhf.logs import OF_EXPERTS, PREFIX

MOST_FAILED_CALLS = 0.5
"""Share of an expert's calls that may fail."""
MOST_BAD_ROLLOUTS = 0.1
"""Share of the rollouts that may end without an episode: time up, a failed engine, a defect. Of
eight engines that is less than one."""
FEWEST = 20
"""Calls or rollouts below which a share says nothing yet."""

_EXPERT = re.compile(rf"{re.escape(OF_EXPERTS)}/(.+)/calls")


class UnsoundBatchError(CorlError):
    """Rollouts that nothing can be learned from; the policy is as it was."""

    exit_code = 1


@dataclass(slots=True)
class _Count:
    """Since it was last judged."""

    of: float = 0.0
    failed: float = 0.0

    def add(self, of: float, failed: float) -> None:
        self.of += of
        self.failed += failed

    def exceeds(self, share: float) -> bool:
        """Whether more than a share has failed; begins anew once there was enough to tell."""
        if self.of < FEWEST:
            return False
        if self.failed > share * self.of:
            return True
        self.of = self.failed = 0.0
        return False


class Judge:
    """Looks at one batch after the other, in the process that learns from them."""

    def __init__(self) -> None:
        self._rollouts = _Count()
        self._experts: defaultdict[str, _Count] = defaultdict(_Count)

    def require_sound(self, samples: Sequence[Any]) -> None:
        """Refuses rollouts that would teach what is not so.

        Args:
            samples: OpenRLHF's experiences of a batch, one rollout each, with the agent's logs.
                Those of another agent are nobody's to judge but for their silence.

        Raises:
            CapReachedError: the spending cap has cut some of them short.
            UnsoundBatchError: none has said anything, too many are no episode, or an expert
                fails.
        """
        if not samples:
            return
        if cut := _total(samples, f"{PREFIX}/cap"):
            raise CapReachedError(
                f"the spending cap has cut {cut:.0f} of {len(samples)} rollouts short: raise it and"
                " launch the same job again, it goes on from its checkpoint"
            )
        if not sum(float(sample.action_mask.sum()) for sample in samples):
            raise UnsoundBatchError(
                f"none of {len(samples)} rollouts has said anything: the job's rollouts/*.jsonl"
                " say why"
            )
        self._rollouts.add(len(samples), _total(samples, f"{PREFIX}/bad"))
        if self._rollouts.exceeds(MOST_BAD_ROLLOUTS):
            raise UnsoundBatchError(
                f"{self._rollouts.failed:.0f} of {self._rollouts.of:.0f} rollouts are no episodes:"
                " the job's rollouts/*.jsonl say why; launch the same job again when it is mended,"
                " it goes on from its checkpoint"
            )
        for name in _experts(samples):
            calls = self._experts[name]
            calls.add(
                _total(samples, f"{OF_EXPERTS}/{name}/calls"),
                _total(samples, f"{OF_EXPERTS}/{name}/failed"),
            )
            if calls.exceeds(MOST_FAILED_CALLS):
                raise UnsoundBatchError(
                    f"{calls.failed:.0f} of {calls.of:.0f} calls to expert {name} have failed: see"
                    " that it answers (`corl-bench pool check`) and launch the same job again, it"
                    " goes on from its checkpoint"
                )


def _experts(samples: Sequence[Any]) -> list[str]:
    """Names of those that the agent's logs know; the same in every rollout."""
    return [found[1] for key in samples[0].info if (found := _EXPERT.fullmatch(key))]


def _total(samples: Sequence[Any], key: str) -> float:
    return sum(float(sample.info[key]) for sample in samples if key in sample.info)
