"""What of its environment a process hands to one that it starts: no keys, unless it needs them.

Invariant: `without_keys_in` leaves out every variable that a pool names for a key, and every one
whose name says that it holds a secret; `for_computing` lets through only what a Python that
computes has to know, so a key under any name stays behind.

    >>> without_keys_in({"PATH": "/bin", "OPENAI_API_KEY": "k", "MINE": "k"}, {"MINE"})
    {'PATH': '/bin'}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_SECRET = re.compile(
    r"(?:^|_)(?:API_?KEY|ACCESS_KEY|SECRET\w*|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|KEY)(?:_ID)?$",
    re.IGNORECASE,
)
_COMPUTING = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|USER|LOGNAME|SYSTEMROOT|VIRTUAL_ENV"
    r"|PYTHON\w*|LD_\w+|DYLD_\w+|\w+_NUM_THREADS|COVERAGE_\w+"
)


def without_keys_in(
    environment: Mapping[str, str], names: Collection[str] = frozenset()
) -> dict[str, str]:
    """The environment without secrets, for a program that may need anything else in it.

    Args:
        environment: as it is here.
        names: variables that hold keys, whatever they are called.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in names and not _SECRET.search(name)
    }


def for_computing(environment: Mapping[str, str]) -> dict[str, str]:
    """The few variables that a worker of ours needs, which computes and reaches nobody."""
    return {name: value for name, value in environment.items() if _COMPUTING.fullmatch(name)}
