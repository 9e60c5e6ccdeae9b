"""Documents of a run: files that hold one JSON object, which names its schema.

A reader refuses what it does not know instead of guessing, and says so in one line.

    manifest = read_document(Path("runs/demo"), "manifest.json", "corl-bench/manifest@1")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corl_bench.errors import ConfigError, StorageError


def read_document(run_dir: Path, name: str, schema: str) -> dict[str, Any]:
    """The JSON object in a file of a run directory.

    Raises:
        ConfigError: there is no such file, or it is not a JSON object of this schema.
        StorageError: it cannot be read.
    """
    path = run_dir / name
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{run_dir} holds no run: {name} is missing") from error
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply to be read") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise ConfigError(
            f"{path}: its schema is {found!r}, this version of corl-bench reads {schema}"
        )
    return dict(document)
