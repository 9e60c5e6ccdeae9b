r"""Regular expressions that are compiled when they are first used.

Grading knows some two hundred and forty of them, and most answers need two dozen: compiling all
of them as modules are imported would be a tenth of a second of every start.

    >>> WORDS = regex(r"\w+")
    >>> WORDS.findall("two words")
    ['two', 'words']
"""

from __future__ import annotations

import re
from typing import Any, cast


def regex(source: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` gives, which is called with the first use of a method.

    It stands where a module keeps an expression and calls its methods; what asks for the type of
    a pattern (`re.sub(pattern, …)`, `copy`, `pickle`) needs `re.compile`.

    Args:
        source: the expression. One that is wrong is noticed at its first use alone, so what uses
            it needs a test.
        flags: of module `re`.
    """
    return cast("re.Pattern[str]", _Later(source, flags))


class _Later:
    """Stands for a pattern; whatever is asked of it is the pattern's own from then on."""

    def __init__(self, source: str, flags: int) -> None:
        self.pattern = source  # expressions are built of others: that needs no compiling
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        # The second attribute that is asked for finds the pattern in the cache of `re`.
        found = getattr(re.compile(self.pattern, self._flags), name)
        setattr(self, name, found)
        return found
