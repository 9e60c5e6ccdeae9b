"""What a cluster has, seen from its own nodes: GPUs, memory, disk, packages, the way to experts.

Runs as a small Ray job before the large one, since only a node knows what it has and what it can
reach. It writes `survey.json` into the job's directory, which so proves to be shared, too.

    python -m corl_train.openrlhf.survey runs/corl-paper SHA256 --model Qwen/Qwen2.5-7B-Instruct
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import corl_bench
import corl_train
from corl_bench.errors import ConfigError
from corl_bench.extras import require
from corl_bench.files import write_json
from corl_train.openrlhf.job import FILE_NAME as JOB_NAME

SURVEY_NAME = "survey.json"
PACKAGES = ("openrlhf", "vllm", "deepspeed", "flash-attn")
_GIB = 2**30
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of a cluster."""

    name: str
    gpus: int
    """That Ray gives to jobs."""
    free_gpus: int
    """That no job holds."""
    cpus: int
    free_cpus: int
    gpu_memory_gib: float | None
    """Of its smallest GPU; None where nothing tells."""
    memory_gib: float
    free_disk_gib: float
    """Where the job's directory is."""
    sees_job: bool
    """Whether the job's file is there, as it was written."""
    packages: dict[str, str]
    """Versions of those of `PACKAGES` that it has; of this one, see `own_build`."""
    model: str
    """Empty where it finds the model, in a directory or on the hub; else why not."""
    experts: str
    """Empty where it reaches the experts' server, or there is none; else why not."""


@dataclass(frozen=True, slots=True)
class Share:
    """What Ray has of a node to give."""

    gpus: int
    free_gpus: int
    cpus: int
    free_cpus: int


def look(
    folder: str, digest: str, name: str, share: Share, *, model: str = "", health_url: str = ""
) -> Node:
    """Looks around on the machine that this runs on.

    Args:
        folder: the job's directory.
        digest: sha256 of the job's file.
        name: of the node.
        share: as Ray counts it.
        model: directory or id of the controller; empty: nobody wants to know.
        health_url: of the experts' server; empty where there is none.
    """
    place = Path(folder)
    return Node(
        name=name,
        **asdict(share),
        gpu_memory_gib=_gpu_memory_gib(),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB,
        free_disk_gib=shutil.disk_usage(_existing(place)).free / _GIB,
        sees_job=digest_of_file(place / JOB_NAME) == digest,
        packages=_packages(),
        model=_unfound(model) if model else "",
        experts=_unreached(health_url) if health_url else "",
    )


def digest_of_file(path: Path) -> str:
    """sha256 of a file; empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def own_build() -> str:
    """The corl-bench that this runs with, by its version and its code.

    It is installed from checkouts, two of which have one version and yet differ.
    """
    code = hashlib.sha256()
    for package in (corl_bench, corl_train):
        (place,) = map(Path, package.__path__)
        # The wheel has tasks inside that a checkout has beside it.
        for path in sorted(p for p in place.rglob("*.py") if "_tasks" not in p.parts):
            code.update(f"{package.__name__}/{path.relative_to(place).as_posix()}\0".encode())
            code.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{corl_bench.__version__} ({code.hexdigest()[:8]})"


def read_survey(folder: Path) -> list[Node]:
    """The nodes that the last survey has seen.

    Raises:
        ConfigError: there was none.
    """
    path = folder / SURVEY_NAME
    known = {field.name for field in fields(Node)}
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_bytes())
        return [Node(**{name: row[name] for name in known}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"no survey in {path} ({error}): is {folder} on a file system that the nodes share?"
        ) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Looks around on every node, and writes what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("digest")
    parser.add_argument("--model", default="", help="directory or id of the controller")
    parser.add_argument("--health-url", default="", help="of the experts' server")
    asked = parser.parse_args(arguments)
    ray = require("ray", extra="openrlhf", why="A survey of a cluster")
    placing = require("ray.util.scheduling_strategies", extra="openrlhf", why="A survey")

    ray.init(log_to_driver=False)
    state = require("ray._private.state", extra="openrlhf", why="A survey")
    # Ray says nowhere else what is left of each node; looking itself takes nothing of it.
    free = state.available_resources_per_node()
    looking = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        there = placing.NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        remote = ray.remote(num_cpus=0, scheduling_strategy=there)(look)
        has, left = node["Resources"], free.get(node["NodeID"], {})
        share = Share(
            gpus=int(has.get("GPU", 0)),
            free_gpus=int(left.get("GPU", 0)),
            cpus=int(has.get("CPU", 0)),
            free_cpus=int(left.get("CPU", 0)),
        )
        looking.append(
            remote.remote(
                str(asked.folder),
                asked.digest,
                node["NodeManagerHostname"],
                share,
                model=asked.model,
                health_url=asked.health_url,
            )
        )
    nodes = [asdict(node) for node in ray.get(looking)]
    write_json(asked.folder / SURVEY_NAME, nodes)
    print(json.dumps(nodes))


def _gpu_memory_gib() -> float | None:
    """As the driver's own tool says it."""
    question = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(
            question, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        return min(float(line) for line in told.stdout.split()) / 1024
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _packages() -> dict[str, str]:
    found = {"corl-bench": own_build()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _unfound(model: str) -> str:
    """Why a model's configuration cannot be read as OpenRLHF will; empty where it can."""
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        return ""  # then OpenRLHF is missing, too, and that is said
    try:
        transformers.AutoConfig.from_pretrained(model)
    except Exception as error:  # the hub's library has errors of many kinds
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _unreached(url: str) -> str:
    """Why a server cannot be reached; empty where it can."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_TIMEOUT_S):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return " ".join(str(reason).split()) or type(error).__name__


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


if __name__ == "__main__":
    main()
