"""Where the episodes of one rollout worker are made: the bench's own, played by OpenRLHF's engine.

The controller, the calls, the ledger, the verdict and the reward are those of `corl-bench run` and
of the trainer in process; only who speaks is another. Whatever goes wrong in a rollout ends in a
rollout: one with reward 0 whose tokens teach nothing where it is no episode of the bench. Nothing
is raised, for a single exception would end the training of all.

    stage = Stage(job, folder)
    response = await stage.roll_out(prompt, label, sampling, 8192, tokenizer, engine.generate)
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from corl_bench.errors import CapReachedError, ConfigError, StorageError
from corl_bench.experts.base import Pool, Provider, Request
from corl_bench.experts.caller import Answering, CallOutcome
from corl_bench.experts.pools import load_pool
from corl_bench.experts.providers import ProviderContext, make_provider, require_keys
from corl_bench.experts.simulation.book import ProblemBook
from corl_bench.experts.transport import Transport
from corl_bench.files import LineFile
from corl_bench.money.basis import CostBasis
from corl_bench.money.ledger import INTERRUPTED
from corl_bench.results import EpisodeRecord
from corl_bench.routers.controller import Controller
from corl_bench.routers.protocol import load_protocol
from corl_bench.runs.execute import GRADING_THREADS, make_episode
from corl_bench.runs.plan import Job as Wanted
from corl_bench.runs.plan import Plan
from corl_bench.tasks import LoadedTask, TaskSpec
from corl_bench.types import Problem
from corl_train.environment import SharedReplies
from corl_train.experts import Experts
from corl_train.openrlhf.engine import Engine, Generate, Talk
from corl_train.openrlhf.job import Job
from corl_train.openrlhf.label import Label, LabelError
from corl_train.openrlhf.logs import Bad, Call, Outcome, diary_line, figures
from corl_train.policies.chat import Chat
from corl_train.rewards import gate
from corl_train.setup import make_reward, own_model, require_own_name, require_trainable

LOG = logging.getLogger("corl_train.openrlhf")
DIARY = "rollouts"
"""Folder of the job's directory with a line for each rollout, one file a worker."""


class Stage:
    """One worker's episodes.

    Args:
        job: what they are made with.
        folder: the job's directory, where each worker keeps a diary; None keeps none.

    Raises:
        ConfigError: the job cannot be done like this; nothing was sent.
    """

    def __init__(self, job: Job, folder: Path | None = None) -> None:
        self.job = job
        pool = _pool_of(job)
        protocol = load_protocol(job.protocol)
        require_own_name(pool)
        require_trainable(protocol)
        # A turn that has failed is not asked for again: the engine's fault is the episode's.
        own = replace(
            own_model(job.name, job.usd_per_mtok, key="model.usd_per_mtok"), max_attempts=1
        )
        self.controller = Controller(f"controller:{job.name}", own, protocol)
        self._plan = Plan(
            tasks=(),
            pool=pool,
            systems=(self.controller,),
            budgets=job.named_budgets,
            samples=1,
            seed=job.seed,
            limit=None,
            mode="live",
        )
        self._reward = make_reward(job.reward, job.named_budgets)
        self._book = ProblemBook()
        self._transport = Transport()
        self._engine = Engine(timeout_s=job.turn_timeout_s)
        context = ProviderContext(
            pool=pool, transport=self._transport, seed=job.seed, book=self._book
        )
        providers: dict[str, Provider] = {
            expert.name: make_provider(expert, context) for expert in pool.experts
        }
        providers[own.name] = self._engine
        recordings = None if job.recordings is None else Path(job.recordings)
        experts = Experts(
            mode="replay" if job.experts == "replay" else "auto",
            recordings=recordings,
            is_shared=job.experts == "gateway",
        )
        self._desk = experts.open(pool)
        self._draws: dict[int, int] = {}
        self._calls: dict[int, list[Call]] = {}
        self._caller = _Noting(
            SharedReplies(self._desk.answering(providers, own.name), self._draws, {own.name}),
            self._calls,
            own.name,
        )
        self._experts = tuple(expert.name for expert in pool.experts)
        self._threads = ThreadPoolExecutor(GRADING_THREADS, thread_name_prefix="grading")
        self._chat: Chat | None = None
        self._rollouts = 0
        self._of_label: Counter[tuple[str, str]] = Counter()
        self._diary = None if folder is None else _open_diary(folder)

    async def aclose(self) -> None:
        """Gives back connections, files and threads; OpenRLHF's workers just end."""
        await self._transport.aclose()
        self._desk.__exit__(None, None, None)
        self._threads.shutdown()
        if self._diary is not None:
            self._diary.close()

    async def roll_out(
        self,
        prompt: str,
        label: str,
        sampling: Any,
        most_tokens: int,
        tokenizer: Any,
        generate: Generate,
    ) -> dict[str, Any]:
        """Makes one episode; whatever happens, there is a rollout, and it has the same keys.

        Args:
            prompt: the statement of a problem.
            label: a `Label`'s text.
            sampling: vLLM's `SamplingParams` as OpenRLHF wants them; not changed.
            most_tokens: of a rollout, prompt included.
            tokenizer: of the controller, with its chat template.
            generate: the engine.

        Returns:
            What `MultiTurnAgentExecutor.execute` of OpenRLHF 0.11.2 returns.
        """
        begun_s = time.monotonic()
        ending = _Ending()
        try:
            ending.label = Label.from_text(label)
            ending.talk = Talk(self._chat_of(tokenizer), generate, sampling, most_tokens)
            async with asyncio.timeout(self.job.episode_timeout_s):
                problem = ending.label.problem(prompt)
                ending.record = await self._play(ending.label, problem, ending.talk, ending.calls)
            self._check(ending.record, ending.talk)
            if ending.record.verdict == "error":
                # The engine's or a defect's: what experts do wrong the controller is told.
                ending.spoil("error", ending.record.detail)
        except LabelError as error:
            ending.spoil("label", str(error))
        except CapReachedError as error:
            ending.spoil("cap", str(error))
        except TimeoutError:
            ending.spoil("time", f"it took more than {self.job.episode_timeout_s:g} s")
        except Exception as error:
            ending.spoil("failed", f"{type(error).__name__}: {error}")
        outcome = self._outcome(ending)
        if outcome.bad:
            LOG.warning("a rollout is no episode (%s): %s", outcome.bad, outcome.detail)
        self._note(ending, outcome, seconds=time.monotonic() - begun_s)
        ids, log_probs, turns = _tokens(ending, prompt, tokenizer, most_tokens)
        return {
            "prompt": prompt,
            "label": label,
            "images": None,
            "mm_train_inputs": None,
            "reward": outcome.reward,
            "scores": outcome.score,
            "observation_tokens": ids,
            "action_ranges": turns,
            "rollout_log_probs": None if sampling.logprobs is None else log_probs,
            "truncated": ending.talk is not None and ending.talk.is_full,
            "extra_logs": figures(outcome, self.job.budgets, self._experts),
        }

    async def _play(
        self, label: Label, problem: Problem, talk: Talk, calls: list[Call]
    ) -> EpisodeRecord:
        """One episode, whose turns the engine says and whose calls are noted as they end."""
        task = self._task_of(label)
        rollout = self._rollouts
        self._rollouts += 1
        place = (problem.text, label.to_text())
        wanted = Wanted(task, problem, self.controller, label.budget, rollout)
        self._book.add([problem])
        self._draws[rollout] = label.draw(self._of_label[place])
        self._of_label[place] += 1
        self._calls[rollout] = calls
        self._engine.open(rollout, talk)
        try:
            record, names = await make_episode(wanted, self._plan, self._caller, self._threads)
        finally:
            self._engine.close(rollout)
            del self._draws[rollout], self._calls[rollout]
        self._desk.forget(names)
        return record

    def _task_of(self, label: Label) -> LoadedTask:
        """What an episode takes of its task: its name and its prompt."""
        if (prompt := self.job.prompts.get(label.task)) is None:
            raise ConfigError(f"the job has no prompt for task {label.task!r}")
        spec = replace(TaskSpec.of_file(label.task, kind=label.kind), prompt=prompt)
        return LoadedTask(
            spec=spec,
            split=spec.default_split,
            problems=(),
            digest="",
            digest_status="unpinned",
            source="labels",
            total=0,
        )

    def _check(self, record: EpisodeRecord, talk: Talk) -> None:
        """Raises where tokens and episode do not say the same."""
        own = self.controller.own_model.name
        said = [call.text for call in record.calls if call.expert == own and call.text is not None]
        if faults := talk.faults(said):
            raise AssertionError(faults)

    def _chat_of(self, tokenizer: Any) -> Chat:
        # Ray hands over another copy of the same tokenizer with every prompt.
        if self._chat is None:
            source = str(tokenizer.name_or_path)
            self._chat = Chat.of(tokenizer, ends=_ends_of(source), source=source)
        return self._chat

    def _outcome(self, ending: _Ending) -> Outcome:
        record, talk = ending.record, ending.talk
        budget = None if ending.label is None else ending.label.budget
        reward = score = 0.0
        if record is not None and not ending.bad:
            right, cost_usd = record.verdict == "correct", record.list_cost_usd
            budget_usd = record.budget_usd
            reward = self._reward(right=right, cost_usd=cost_usd, budget_usd=budget_usd)
            score = gate(right=right, cost_usd=cost_usd, budget_usd=budget_usd)
        return Outcome(
            reward=reward,
            score=score,
            budget=budget,
            turns=0 if talk is None else len(talk.turns),
            tokens=0 if talk is None else sum(talk.transcript.mask),
            calls=tuple(ending.calls),
            record=record,
            bad=ending.bad,
            detail=ending.detail,
        )

    def _note(self, ending: _Ending, outcome: Outcome, *, seconds: float) -> None:
        """A line of the diary; a full disk is no reason to end a training."""
        if self._diary is None:
            return
        try:
            self._diary.append([diary_line(ending.label, outcome, seconds=seconds)])
        except StorageError as error:
            LOG.warning("%s", error)


@dataclass(frozen=True, slots=True)
class _Noting:
    """Notes the calls of rollouts, so that those that end in the middle have theirs, too."""

    caller: Answering
    calls: Mapping[int, list[Call]]
    """Of each rollout that is under way."""
    own: str

    async def call(self, request: Request, *, call_id: str, episode: str) -> CallOutcome:
        calls = self.calls[request.sample]
        expert = request.expert.name
        try:
            outcome = await self.caller.call(request, call_id=call_id, episode=episode)
        except asyncio.CancelledError:
            calls.append(Call(expert, expert == self.own, INTERRUPTED, Decimal(0)))
            raise
        calls.append(Call(expert, expert == self.own, outcome.status, outcome.list_cost_usd))
        return outcome

    def stored(self, request: Request) -> CallOutcome | None:
        return self.caller.stored(request)

    def charge(
        self, name: str, what: str, usd: Decimal, basis: CostBasis, *, of: str | None
    ) -> None:
        self.caller.charge(name, what, usd, basis, of=of)


@dataclass(slots=True)
class _Ending:
    """How far a rollout has come."""

    label: Label | None = None
    talk: Talk | None = None
    calls: list[Call] = field(default_factory=list)
    record: EpisodeRecord | None = None
    bad: Bad = ""
    detail: str = ""

    def spoil(self, bad: Bad, detail: str) -> None:
        """It is no episode, and why."""
        self.bad, self.detail = bad, " ".join(detail.split())[:500]


def _tokens(
    ending: _Ending, prompt: str, tokenizer: Any, most: int
) -> tuple[list[int], list[float], list[tuple[int, int]]]:
    """Tokens, their log-probabilities and the turns of a rollout; no turns where it is bad.

    What was read behind the last turn teaches nothing and is left out.
    """
    talk = ending.talk
    if talk is not None and talk.turns:
        end = talk.turns[-1][1]
        ids = talk.transcript.ids[:end]
        if ending.bad:
            return ids, [0.0] * len(ids), []
        return ids, talk.transcript.log_probs[:end], list(talk.turns)
    # OpenRLHF cannot do with nothing: what would have been read, or the bare prompt.
    ids = list(talk.transcript.ids) if talk is not None else []
    if not ids:
        with contextlib.suppress(Exception):  # whatever a tokenizer makes of what is no text
            ids = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    ids = [*ids[: max(most, 2)], *[0] * (2 - len(ids))]
    return ids, [0.0] * len(ids), []


def _ends_of(source: str) -> list[int]:
    """Tokens that end a turn by the model's own configuration, as the engine takes them too."""
    from transformers import GenerationConfig

    try:
        ends = GenerationConfig.from_pretrained(source, local_files_only=True).eos_token_id
    except (OSError, ValueError):
        return []
    return ends if isinstance(ends, list) else [] if ends is None else [ends]


def _pool_of(job: Job) -> Pool:
    """The job's pool, if its experts can be asked where the job says.

    Raises:
        ConfigError: they cannot.
    """
    pool = load_pool(job.pool, price_date=job.price_date)
    if job.experts == "simulated" and Experts().billed(pool):
        raise ConfigError(
            f"pool {pool.name!r} has experts that somebody bills: share it with `corl-bench pool"
            " share` and take its pool file with experts = gateway, or replay recordings"
        )
    if job.experts == "gateway":
        unfit = [
            e.name
            for e in pool.experts
            if e.shared is None and (e.provider != "openai" or not e.send_seed)
        ]
        if unfit:
            raise ConfigError(
                f"pool {pool.name!r}: {', '.join(unfit)} would not be asked through the gateway:"
                " take the pool file that `corl-bench pool share` has written"
            )
        require_keys(pool.experts)
    return pool


def _open_diary(folder: Path) -> LineFile:
    path = folder / DIARY
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    return LineFile.open(path / f"{socket.gethostname()}-{os.getpid()}.jsonl")
