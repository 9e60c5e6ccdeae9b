"""Rows of text in aligned columns, for commands that list things without a terminal's help."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def align(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Joins rows into lines whose columns stand two spaces apart.

    Args:
        rows: cells, the same number in every row; the headings are a row like others.
        right: numbers of the columns to align at their right edge.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
