"""What the nodes of a cluster must have, by a survey of them; see `preflight` for the rest.

mistakes = check_cluster(recipe, read_survey(folder), steps)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from corl_train.openrlhf.corrections import VERSION
from corl_train.openrlhf.placement import disk_gib, memory_of
from corl_train.openrlhf.recipe import JobRecipe
from corl_train.openrlhf.survey import Node, own_build

VLLM = "0.29.0"
"""What OpenRLHF 0.11.2 pins for itself (its extra `vllm`), and the oldest that it takes."""
_USABLE = 0.95
"""Of the memory that a GPU is said to have, what its driver shows at least."""


def check_cluster(recipe: JobRecipe, nodes: Sequence[Node], steps: int) -> list[str]:
    """Mistakes that the nodes show.

    Args:
        recipe: what is trained.
        nodes: of the survey.
        steps: of the whole job, for what lies on disk in the end.
    """
    placement, memory = recipe.placement, memory_of(recipe)
    wanted = f"the recipe wants {placement.nodes} × {placement.gpus_per_node} GPUs"
    able = [node for node in nodes if node.gpus >= placement.gpus_per_node]
    if len(able) < placement.nodes:
        have = ", ".join(f"{node.name} {node.gpus}" for node in nodes) or "no node"
        return [
            f"{wanted}, and the cluster has {have}: add nodes with `ray start`, or set --nodes or"
            " placement.gpus_per_node"
        ]
    # OpenRLHF waits for its placement group without an end.
    free = [node for node in able if node.free_gpus >= placement.gpus_per_node]
    if len(free) < placement.nodes:
        have = ", ".join(f"{node.name} {node.free_gpus} of {node.gpus}" for node in able)
        return [
            f"{wanted}, and of the cluster's are free: {have}; wait for the jobs that hold the"
            " others, or end them (`ray list actors` names them)"
        ]
    mistakes = []
    needed = disk_gib(recipe, steps)
    for node in free:  # whichever of them Ray takes
        said = f"node {node.name}:"
        if node.gpu_memory_gib is None:
            mistakes.append(f"{said} nvidia-smi tells no memory: put it on PATH")
        elif node.gpu_memory_gib < placement.gpu_memory_gib * _USABLE:
            mistakes.append(
                f"{said} its GPUs have {node.gpu_memory_gib:.0f} GiB: set"
                f" placement.gpu_memory_gib={node.gpu_memory_gib:.0f} and let the memory be"
                " checked against it"
            )
        if node.free_cpus < placement.gpus_per_node:
            mistakes.append(
                f"{said} Ray has {node.free_cpus} of {node.cpus} CPUs to give, and OpenRLHF"
                f" reserves one for each of {placement.gpus_per_node} GPUs: start it with"
                " --num-cpus, or wait for the jobs that hold them"
            )
        if node.memory_gib < memory.host_gib:
            mistakes.append(
                f"{said} {node.memory_gib:.0f} GiB of memory, and {memory.host_gib:.0f} GiB sleep"
                " there: take larger nodes, more nodes, or a LoRA"
            )
        if node.free_disk_gib < needed:
            mistakes.append(
                f"{said} {node.free_disk_gib:.0f} GiB are free where the job's directory is, and"
                f" checkpoints take {needed:.0f}: make room, or lower schedule.keep"
            )
        if not node.sees_job:
            mistakes.append(
                f"{said} does not see the job's directory: put --out on a file system that all"
                " nodes share"
            )
        mistakes += [f"{said} {mistake}" for mistake in _packages(node)]
        if node.model:
            mistakes.append(
                f"{said} finds no model {recipe.model.path} ({node.model}): mend model.path, or put"
                " it where all nodes see it"
            )
        if node.experts:
            mistakes.append(
                f"{said} does not reach the experts' server ({node.experts}): name an address"
                " of this machine that nodes reach with --host"
            )
    return mistakes


def _packages(node: Node) -> list[str]:
    """Versions: of OpenRLHF one, of vLLM what that takes, of corl-bench what is asking."""
    openrlhf, vllm = node.packages.get("openrlhf"), node.packages.get("vllm")
    mistakes = []
    if openrlhf != VERSION:
        has = f"has OpenRLHF {openrlhf}" if openrlhf else "has no OpenRLHF"
        mistakes.append(f"{has}: pip install 'openrlhf=={VERSION}' in the environment of Ray")
    if vllm is None or _release(vllm) < _release(VLLM):
        has = f"has vLLM {vllm}" if vllm else "has no vLLM"
        mistakes.append(
            f"{has}, and OpenRLHF {VERSION} takes {VLLM} or later: pip install 'vllm=={VLLM}' in"
            " the environment of Ray"
        )
    theirs, ours = node.packages.get("corl-bench", "none"), own_build()
    if theirs != ours:
        mistakes.append(
            f"has corl-bench {theirs}, and what launches is {ours}: install the same in the"
            " environment of Ray"
        )
    return mistakes


def _release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
