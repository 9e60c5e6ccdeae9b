"""A policy that says what a test tells it, byte by byte; a controller and a task to go with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from corl_bench.experts.base import ExpertSpec, Sampling
from corl_bench.money.prices import Price
from corl_bench.routers.controller import Controller
from corl_bench.routers.protocol import load_protocol
from corl_bench.tasks import LoadedTask, load_task
from corl_train.policies.base import Said, Scores, Speaking
from corl_train.rollouts import Transcript
from servers.fault_server import FaultServer
from servers.threads import in_thread


@dataclass
class ScriptedPolicy:
    """Tokens are bytes; a conversation of more than `context` of them has no room."""

    turn: Callable[[Sequence[str]], str]
    """From the messages so far to the next one."""
    context: int = 100_000
    batches: list[list[str]] = field(default_factory=list)
    """Openings of the conversations that were spoken in at once."""

    @property
    def module(self) -> nn.Module:
        raise NotImplementedError

    def read(self, role: str, text: str, behind: Sequence[int] = ()) -> list[int]:
        return list(text.encode())

    def spell(self, text: str, stops: tuple[str, ...]) -> list[int]:
        return list(text.encode())

    def session(self) -> ScriptedPolicy:
        return self

    def speak(
        self, transcripts: Sequence[Transcript], how: Speaking, seeds: Sequence[int]
    ) -> list[Said]:
        self.batches.append([transcript.texts[0] for transcript in transcripts])
        said = []
        for transcript in transcripts:
            if len(transcript.ids) >= self.context:
                said.append(Said([], [], "", "context"))
                continue
            text = self.turn(transcript.texts)
            ids = list(text.encode())
            said.append(Said(ids, [-0.5] * len(ids), text, "stop"))
        return said

    def score(self, ids: Tensor, mask: Tensor, *, distributions: bool = True) -> Scores:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        raise NotImplementedError


def calls_then_answers(*experts: str, answer: str = "<answer>7</answer>") -> ScriptedPolicy:
    """Calls each expert once, with the problem as it stands, and answers."""

    def turn(texts: Sequence[str]) -> str:
        made = len(texts) // 2
        return f'<call expert="{experts[made]}"></call>' if made < len(experts) else answer

    return ScriptedPolicy(turn)


def controller(protocol: str = "corl") -> Controller:
    """Whose own model is in process and costs a dollar a million tokens."""
    own = ExpertSpec(
        name="controller",
        provider="corl-train",
        model="test",
        price=Price("test", date(2026, 1, 1), "test", Decimal(1), Decimal(1)),
        role="self",
        sampling=Sampling(max_output_tokens=1),
        max_concurrency=1_000,
    )
    return Controller("controller:test", own, load_protocol(protocol))


def sums(folder: Path, count: int = 4) -> LoadedTask:
    """A task of problems like 'What is 1 + 10?'."""
    path = folder / "sums.jsonl"
    path.write_text(
        "".join(f'{{"problem": "What is {n} + 10?", "answer": "{n + 10}"}}\n' for n in range(count))
    )
    return load_task(str(path))


def serving(**options: Any) -> AbstractContextManager[FaultServer]:
    """A `FaultServer` with these options, in a thread."""
    return in_thread(lambda: FaultServer(**options))
