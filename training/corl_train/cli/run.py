"""`corl-train run`: from a recipe to a controller.

corl-train run quickstart --out runs/quickstart --seed 0
corl-train run my-recipe.toml --set training.iterations=20 --track tensorboard
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_train.cli.options import chosen_experts, experts_options

if TYPE_CHECKING:
    from corl_train.experts import Where

INTERRUPTED = 130


@click.command()
@click.argument("recipe")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The run's directory; the same command again goes on there.  [default: runs/RECIPE-SEED]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change a setting of the recipe; repeatable. `corl-train recipes NAME` shows them.",
)
@click.option(
    "--track",
    metavar="NAME[,NAME]",
    help="Send figures to tensorboard or wandb too, which are extras.",
)
@experts_options("this run")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def command(
    recipe: str,
    out: Path | None,
    seed: int,
    settings: tuple[str, ...],
    track: str | None,
    mode: Where,
    recordings: Path | None,
    max_cost: str | None,
    quiet: bool,
) -> int:
    """Train a controller from RECIPE, a name or a TOML file.

    Leaves checkpoints, figures and the controller in the run's directory. Ctrl-C ends it behind
    the iteration it is in, and the same command goes on from there, bit for bit.
    """
    from corl_bench.extras import require
    from corl_train.config import load_recipe

    config = load_recipe(recipe, settings=settings)
    require("torch", extra="train", why="Training")
    from corl_train.trainer import train

    folder = out or Path("runs") / f"{config.name}-{seed}"
    trained = train(
        config,
        folder,
        seed=seed,
        experts=chosen_experts(mode, recordings, max_cost),
        say=(lambda line: None) if quiet else click.echo,
        track=[name.strip() for name in track.split(",")] if track else (),
    )
    if not trained.finished:
        click.echo(
            f"interrupted behind iteration {trained.iterations}: the same command goes on", err=True
        )
        return INTERRUPTED
    click.echo(
        f"{folder}: {trained.iterations} iterations, {trained.cpu_s:.0f} CPU-s of which"
        f" {trained.warm_start_s:.0f} warm start; best validation reward"
        f" {trained.best_reward:.3f} behind iteration {trained.best_iteration}\n"
        f"  corl-train evaluate {folder}\n"
        f"  corl-train report {folder}\n"
        f"  corl-bench run --system controller:{folder}"
    )
    return 0
