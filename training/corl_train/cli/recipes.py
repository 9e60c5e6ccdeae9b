"""`corl-train recipes`: what can be trained, and every setting of it.

corl-train recipes
corl-train recipes quickstart > my-recipe.toml
"""

from __future__ import annotations

import click


@click.command()
@click.argument("recipe", required=False)
def command(recipe: str | None) -> None:
    """List the recipes, or write RECIPE out in full as TOML, defaults included.

    Beside each name stands the verb that trains it: `run` on one machine, in this process;
    `launch` with OpenRLHF on a cluster of GPUs.
    """
    from corl_train.config import load_recipe
    from corl_train.recipe_file import COMMANDS, backend_of, recipes, to_toml

    if recipe is None:
        names = recipes()
        width = max(map(len, names))
        for name in names:
            click.echo(f"{name:<{width}}  corl-train {COMMANDS[backend_of(name)]}")
    elif backend_of(recipe) == "openrlhf":
        from corl_train.openrlhf.recipe import load_job_recipe

        click.echo(to_toml(load_job_recipe(recipe)), nl=False)
    else:
        click.echo(to_toml(load_recipe(recipe)), nl=False)
