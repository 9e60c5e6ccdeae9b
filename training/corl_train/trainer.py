"""A training run from recipe to controller: warm start, iterations, validation, checkpoints.

The same command on the same directory goes on where it stopped: every random choice follows from
the run's seed and the number of the iteration. On a CPU, on the same machine and with as many
threads, what comes out is the same bit for bit; the kernels of a GPU promise no such thing. What
is measured is appended to `metrics.jsonl`, a line an iteration, and some rollouts of every
validation to `samples.jsonl`.

    train(config, Path("runs/quickstart"), seed=0)
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from corl_bench.errors import CapReachedError
from corl_bench.experts.pools import cheapest_first
from corl_bench.files import LineFile, write_json
from corl_train.checkpoints import Checkpoint
from corl_train.config import Config
from corl_train.diagnosis import Finding, changes, diagnose
from corl_train.environment import Environment, Errand, draw_errands
from corl_train.evaluation import BudgetScore, rewarded, score_by_budget
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.feasibility import require_feasible
from corl_train.hardware import cpu_used_s, gpu_figures
from corl_train.interruption import Stop, StoppedEarlyError, stoppable
from corl_train.pointing import pointing_of
from corl_train.policies.base import Policy
from corl_train.ppo import TrainingDivergedError, update
from corl_train.rewards import Percentile, Reward
from corl_train.rollouts import Rollout, pad
from corl_train.run_directory import claim, price_date_of
from corl_train.run_files import CONFIG_NAME, METRICS_NAME, SAMPLES_NAME, read_metrics
from corl_train.run_lines import progress, sample, zero_groups
from corl_train.setup import Setup, make_reward, new_policy, prepare, write_controller
from corl_train.tracking import open_sinks
from corl_train.warmstart import Demonstrator, require_playable, verdicts_on, warm_up

SAMPLES_A_BUDGET = 2
"""Rollouts of a validation that are kept to be looked at."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training run came to."""

    folder: Path
    iterations: int
    finished: bool
    """False where it was interrupted; the same command goes on."""
    best_iteration: int
    best_reward: float
    """Mean over budgets of what evaluation counts, on the validation split."""
    warm_start_s: float
    """CPU seconds."""
    cpu_s: float
    """Of all processes that worked on it, imports and all; see `hardware.cpu_used_s`."""


def train(
    config: Config,
    folder: Path,
    *,
    seed: int,
    experts: Experts = ANY_EXPERTS,
    say: Say = lambda line: None,
    track: Sequence[str] = (),
) -> Trained:
    """Trains a controller, or goes on with it.

    A run that reaches its end or its spending cap, diverges, or is asked once to stop leaves a
    controller, from the warm start on. Whatever else ends it (a full disk, an error of the
    policy, a second signal, a kill) leaves its last checkpoint.

    Args:
        config: the recipe, expanded.
        folder: the run's directory.
        seed: of everything random.
        experts: where replies come from; what is billed is kept in `folder`.
        say: told what happens, a line at a time.
        track: where figures go besides the run's own files; see `tracking`.

    Raises:
        ConfigError: the directory holds another run or another process works there, or a name
            in the recipe is not usable.
        TrainingDivergedError: a loss is not a number; the last checkpoint stands.
        CapReachedError: the experts' spending cap leaves no room; all whole iterations are kept.
        StorageError: the directory cannot be written.
    """
    setup = prepare(config, price_date=price_date_of(folder))
    experts = replace(experts, folder=folder)
    experts.check(setup.pool)
    require_feasible(
        setup.pool,
        setup.budgets,
        task=setup.train,
        controller=setup.controller,
        recordings=experts.recordings,
        max_calls=setup.protocol.max_calls,
        say=say,
    )
    if config.warm_start.episodes:
        require_playable(setup.protocol)
    with ExitStack() as opened:
        # Before any book: two processes would each spend the whole cap.
        written = opened.enter_context(claim(folder, setup, experts, seed=seed))
        policy = new_policy(setup, seed=seed)
        environment = opened.enter_context(
            Environment(
                setup.pool,
                setup.train,
                (*setup.train.problems, *setup.validation.problems),
                setup.controller,
                policy,
                experts=experts,
                seed=seed,
            )
        )
        metrics = opened.enter_context(LineFile.open(folder / METRICS_NAME))
        # Nothing can be refused any more: the folder is this run's.
        write_json(folder / CONFIG_NAME, written)
        checkpoint = Checkpoint.load(folder)
        first = 0 if checkpoint is None else checkpoint.iteration + 1
        sinks = opened.enter_context(
            open_sinks(track, folder, written, first_iteration=first, say=say)
        )
        stop = opened.enter_context(stoppable(say))

        def note(line: dict[str, Any]) -> None:
            metrics.append([line])
            sinks.log(line)

        run = _Run(setup, folder, seed, policy, environment, note, say)
        try:
            run.begin(checkpoint, stop)
            while not run.is_finished and not stop.wanted:
                run.step()
                if run.iteration % config.schedule.checkpoint_every == 0:
                    run.save()
            run.save()
        except StoppedEarlyError:
            return run.result()
        except (TrainingDivergedError, CapReachedError) as error:
            # A roll-out has changed nothing; an update that has diverged has.
            if isinstance(error, CapReachedError) and run.is_warm:
                run.save()
            kept = run.keep_best() if run.best else "no controller yet"
            raise type(error)(f"iteration {run.under_way}: {error}; kept: {kept}") from error
        try:
            if not run.is_due:
                run.consider()
        finally:
            run.keep_best()
    return run.result()


class _Run:
    """The moving parts of one run."""

    def __init__(
        self,
        setup: Setup,
        folder: Path,
        seed: int,
        policy: Policy,
        environment: Environment,
        note: Callable[[dict[str, Any]], None],
        say: Say,
    ) -> None:
        self.setup, self.folder, self.seed = setup, folder, seed
        self.note, self.say = note, say
        self.config = setup.config
        self.reward: Reward = make_reward(self.config.reward)
        self.policy = self.reference = policy
        self.optimiser = torch.optim.AdamW(
            [p for p in self.policy.module.parameters() if p.requires_grad],
            lr=self.config.training.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )
        self._problems = {problem.id: problem for problem in self.setup.train.problems}
        self.iteration = 0
        self.under_way = 0
        """The iteration that is being made, or was last."""
        self.is_warm = False
        """There is a policy that a checkpoint can hold."""
        self.best: dict[str, Tensor] = {}
        """Weights, on the CPU: a GPU has no room for what is not used."""
        self.best_iteration = 0
        self.best_reward = -1.0
        self.warm_start_s = 0.0
        self._lines: list[dict[str, Any]] = []
        self._findings: list[Finding] = []
        self._cpu_before_s = 0.0
        self._environment = environment

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all processes that worked on this run."""
        return self._cpu_before_s + cpu_used_s()

    @property
    def is_finished(self) -> bool:
        return self.iteration >= self.config.training.iterations

    @property
    def is_due(self) -> bool:
        """Whether the schedule validates behind this iteration; behind the last one it does."""
        return self.is_finished or self.iteration % self.config.schedule.validate_every == 0

    def result(self) -> Trained:
        """What the run has come to."""
        return Trained(
            folder=self.folder,
            iterations=self.iteration,
            finished=self.is_warm and self.is_finished,
            best_iteration=self.best_iteration,
            best_reward=self.best_reward,
            warm_start_s=self.warm_start_s,
            cpu_s=self.cpu_s,
        )

    def begin(self, kept: Checkpoint | None, stop: Stop) -> None:
        """Takes up a checkpoint, or warms up a new policy and makes the line of iteration 0.

        Args:
            kept: the last checkpoint, if there is one.
            stop: leaves a warm start, of which there are no checkpoints.

        Raises:
            StoppedEarlyError: it was wanted.
        """
        self.reference = copy.deepcopy(self.policy)
        for parameter in self.reference.module.parameters():
            parameter.requires_grad_(False)
        if kept is None:
            self._warm_up(stop)
            self.reference.module.load_state_dict(self.policy.module.state_dict())
            self.is_warm = True
            self._end({"iteration": 0, "cpu_s": self.cpu_s, "train": []})
            # Behind its line, as ever: a run that is cut in between makes both again.
            self.save()
            return
        self._restore(kept)
        self.is_warm = True
        self.say(f"going on behind iteration {self.iteration}")
        if self.is_due and self._lines and "validation" not in self._lines[-1]:
            # The cap has cut it off. Of two lines of an iteration the later one counts.
            line = self._lines.pop()
            line.pop("findings", None)
            self._end(line)

    def step(self) -> None:
        """One iteration: roll out, reward, update; every so often validate."""
        how = self.config.training
        began_s = time.monotonic()
        self.under_way = self.iteration + 1
        rollouts = self._environment.roll_out(self._errands(), temperature=1.0)
        earned = [self._rewarded(rollout) for rollout in rollouts]
        if how.answer_weight:
            earned = [self._pointed(rollout) for rollout in earned]
        if isinstance(self.reward, Percentile):
            costs = [rollout.episode.list_cost_usd for rollout in rollouts]
            self.reward = self.reward.after(costs)
        batch = pad(earned)
        moved = update(
            self.policy,
            self.reference,
            self.optimiser,
            batch,
            how,
            progress=self.iteration / max(1, how.iterations - 1),
            rng=self._rng("shuffle"),
        )
        self.iteration += 1
        self._end(
            {
                "iteration": self.iteration,
                "cpu_s": round(self.cpu_s, 3),
                **asdict(moved),
                "zero_groups": zero_groups(earned),
                "tokens_per_s": int(batch.lengths.sum()) / (time.monotonic() - began_s),
                **gpu_figures(next(self.policy.module.parameters()).device),
                "train": [score.to_json() for score in self._scores(earned)],
            }
        )

    def _end(self, line: dict[str, Any]) -> None:
        """Validates where the schedule does, and notes the line, whether or not it came to that."""
        try:
            if self.is_due:
                rollouts = self._play_validation()
                with LineFile.open(self.folder / SAMPLES_NAME) as samples:
                    samples.append([sample(self.iteration, r) for r in self._some(rollouts)])
                scores = self._scores(rollouts)
                line["validation"] = [score.to_json() for score in scores]
                self._judge(scores)
        finally:
            if self.iteration:
                self.say(progress(line))
            self._diagnose(line)
            self.note(line)

    def _play_validation(self) -> list[Rollout]:
        """Greedy episodes on the validation split, each problem at each budget."""
        task = self.setup.validation
        problems = task.problems[: self.config.schedule.validation_problems]
        errands = [Errand(p, b, 0, task=task) for p in problems for b in self.setup.budgets]
        return [rewarded(r) for r in self._environment.roll_out(errands, temperature=0.0)]

    def consider(self) -> None:
        """Validates a policy that the schedule does not, because the run ends with it.

        It may be the one that is kept, but nothing of that is noted: a run that goes on from its
        checkpoint comes to what it would have come to without a break.
        """
        try:
            self._judge(self._scores(self._play_validation()))
        except CapReachedError:
            self.say("the cap leaves no room for a last validation: the last best one is kept")

    def save(self) -> None:
        """Writes a checkpoint."""
        Checkpoint(
            iteration=self.iteration,
            policy=self.policy.module.state_dict(),
            reference=self.reference.module.state_dict(),
            optimiser=self.optimiser.state_dict(),
            best=self.best,
            best_iteration=self.best_iteration,
            best_reward=self.best_reward,
            recent_usd=list(self.reward.recent_usd) if isinstance(self.reward, Percentile) else [],
            warm_start_s=self.warm_start_s,
            cpu_s=self.cpu_s,
        ).save(self.folder)

    def keep_best(self) -> str:
        """Writes the controller that did best on the validation split; says which it is.

        The policy has its weights from then on: there may be no room for two.
        """
        if self.best:
            self.policy.module.load_state_dict(self.best)
        write_controller(self.setup, self.policy, self.folder, seed=self.seed)
        return f"the controller of iteration {self.best_iteration}, in {self.folder}"

    def _restore(self, kept: Checkpoint) -> None:
        self.policy.module.load_state_dict(kept.policy)
        self.reference.module.load_state_dict(kept.reference)
        self.optimiser.load_state_dict(kept.optimiser)
        if isinstance(self.reward, Percentile):
            self.reward = replace(self.reward, recent_usd=tuple(kept.recent_usd))
        self.iteration = self.under_way = kept.iteration
        self.best, self.best_iteration = kept.best, kept.best_iteration
        self.best_reward, self.warm_start_s = kept.best_reward, kept.warm_start_s
        self._cpu_before_s = kept.cpu_s
        # Of what a cut run has measured beyond its checkpoint nothing counts.
        lines = read_metrics(self.folder)
        self._lines = [dict(line) for line in lines if line["iteration"] <= self.iteration]
        self._findings = diagnose(
            self._lines, self.setup.pool, iterations=self.config.training.iterations
        )

    def _judge(self, scores: Sequence[BudgetScore]) -> None:
        mean = sum(score.reward for score in scores) / len(scores)
        if mean > self.best_reward:
            self.best_reward, self.best_iteration = mean, self.iteration
            self.best = {
                name: weights.detach().to("cpu", copy=True)
                for name, weights in self.policy.module.state_dict().items()
            }

    def _diagnose(self, line: dict[str, Any]) -> None:
        """Adds what is wrong to the line, and says what has appeared or is over."""
        self._lines.append(line)
        found = diagnose(self._lines, self.setup.pool, iterations=self.config.training.iterations)
        appeared, gone = changes(self._findings, found)
        self._findings = found
        if found:
            line["findings"] = [asdict(finding) for finding in found]
        for finding in appeared:
            self.say(f"  ! {finding.kind}: {finding.what}. {finding.advice}")
        for finding in gone:
            self.say(f"  {finding.kind} is over")

    def _scores(self, rollouts: Sequence[Rollout]) -> list[BudgetScore]:
        names = [expert.name for expert in self.setup.pool.experts]
        return score_by_budget(rollouts, self.setup.budgets, names)

    def _some(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """A few of each budget, other problems each time."""
        chosen = []
        for budget in self.setup.budgets:
            own = [rollout for rollout in rollouts if rollout.episode.budget == budget.name]
            chosen += self._rng("samples").sample(own, min(SAMPLES_A_BUDGET, len(own)))
        return chosen

    def _rng(self, what: str) -> Random:
        digest = hashlib.sha256(f"{self.seed}|{self.iteration}|{what}".encode()).digest()
        return Random(int.from_bytes(digest[:8], "big"))

    def _errands(self) -> list[Errand]:
        """Problems drawn by the iteration's own dice, budgets in turn, a sample number for each.

        The warm start has the first iteration's numbers, with problems of its own.
        """
        how = self.config.training
        return draw_errands(
            self.setup.train.problems,
            self.setup.budgets,
            how.episodes,
            how.samples,
            first_sample=1 + self.iteration * how.episodes,
            rng=self._rng("problems"),
            share_replies=how.share_replies,
        )

    def _rewarded(self, rollout: Rollout) -> Rollout:
        value = self.reward(
            right=rollout.episode.verdict == "correct",
            cost_usd=rollout.episode.list_cost_usd,
            budget_usd=rollout.budget_usd,
        )
        return replace(rollout, reward=value)

    def _pointed(self, rollout: Rollout) -> Rollout:
        problem = self._problems[rollout.episode.problem_id]
        verdicts = verdicts_on(rollout.transcript.texts, problem)
        found = pointing_of(rollout.transcript, verdicts, self.policy, self.setup.protocol)
        return replace(rollout, pointing=found)

    def _warm_up(self, stop: Stop) -> None:
        how = self.config.warm_start
        if not how.episodes:
            return
        setup = self.setup
        experts = tuple(expert.name for expert in cheapest_first(setup.pool.experts))
        demonstrator = Demonstrator(
            self.policy,
            setup.protocol,
            experts,
            how.stop_rate,
            how.agreed_stop_rate,
            how.again_weight,
        )
        errands = draw_errands(
            setup.train.problems,
            setup.budgets,
            how.episodes,
            1,
            first_sample=1,
            rng=self._rng("demonstrations"),
        )
        played = [
            self._rewarded(rollout)
            for rollout in self._environment.roll_out(errands, temperature=1.0, policy=demonstrator)
        ]
        warm_up(demonstrator, played, setup, rng=self._rng("warm start"), say=self.say, stop=stop)
        self.warm_start_s = self.cpu_s
