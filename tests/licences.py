"""Writes docs/licences.md: under which licence everything stands that the extras bring.

    python tests/licences.py docs/licences.md       # in an environment with the extras installed

What is read is the metadata of the packages that are installed. A licence that asks for the same
licence of whatever is built with it (GPL, AGPL, SSPL and the like) in the core or in an extra that
users install to run or train ends the script with exit code 1; those that only ask it of their own
files (MPL, LGPL) are named.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[1]
SHOWN = ("core", "serve", "parquet", "datasets", "learned", "train", "hf", "lora", "tensorboard")
"""Extras whose packages install everywhere; those for clusters of GPUs are not listed."""
STRONG = re.compile(r"\b(?:A?GPL|SSPL|EUPL|CC-BY-NC|GNU (?:Affero )?General Public)", re.IGNORECASE)
WEAK = re.compile(r"\b(?:MPL|LGPL|Mozilla|Lesser General|EPL|CDDL)", re.IGNORECASE)


def wanted() -> dict[str, list[Requirement]]:
    """Requirements by extra, those of the core under `core`."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"core": project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(line) for line in extras[name]] for name in SHOWN}


def closure(requirements: list[Requirement], extras: dict[str, list[Requirement]]) -> set[str]:
    """Names of all packages that come with them.

    Raises:
        SystemExit: one of them is not installed here, so nobody knows what it brings.
    """
    found: set[str] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name == "corl-bench":
            waiting += [(inner, "") for asked in requirement.extras for inner in extras[asked]]
            continue
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            raise SystemExit(f"{name} is not installed: `tox -e licences` installs all") from None
        found.add(name)
        for line in needs:
            waiting += [(Requirement(line), asked) for asked in ("", *requirement.extras)]
    return found


def licence_of(name: str) -> str:
    """In a few words, from the most exact place that a package fills in."""
    facts = metadata.metadata(name)
    if expression := facts.get("License-Expression"):
        return str(expression)
    known = [c.split(" :: ")[-1] for c in facts.get_all("Classifier") or [] if "License ::" in c]
    known = [licence for licence in known if licence != "OSI Approved"]
    if known:
        return ", ".join(dict.fromkeys(known))
    text = str(facts.get("License") or "").strip().splitlines()
    return text[0][:60] if text else "not stated"


def table() -> tuple[list[str], list[str]]:
    """The lines of the page, and what is wrong."""
    extras = wanted()
    packages: dict[str, list[str]] = {}
    for extra in SHOWN:
        for name in closure(extras[extra], extras):
            packages.setdefault(name, []).append(extra)
    lines, wrong = [], []
    for name in sorted(packages):
        licence = licence_of(name)
        needed = ["core"] if "core" in packages[name] else packages[name]
        kind = "of its own files" if WEAK.search(licence) else ""
        if STRONG.search(licence) and not WEAK.search(licence):
            kind = "**strong**"
            wrong.append(f"{name}: {licence} ({', '.join(needed)})")
        row = (name, metadata.version(name), licence.replace("|", "/"), ", ".join(needed), kind)
        lines.append(f"| {' | '.join(row)} |")
    return lines, wrong


HEAD = """\
# Licences

corl-bench is Apache-2.0. What it installs stands under these licences, read from the metadata of \
the packages by `python tests/licences.py docs/licences.md` (`tox -e licences`), which fails at a \
licence that asks for the same of whatever is built with it. Packages of the core that come only \
for other Pythons or systems, and the extras for clusters (`openrlhf`, `vllm`, `ray`) and for \
interop (`lm-eval`, `wandb`), are not in the table.

| package | version here | licence | needed by | copyleft |
|---|---|---|---|---|
"""


def main(arguments: list[str]) -> int:
    lines, wrong = table()
    page = HEAD + "\n".join(lines) + "\n"
    if arguments:
        Path(arguments[0]).write_text(page, encoding="utf-8")
    else:
        print(page)
    for line in wrong:
        print(f"copyleft: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
