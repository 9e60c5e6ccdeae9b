"""What our pages are made of: templates that escape, files beside them, and what a page may load.

Reports of runs, of trainings and the site of a board are drawn with the same style and scripts.
A page that stands alone makes no request: its content security policy allows inline style and
the one script that is in it, by its digest, and nothing else.

    template = open_templates("corl_bench.report", percent=percent).get_template("report.html.j2")
    template.render(policy=policy_for(script), script=Markup(script), ...)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

SHARED = "corl_bench.report"
"""Package whose files all pages may use."""
_FOLDER = "page"


def open_templates(package: str, **filters: Callable[..., Any]) -> Environment:
    """Templates of a package's folder `page`: what they are given is text, and has to be given.

    Args:
        package: dotted name.
        filters: by the name that templates use.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, _FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,  # a third of what compiling takes, for templates that are filled in once
    )
    environment.filters.update(filters)
    return environment


def page_file(name: str, package: str = SHARED) -> str:
    """The text of a style sheet or script in a package's folder `page`."""
    return (resources.files(package) / _FOLDER / name).read_text(encoding="utf-8")


def policy_for(script: str) -> str:
    """The content security policy of a page that stands alone with this script in it."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
