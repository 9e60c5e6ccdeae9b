"""The errors a user can mend: one line each, with the fix in it, and the exit code they end in.

Anything raised as a `CorlError` reaches the terminal as a single line without a traceback.
Whatever happens *inside* an episode is not an error of the program but data: it becomes a
verdict and a ledger line (see `corl_bench.episode`).
"""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class CorlError(Exception):
    """A mistake that the user can mend; `str(error)` is one line that says what to do."""

    exit_code = 2

    def __str__(self) -> str:
        # Names out of files are part of many messages, and may hold the end of a line.
        return _LINE_ENDS.sub(" ", super().__str__())


class ConfigError(CorlError):
    """A file, an option or a name given by the user is not usable."""


class StorageError(ConfigError):
    """A file of the run cannot be read or written; it ends the run, never just an episode."""


class UnpricedModelError(CorlError, LookupError):
    """A model has no price at the date asked for; it is never priced at zero instead."""


class DigestMismatchError(CorlError):
    """Rows that were loaded are not the rows that the task pins."""


class ForeignEpisodeError(ConfigError, ValueError):
    """An episode is of a task, system or budget that its run does not have."""


class MissingExtraError(CorlError):
    """An optional dependency is needed; the message holds the command that installs it."""

    def __init__(self, extra: str, why: str) -> None:
        super().__init__(f"{why} needs an extra: pip install 'corl-bench[{extra}]'")
        self.extra = extra


class CapReachedError(CorlError):
    """The spending cap leaves no room for the next call; results so far are valid."""

    exit_code = 3
