"""The course of a training run: iterations, validations, what is noted of them, what is kept.

Of two lines of one iteration the later one counts, so a run that was cut anywhere goes on from
its checkpoint and comes to what it would have come to without a break.

    course = Course(folder, learner, run=identity, note=metrics_line, say=print)
    course.begin(Checkpoint.load(folder), stop)
    while not course.is_finished:
        course.step()
    course.keep_best()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from corl_bench.errors import CapReachedError
from corl_bench.files import LineFile
from corl_train.diagnosis import Finding, changes, diagnose
from corl_train.evaluation.scores import BudgetScore
from corl_train.learner import Learner
from corl_train.rollouts import Rollout
from corl_train.runs.checkpoints import Checkpoint, Halfway
from corl_train.runs.files import SAMPLES_NAME, read_metrics
from corl_train.runs.hardware import cpu_used_s
from corl_train.runs.interruption import Stop
from corl_train.runs.lines import progress, sample
from corl_train.setup import write_controller

SAMPLES_A_BUDGET = 2
"""Rollouts of a validation that are kept to be looked at."""


class Course:
    """How far a run has come, and the best that it has found.

    Args:
        folder: the run's directory, which is this process's own.
        learner: whose iterations these are.
        run: which one it is; see `runs.directory.identity_of`.
        note: takes the line of an iteration.
        say: told what happens.
    """

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        *,
        run: str,
        note: Callable[[dict[str, Any]], None],
        say: Callable[[str], None],
    ) -> None:
        self.folder, self.learner, self.run, self.note, self.say = folder, learner, run, note, say
        self.config = learner.config
        self.under_way = 0
        """The iteration that is being made, or was last."""
        self.is_warm = False
        """There is a policy that a checkpoint can hold."""
        self.best: dict[str, Tensor] = {}
        """Weights, on the CPU: a GPU has no room for what is not used."""
        self.best_iteration = 0
        self.best_reward = -1.0
        self.warm_start_s = 0.0
        self._cpu_before_s = 0.0
        self._lines: list[dict[str, Any]] = []
        self._findings: list[Finding] = []

    @property
    def iteration(self) -> int:
        """How many were made."""
        return self.learner.iteration

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

    def begin(self, kept: Checkpoint | None, stop: Stop) -> None:
        """Takes up a checkpoint, or warms up a new policy and makes the line of iteration 0.

        Args:
            kept: the last checkpoint, if there is one.
            stop: leaves a warm start; a long one goes on where it was left.

        Raises:
            StoppedEarlyError: it was wanted.
        """
        if kept is None:
            halfway = Halfway(self.folder, self.run, lambda: self.cpu_s)
            if (state := halfway.load()) is not None:
                self._cpu_before_s = state["cpu_s"]
            self.learner.warm_up(stop, self.say, halfway)
            if self.config.warm_start.episodes:
                self.warm_start_s = self.cpu_s
            self.is_warm = True
            self._end({"iteration": 0, "cpu_s": self.cpu_s, "train": []})
            # Behind its line, as ever: a run that is cut in between makes both again.
            self.save()
            halfway.forget()
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
        """One iteration; every so often it is validated."""
        self.under_way = self.iteration + 1
        figures = self.learner.step()
        self._end({"iteration": self.iteration, "cpu_s": round(self.cpu_s, 3), **figures})

    def consider(self) -> None:
        """Validates a policy that the schedule does not, because the run ends with it.

        It may be the one that is kept, but nothing of that is noted: a run that goes on from its
        checkpoint comes to what it would have come to without a break.
        """
        try:
            self._judge(self.learner.validated(self.learner.play_validation()))
        except CapReachedError:
            self.say("the cap leaves no room for a last validation: the last best one is kept")

    def save(self) -> None:
        """Writes a checkpoint."""
        learner = self.learner
        Checkpoint(
            run=self.run,
            iteration=self.iteration,
            policy=learner.policy.module.state_dict(),
            reference=learner.reference.module.state_dict(),
            optimiser=learner.optimiser.state_dict(),
            best=self.best,
            best_iteration=self.best_iteration,
            best_reward=self.best_reward,
            recent_usd=learner.recent_usd,
            warm_start_s=self.warm_start_s,
            cpu_s=self.cpu_s,
            prices={format(usd, "f"): price for usd, price in learner.prices.items()},
        ).save(self.folder)

    def keep_best(self) -> str:
        """Writes the controller that did best on the validation split; says which it is.

        The policy has its weights from then on: there may be no room for two.
        """
        learner = self.learner
        if self.best:
            learner.policy.module.load_state_dict(self.best)
        write_controller(learner.setup, learner.policy, self.folder, seed=learner.seed)
        return f"the controller of iteration {self.best_iteration}, in {self.folder}"

    def _restore(self, kept: Checkpoint) -> None:
        self.learner.restore(kept)
        self.under_way = kept.iteration
        self.best, self.best_iteration = kept.best, kept.best_iteration
        self.best_reward, self.warm_start_s = kept.best_reward, kept.warm_start_s
        self._cpu_before_s = kept.cpu_s
        # Of what a cut run has measured beyond its checkpoint nothing counts.
        lines = read_metrics(self.folder)
        self._lines = [dict(line) for line in lines if line["iteration"] <= self.iteration]
        self._findings = self._diagnosed()

    def _end(self, line: dict[str, Any]) -> None:
        """Validates where the schedule does, and notes the line, whether or not it came to that."""
        try:
            if self.is_due:
                rollouts = self.learner.play_validation()
                with LineFile.open(self.folder / SAMPLES_NAME) as samples:
                    samples.append([sample(self.iteration, r) for r in self._some(rollouts)])
                scores = self.learner.validated(rollouts)
                line["validation"] = [score.to_json() for score in scores]
                self._judge(scores)
        finally:
            if self.iteration:
                self.say(progress(line))
            self._tell_findings(line)
            self.note(line)

    def _some(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """A few of each budget, other problems each time."""
        chosen = []
        for budget in self.learner.setup.budgets:
            own = [rollout for rollout in rollouts if rollout.episode.budget == budget.name]
            chosen += self.learner.rng("samples").sample(own, min(SAMPLES_A_BUDGET, len(own)))
        return chosen

    def _judge(self, scores: Sequence[BudgetScore]) -> None:
        mean = sum(score.reward for score in scores) / len(scores)
        if mean > self.best_reward or self.config.schedule.keep == "last":
            self.best_reward, self.best_iteration = mean, self.iteration
            self.best = {
                name: weights.detach().to("cpu", copy=True)
                for name, weights in self.learner.policy.module.state_dict().items()
            }

    def _tell_findings(self, line: dict[str, Any]) -> None:
        """Adds what is wrong to the line, and says what has appeared or is over."""
        self._lines.append(line)
        found = self._diagnosed()
        appeared, gone = changes(self._findings, found)
        self._findings = found
        if found:
            line["findings"] = [asdict(finding) for finding in found]
        for finding in appeared:
            self.say(f"  ! {finding.kind}: {finding.what}. {finding.advice}")
        for finding in gone:
            self.say(f"  {finding.kind} is over")

    def _diagnosed(self) -> list[Finding]:
        iterations = self.config.training.iterations
        setup = self.learner.setup
        is_mean = self.config.data.spend == "mean"
        means_usd = {budget.name: budget.usd for budget in setup.budgets if is_mean}
        return diagnose(self._lines, setup.pool, iterations=iterations, means_usd=means_usd)
