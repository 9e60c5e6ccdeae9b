"""A training run from recipe to controller: warm start, iterations, validation, checkpoints.

The same command on the same directory goes on where it stopped: every random choice follows from
the run's seed and the number of the iteration. On a CPU, on the same machine and with as many
threads, what comes out is the same bit for bit; the kernels of a GPU promise no such thing. What
is measured is appended to `metrics.jsonl`, a line an iteration, and some rollouts of every
validation to `samples.jsonl`.

    train(config, Path("runs/quickstart"), seed=0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corl_bench.errors import CapReachedError, ConfigError
from corl_bench.files import LineFile, write_json
from corl_bench.tasks import load_task
from corl_train.config import Config
from corl_train.course import Course
from corl_train.coverage import require_covered
from corl_train.environment import Environment
from corl_train.experts import ANY_EXPERTS, Experts
from corl_train.feasibility import require_feasible
from corl_train.judging import Judging
from corl_train.learner import Learner
from corl_train.ppo import TrainingDivergedError
from corl_train.runs.checkpoints import Checkpoint
from corl_train.runs.collecting import seldom_collecting
from corl_train.runs.directory import claim, identity_of, price_date_of
from corl_train.runs.files import CONFIG_NAME, METRICS_NAME
from corl_train.runs.interruption import StoppedEarlyError, stoppable
from corl_train.runs.tracking import open_sinks
from corl_train.setup import new_policy, prepare
from corl_train.warmstart import require_playable

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
    """Of all processes that worked on it, imports and all; see `runs.hardware.cpu_used_s`."""


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
        track: where figures go besides the run's own files; see `runs.tracking`.

    Raises:
        ConfigError: the directory holds another run or another process works there, or a name
            in the recipe is not usable.
        TrainingDivergedError: a loss is not a number; the last checkpoint stands.
        CapReachedError: the experts' spending cap leaves no room; all whole iterations are kept.
        StorageError: the directory cannot be written.
    """
    setup = prepare(config, price_date=price_date_of(folder))
    for left_out in setup.left_out:
        say(str(left_out))
    experts = replace(experts, folder=folder)
    experts.check(setup.pool)
    load_task(config.data.test)  # a name that is wrong shows now, not at the end
    require_covered(setup.pool, (setup.train, setup.validation), experts, say=say)
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
                judging=Judging.of_recipe(config.data),
            )
        )
        metrics = opened.enter_context(LineFile.open(folder / METRICS_NAME))
        # Nothing but a warm start can be refused any more: the folder is this run's.
        write_json(folder / CONFIG_NAME, written)
        run = identity_of(written)
        checkpoint = Checkpoint.load(folder, run=run)
        first = 0 if checkpoint is None else checkpoint.iteration + 1
        sinks = opened.enter_context(
            open_sinks(track, folder, written, first_iteration=first, say=say)
        )
        stop = opened.enter_context(stoppable(say))

        def note(line: dict[str, Any]) -> None:
            metrics.append([line])
            sinks.log(line)

        learner = Learner(setup, policy, environment, seed=seed)
        opened.enter_context(seldom_collecting())
        course = Course(folder, learner, run=run, note=note, say=say)
        try:
            course.begin(checkpoint, stop)
            while not course.is_finished and not stop.wanted:
                course.step()
                if course.iteration % config.schedule.checkpoint_every == 0:
                    course.save()
            course.save()
        except StoppedEarlyError:
            return _result(course)
        except ConfigError:
            if checkpoint is None:
                # Nothing was begun: the folder is free for what is mended.
                (folder / CONFIG_NAME).unlink()
            raise
        except (TrainingDivergedError, CapReachedError) as error:
            # A roll-out has changed nothing; an update that has diverged has.
            if isinstance(error, CapReachedError) and course.is_warm:
                course.save()
            kept = course.keep_best() if course.best else "no controller yet"
            raise type(error)(f"iteration {course.under_way}: {error}; kept: {kept}") from error
        try:
            if not course.is_due:
                course.consider()
        finally:
            course.keep_best()
    return _result(course)


def _result(course: Course) -> Trained:
    return Trained(
        folder=course.folder,
        iterations=course.iteration,
        finished=course.is_warm and course.is_finished,
        best_iteration=course.best_iteration,
        best_reward=course.best_reward,
        warm_start_s=course.warm_start_s,
        cpu_s=course.cpu_s,
    )
