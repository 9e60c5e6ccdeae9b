"""Where an amount of money comes from, and who may be ranked by it.

Most costs are *metered*: tokens that a provider counted, at a dated price. A system that routes
by itself, or whose decisions cost something, brings others. Each is kept with its basis from the
ledger to the last table, and sums are only as sure as the least sure of their parts.

=================  =========================================================================
basis              the amount is
=================  =========================================================================
`metered`          counted tokens at a dated price with a source
`stated`           a fee that the user states, for each call or token
`self_reported`    what the routing system says that it cost; nobody has checked it
`opaque`           known to nobody; the worst case stands apart, as unsettled
=================  =========================================================================

    >>> weakest(["metered", "self_reported", "stated"])
    'self_reported'
    >>> is_known("self_reported")
    False
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

CostBasis = Literal["metered", "stated", "self_reported", "opaque"]
COST_BASES: tuple[CostBasis, ...] = ("metered", "stated", "self_reported", "opaque")
"""From the surest to the least sure."""

BASIS_WORDS: Mapping[CostBasis, str] = {
    "metered": "metered",
    "stated": "with stated fees",
    "self_reported": "self-reported",
    "opaque": "opaque",
}


def weakest(bases: Iterable[CostBasis]) -> CostBasis:
    """The least sure of several bases; `metered` where there is none, for nothing was spent."""
    return COST_BASES[max(map(COST_BASES.index, bases), default=0)]


def is_known(basis: CostBasis) -> bool:
    """Whether an amount is accounted for, so that systems may be ranked by it.

    What a routing system says of itself and what nobody says are shown and never ranked.
    """
    return basis in ("metered", "stated")


def read_basis(text: object) -> CostBasis:
    """The basis that a file names.

    Raises:
        ValueError: it is none.
    """
    for basis in COST_BASES:
        if text == basis:
            return basis
    raise ValueError(f"{text!r} is no basis of a cost; there are {', '.join(COST_BASES)}")
