"""The bench's command line with worker processes in the place of Ray's, for tests that kill it.

`python driver.py FOLDER WORKERS run --task …`: whatever engine is named, FOLDER's processes play.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster.crews import Processes
from corl_bench.cli import run
from corl_bench.cli.main import main


def processes(name: str, **options: Any) -> Processes:
    return Processes(Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    run.make_engine = processes  # type: ignore[assignment]
    main(sys.argv[3:])
