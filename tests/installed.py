"""Checks an installation as a new user would: no keys, an empty folder, only what pip brought.

usage: python tests/installed.py VIRTUALENV EMPTY_FOLDER

Not collected by pytest: `.ci/run` and `tox -e wheel` call it on a virtualenv that holds the
wheel alone. It prints what it measured and exits with 1 where something does not hold.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

MAX_PACKAGES = 45
MAX_MEGABYTES = 250
MAX_RUN_S = 30.0
MAX_HELP_CPU_S = 0.5


def main() -> int:
    venv, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    keep = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    corl = str(venv / "bin" / "corl-bench")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=folder, env=environment, text=True, capture_output=True, check=False
        )

    problems = []
    listed = json.loads(run(str(venv / "bin" / "pip"), "list", "--format=json").stdout)
    packages = [p["name"] for p in listed if p["name"] not in ("pip", "setuptools")]
    site = next((venv / "lib").glob("python*/site-packages"))
    own = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    size = sum(
        file.stat().st_size
        for file in site.rglob("*")
        if file.is_file() and not file.relative_to(site).parts[0].startswith(own)
    )
    print(f"core install: {len(packages)} packages, {size / 1e6:.0f} MB")
    if len(packages) >= MAX_PACKAGES or size / 1e6 >= MAX_MEGABYTES:
        problems.append("the core install is too large")

    run(corl, "--help")  # compiles what the installer did not
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = run(corl, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"corl-bench --help: {cpu_s:.2f} s CPU")
    if shown.returncode or cpu_s >= MAX_HELP_CPU_S:
        problems.append("--help fails or is slow")
    if run(str(venv / "bin" / "corl-train"), "--help").returncode:
        problems.append("corl-train --help fails")

    started = time.monotonic()
    scored = run(corl, "run")
    elapsed_s = time.monotonic() - started
    print(scored.stdout)
    print(f"corl-bench run: {elapsed_s:.1f} s")
    if scored.returncode:
        problems.append(f"run exits with {scored.returncode}: {scored.stderr}")
    if elapsed_s >= MAX_RUN_S:
        problems.append("run is slow")
    if len(list(folder.glob("runs/*/report.html"))) != 1:
        problems.append("no report was written")

    for arguments in (("run", "--task", "nosuch"), ("run", "--system", "nosuch")):
        refused = run(corl, *arguments)
        if refused.returncode != 2 or len(refused.stderr.strip().splitlines()) != 1:
            problems.append(f"{arguments} is not refused in one line with exit code 2")

    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
