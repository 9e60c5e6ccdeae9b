"""lm-eval's model `corl`: any routing system on any `generate_until` task.

Importing this module imports lm-eval and registers the model there. lm-eval makes the model from
`--model_args`, asks it once, and asks it afterwards what to say about it.

    lm_eval.simple_evaluate(model=CorlModel(system="single:nano"), tasks=["corl_synth"])
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NoReturn

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from corl_bench.errors import ConfigError
from corl_bench.interop.lm_eval.costs import costs_of
from corl_bench.interop.lm_eval.questions import Chat, Request, read_requests
from corl_bench.interop.lm_eval.session import answer
from corl_bench.interop.lm_eval.settings import read_settings


class Response(str):
    """A response that knows what it cost, so that a task can report it as a metric."""

    list_cost_usd: Decimal | None = None


@register_model("corl")
class CorlModel(LM):  # type: ignore[misc]
    """A routing system as lm-eval sees a model.

    Args:
        **model_args: see `settings.ARGUMENTS`.

    Raises:
        CorlError: they are not usable.
    """

    tokenizer_name = "corl-chat"
    """lm-eval tells cached prompts apart by it."""

    last: ClassVar[CorlModel | None] = None
    """The one made last: lm-eval's command line does not hand out the model that it makes."""

    def __init__(self, **model_args: Any) -> None:
        super().__init__()
        self.settings = read_settings(model_args)
        self.costs: dict[str, Any] = {}
        CorlModel.last = self

    def generate_until(self, requests: Sequence[Request]) -> list[str]:
        """Answers all requests; each response is cut at the task's stop strings."""
        questions = read_requests(requests, self.settings.known)
        answers = answer(self.settings, questions, command=sys.argv)
        self.costs = costs_of(self.settings, questions, answers)
        return [
            _response(answered.text, None if answered.basis == "opaque" else answered.list_cost_usd)
            for answered in answers.each
        ]

    def loglikelihood(self, requests: Sequence[Request]) -> NoReturn:
        """Refuses: a routing system writes text and has no log-likelihoods."""
        _refuse(requests)

    def loglikelihood_rolling(self, requests: Sequence[Request]) -> NoReturn:
        """Refuses, as `loglikelihood` does."""
        _refuse(requests)

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Keeps the messages apart, for they go out as a conversation."""
        return Chat.of(chat_history)

    def set_cache_hook(self, cache_hook: object) -> NoReturn:
        """Refuses `--use_cache`, whose answers would not be on the ledger."""
        raise ConfigError(
            "--use_cache keeps answers without what they cost: leave it out, every reply is"
            " stored in out=DIR, and the same command asks for none twice"
        )

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes under `config`: the money."""
        return {"corl": self.costs}


def _response(text: str, list_cost_usd: Decimal | None) -> Response:
    response = Response(text)
    response.list_cost_usd = list_cost_usd
    return response


def _refuse(requests: Sequence[Request]) -> NoReturn:
    names = ", ".join(sorted({request.task_name or "-" for request in requests}))
    raise ConfigError(
        f"{names}: it compares log-likelihoods, and a routing system has none; choose tasks of"
        " the output type generate_until"
    )
