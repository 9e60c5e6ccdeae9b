"""What a run takes of its machine: CPU seconds, and what a GPU does where there is one.

line["cpu_s"] = cpu_used_s()
line |= gpu_figures(policy.device)     # {} on a CPU
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import torch

from corl_bench.grading import workers


def cpu_used_s() -> float:
    """CPU seconds of this process since it was started, imports and all, and of its children.

    Children are counted when they have ended, those that grade at any time where there is a
    `/proc` to look them up in.
    """
    used = os.times()
    running = 0
    for process in workers.process_ids():
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{process}/stat").read_text()
            # Behind the name, which may hold anything: fields 14 and 15 of proc(5).
            user, system = stat.rpartition(")")[2].split()[11:13]
            running += int(user) + int(system)
    own = used.user + used.system + used.children_user + used.children_system
    return own + running / os.sysconf("SC_CLK_TCK")


def gpu_figures(device: torch.device) -> dict[str, float]:
    """Figures of one GPU for a line of `metrics.jsonl`.

    Args:
        device: where a policy computes.

    Returns:
        `gpu_memory_gib`: most that was ever allocated; `gpu_busy`: share of the last sampling
        period of the driver in which a kernel ran, where `nvidia-ml-py` is installed to ask it.
        Empty for a CPU.
    """
    if device.type != "cuda":
        return {}
    figures = {"gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}
    # No library to ask the driver, or one that may not be asked, is not worth a run.
    with contextlib.suppress(ModuleNotFoundError, RuntimeError):
        figures["gpu_busy"] = torch.cuda.utilization(device) / 100
    return figures
