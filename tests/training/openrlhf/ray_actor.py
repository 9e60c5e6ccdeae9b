"""A rollout worker as OpenRLHF has them, an actor of Ray with a stage of its own; no GPU."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from corl_train.openrlhf.job import Job
from corl_train.openrlhf.stage import Stage
from small_models import small_tokenizer
from training.openrlhf.engines import ScriptedEngine, wanted

TURN = "<|im_start|>assistant\n"
TURNS = ('<call expert="a"></call>', '<call expert="b"></call>', '<answer from="2"/>')
MOST_TOKENS = 2000


def _turn(text: str) -> str:
    return TURNS[text.count(TURN) - 1]


class Worker:
    """What `ray.remote` makes an actor of."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._stage = Stage(Job.model_validate(job))
        self._tokenizer = small_tokenizer()
        self._engine = ScriptedEngine(self._tokenizer, _turn)

    async def roll_out(self, asked: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
        """Rolls out all prompts and labels at once.

        Returns:
            What OpenRLHF logs of each.
        """
        made = await asyncio.gather(
            *(
                self._stage.roll_out(
                    prompt, label, wanted(), MOST_TOKENS, self._tokenizer, self._engine.generate
                )
                for prompt, label in asked
            )
        )
        return [response["extra_logs"] for response in made]
