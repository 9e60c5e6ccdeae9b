"""Engines as OpenRLHF's agents see them, without vLLM: scripted, and a small real model.

What comes back has the shape of vLLM's outputs, and tells its stop strings as vLLM does: a turn
ends with the token that completes one, and its text with the string itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class SamplingParams:
    """The fields of vLLM's that are used, with its defaults."""

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    max_tokens: int | None = 16
    min_tokens: int = 0
    skip_special_tokens: bool = True
    logprobs: int | None = None
    stop: list[str] = field(default_factory=list)
    include_stop_str_in_output: bool = False


def wanted(**changes: Any) -> SamplingParams:
    """As `SamplesGenerator._dispatch_prompts_to_vllm` of OpenRLHF 0.11.2 asks for them."""
    given: dict[str, Any] = {
        "max_tokens": None,
        "min_tokens": 1,
        "skip_special_tokens": False,
        "logprobs": 1,
    }
    return SamplingParams(**(given | changes))


def output(ids: Sequence[int], text: str, finish: str, *, log_probs: Sequence[float]) -> Any:
    """A `RequestOutput` of vLLM."""
    tables = [{token: SimpleNamespace(logprob=p)} for token, p in zip(ids, log_probs, strict=True)]
    said = SimpleNamespace(token_ids=list(ids), text=text, finish_reason=finish, logprobs=tables)
    return SimpleNamespace(outputs=[said])


@dataclass
class ScriptedEngine:
    """Says what a test tells it to.

    Args:
        tokenizer: of the conversation.
        turn: from the conversation's text to what is said next.
    """

    tokenizer: Any
    turn: Callable[[str], str]
    asked: list[tuple[list[int], Any]] = field(default_factory=list)
    """Prompts and parameters, as they came."""

    async def generate(
        self, prompt_token_ids: list[int], sampling_params: Any, multi_modal_data: Any = None
    ) -> Any:
        self.asked.append((prompt_token_ids, deepcopy(sampling_params)))
        text = self.turn(self.tokenizer.decode(prompt_token_ids, skip_special_tokens=False))
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        said: list[int] = []
        finish = "length"
        for token in ids:
            if sampling_params.max_tokens is not None and len(said) >= sampling_params.max_tokens:
                break
            said.append(token)
            so_far = self.tokenizer.decode(said, skip_special_tokens=False)
            if token == self.tokenizer.eos_token_id or any(
                stop in so_far for stop in sampling_params.stop
            ):
                finish = "stop"
                break
        return output(
            said,
            self.tokenizer.decode(said, skip_special_tokens=False),
            finish,
            log_probs=[-0.01 * (place + 1) for place in range(len(said))],
        )


@dataclass
class PolicyEngine:
    """A policy of Hugging Face as the engine; the weights of both are one."""

    policy: Any
    seed: int = 0
    _asked: int = 0

    async def generate(
        self, prompt_token_ids: list[int], sampling_params: Any, multi_modal_data: Any = None
    ) -> Any:
        from corl_train.policies.base import Speaking
        from corl_train.rollouts import Transcript

        self._asked += 1
        read = Transcript()
        read.read(prompt_token_ids)
        how = Speaking(
            max_tokens=sampling_params.max_tokens,
            stops=tuple(sampling_params.stop),
            temperature=sampling_params.temperature,
        )
        (said,) = self.policy.session().speak([read], how, [self.seed * 1000 + self._asked])
        text = self.policy.chat.tokenizer.decode(said.ids, skip_special_tokens=False)
        return output(said.ids, text, said.finish, log_probs=said.log_probs)
