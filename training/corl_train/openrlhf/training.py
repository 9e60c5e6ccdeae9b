"""The driver of a job: OpenRLHF's own, with our corrections in every process.

It takes the arguments of `openrlhf.cli.train_ppo_ray`, and is what `ray job submit` runs in its
place. Under `ray job submit` the job's runtime environment names the setup hook by which Ray's
workers are corrected; started by itself the driver names it.

    python -m corl_train.openrlhf.training --actor.model_name_or_path … --train.agent_func_path …
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from corl_bench.errors import ConfigError, CorlError
from corl_train.openrlhf import corrections, workers
from corl_train.openrlhf.command import SETUP_HOOK

_DRIVER = "openrlhf.cli.train_ppo_ray"
_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray where a job was submitted, with its runtime environment."""


def main(arguments: Sequence[str]) -> int:
    """Trains.

    Args:
        arguments: OpenRLHF's.

    Returns:
        0, or the exit code of what has stopped it: 3 for the spending cap.

    Raises:
        Exception: whatever has gone wrong otherwise, as OpenRLHF shows it.
    """
    try:
        workers.enter()  # what Ray has done in all other processes
        _require_version()
        _connect()
        before, sys.argv = sys.argv, [_DRIVER, *arguments]
        try:
            runpy.run_module(_DRIVER, run_name="__main__", alter_sys=True)
        finally:
            sys.argv = before
    except CorlError as error:
        # Ray's copy of an error says where it was raised, line by line; its cause says what.
        print(f"error: {getattr(error, 'cause', error)}", file=sys.stderr)
        return error.exit_code
    return 0


def _require_version() -> None:
    try:
        found = version("openrlhf")
    except PackageNotFoundError:
        found = "not installed"
    if found != corrections.VERSION:
        raise ConfigError(
            f"OpenRLHF is {found}, and what is corrected in it is"
            f" {corrections.VERSION}'s: pip install openrlhf=={corrections.VERSION}"
        )


def _connect() -> None:
    import ray

    if _SUBMITTED not in os.environ and not ray.is_initialized():
        ray.init(runtime_env={"worker_process_setup_hook": SETUP_HOOK})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
