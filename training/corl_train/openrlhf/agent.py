"""The agent: the file for OpenRLHF's `--train.agent_func_path`.

OpenRLHF 0.11.2 loads it by its path in every rollout worker (`_load_agent_executor` in
trainer/ray/vllm_engine.py) and awaits `execute` once for each sample of each prompt, all in the
worker's one event loop. The episodes are those of `stage`; what they are made with is the job
that the environment variable `CORL_JOB` names. Whatever a rollout meets, `execute` returns: an
exception would end the training. A job that cannot be done is told at once, when the worker
starts.

    argv += ["--train.agent_func_path", str(agent_path())]
"""

from __future__ import annotations

import os
from typing import Any

from openrlhf.utils.agent import AgentExecutorBase

from corl_train.openrlhf.job import job_of_environment
from corl_train.openrlhf.stage import Stage


class AgentExecutor(AgentExecutorBase):  # type: ignore[misc]  # OpenRLHF has no types
    """What OpenRLHF asks for rollouts."""

    def __init__(self) -> None:
        job, folder = job_of_environment(os.environ)
        self.stage = Stage(job, folder)

    async def execute(
        self,
        prompt: str,
        label: str,
        sampling_params: Any,
        max_length: int,
        hf_tokenizer: Any,
        llm_engine: Any,
        images: Any = None,
    ) -> dict[str, Any]:
        """One rollout, as `MultiTurnAgentExecutor.execute` returns it; see `Stage.roll_out`.

        Args:
            prompt: a problem's statement.
            label: a `Label`'s text.
            sampling_params: shared with the prompt's other samples, so it is only read.
            max_length: `--data.max_len`.
            hf_tokenizer: of the controller.
            llm_engine: the worker itself, for its `generate`.
            images: none; a controller reads text.
        """
        return await self.stage.roll_out(
            prompt, label, sampling_params, max_length, hf_tokenizer, llm_engine.generate
        )
