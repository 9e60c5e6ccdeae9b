"""A study as one HTML page that needs nothing else.

path = write_page(study, config, Path("runs/quickstart/study-transfer.html"))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from corl_bench.files import write_text
from corl_bench.money.amounts import display_usd
from corl_bench.report.figures import interval, percent, rough_percent
from corl_bench.report.pages import open_templates, page_file, policy_for
from corl_bench.report.provenance import facts
from corl_bench.text import well_formed
from corl_train.studies.study import Row, Study
from corl_train.studies.table import called, sampled

_PACKAGE = "corl_train.studies"


def write_page(study: Study, config: Mapping[str, Any], out: Path) -> Path:
    """Renders a study.

    Args:
        study: what was found.
        config: of the training run, for whoever wants to repeat it.
        out: file to write; it appears whole or not at all.

    Returns:
        The file.

    Raises:
        StorageError: it cannot be written.
    """
    from markupsafe import Markup

    templates = open_templates(
        _PACKAGE,
        percent=percent,
        rough_percent=rough_percent,
        interval=interval,
        usd=display_usd,
        called=called,
    )
    script = page_file("page.js")
    style = "\n".join((page_file("page.css"), page_file("report.css")))
    page = templates.get_template("study.html.j2").render(
        study=study,
        sampled=sampled(study),
        whisker=whiskers(study),
        facts=facts(config),
        policy=policy_for(script),
        style=Markup(style),
        script=Markup(script),
    )
    write_text(out, well_formed(page))
    return out


def whiskers(study: Study) -> Callable[[Row], tuple[float, float, float, float] | None]:
    """Where a row's interval begins and ends, its share and the whole optimum stand, of 100 across.

    All rows of a study have one scale, which holds every interval and the optimum.

    Returns:
        Of a row: (low end, share, high end, optimum); None where the optimum is not known.
    """
    intervals = [row.interval for part in study.parts for row in part.rows if row.interval]
    least = min([1.0, *(low for low, _ in intervals)])
    span = (max([1.0, *(high for _, high in intervals)]) - least) or 1.0

    def place(share: float) -> float:
        return round(4 + 92 * (share - least) / span, 2)

    def places(row: Row) -> tuple[float, float, float, float] | None:
        if row.fraction is None or row.interval is None:
            return None
        low, high = row.interval
        return (place(low), place(row.fraction), place(high), place(1.0))

    return places
