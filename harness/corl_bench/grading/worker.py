"""The process in which `symbolic.settle` runs: `python -P -m corl_bench.grading.worker`.

One JSON line in (`[left, right]`, each a list of steps), one out (`equal`, `unequal`,
`unknown`, or `limit` where memory ran out). It dies by itself: of SIGPROF when a job takes
more CPU than allowed, of SIGALRM when it hangs, and when its input ends, which is also what
its parent's death looks like. So no worker outlives its parent, whatever killed it.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys

from corl_bench.grading.expression import Expression, Step


def main() -> None:
    """Answers jobs until the input ends. Arguments: CPU seconds, wall seconds, memory bytes."""
    cpu_s, wall_s, memory = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    _limit_memory(memory)
    # Imported before any clock runs: what a comparison may take must not depend on whether it
    # is this worker's first, nor a slow machine give every first one up.
    importlib.import_module("sympy")
    for line in sys.stdin:
        left, right = (_expression(steps) for steps in json.loads(line))
        outcome = _settle(left, right, cpu_s, wall_s)
        answers.write(outcome + "\n")
        answers.flush()


def _expression(steps: list[list[object]]) -> Expression:
    return tuple(Step(str(op), str(value), int(str(arity))) for op, value, arity in steps)


def _settle(left: Expression, right: Expression, cpu_s: float, wall_s: float) -> str:
    from corl_bench.grading.symbolic import settle

    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, wall_s)
    try:
        return settle(left, right)
    except (MemoryError, RecursionError):
        return "limit"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory(limit: int) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    ceiling = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
