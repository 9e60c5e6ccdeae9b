"""Rollouts of the agent with vLLM's own engine, in a Python that has vLLM; prints them as JSON.

python vllm_rollouts.py MODEL PROTOCOL
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from corl_train.openrlhf.stage import Stage
from training.openrlhf.jobs import a_job, label, problems

MOST = 1024


async def main(folder: str, protocol: str) -> None:
    import vllm
    from transformers import AutoTokenizer
    from vllm.inputs import TokensPrompt

    # As `create_vllm_engines` of OpenRLHF 0.11.2 makes it, but for what a CPU cannot.
    arguments = vllm.AsyncEngineArgs(
        model=folder,
        max_model_len=MOST,
        dtype="float32",
        enforce_eager=True,
        enable_prefix_caching=True,
        logprobs_mode="processed_logprobs",
        max_logprobs=1,
        seed=1,
    )
    llm = vllm.AsyncLLMEngine.from_engine_args(arguments)
    numbers = count()
    said: list[dict[str, Any]] = []

    async def generate(ids: list[int], how: Any) -> Any:
        """As `RolloutRayActor.generate`."""
        final = None
        request = TokensPrompt(prompt_token_ids=ids)
        async for output in llm.generate(request, how, request_id=str(next(numbers))):
            final = output
        assert final is not None
        one = final.outputs[0]
        ended = {"finish": one.finish_reason, "reason": one.stop_reason, "max": how.max_tokens}
        said.append({"text": one.text, "ids": list(one.token_ids), **ended})
        return final

    # As `SamplesGenerator._dispatch_prompts_to_vllm`.
    sampling = vllm.SamplingParams(
        temperature=1.0,
        top_p=1.0,
        top_k=-1,
        max_tokens=None,
        min_tokens=1,
        skip_special_tokens=False,
        logprobs=1,
    )
    before = repr(sampling)
    stage = Stage(a_job(protocol=protocol))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rollouts = await asyncio.gather(
        *(
            stage.roll_out(p.text, label(p), sampling, MOST, tokenizer, generate)
            for p in problems(3)
            for _ in range(2)
        )
    )
    await stage.aclose()
    llm.shutdown()
    print(json.dumps({"same": repr(sampling) == before, "rollouts": rollouts, "said": said}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
