"""Which checkpoints OpenRLHF 0.11.2 deletes: the oldest, and not the newest.

`save_ckpt` (utils/deepspeed/deepspeed.py) makes room before it writes, and takes the checkpoint
with the worst validation first. Each carries the figure of the validation before it, so where a
validation is worse than the one before, the newest checkpoint goes first, and a crash while the
next is written throws the job back behind an old one. Without a figure it takes the oldest; the
best checkpoint is kept apart in either case, and keeps its figure.

    module.DeepspeedStrategy = rotating_strategy(module.DeepspeedStrategy)
"""

from __future__ import annotations

from typing import Any


def rotating_strategy(base: type[Any]) -> type[Any]:
    """`DeepspeedStrategy` that deletes its oldest checkpoint.

    Args:
        base: OpenRLHF's class.
    """

    class RotatingStrategy(base):  # type: ignore[misc]
        def save_ckpt(
            self,
            model: Any,
            save_dir: str,
            tag: str | None = None,
            *given: Any,
            metric_value: float | None = None,
            **named: Any,
        ) -> None:
            is_best = tag is not None and tag.startswith("best")
            figure = metric_value if is_best else None
            super().save_ckpt(model, save_dir, tag, *given, metric_value=figure, **named)

    return RotatingStrategy
