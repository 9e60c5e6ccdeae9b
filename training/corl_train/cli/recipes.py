"""`corl-train recipes`: what can be trained, and every setting of it.

corl-train recipes
corl-train recipes quickstart > my-recipe.toml
"""

from __future__ import annotations

import click


@click.command()
@click.argument("recipe", required=False)
def command(recipe: str | None) -> None:
    """List the recipes, or write RECIPE out in full as TOML, defaults included."""
    from corl_train.config import load_recipe, recipes, to_toml

    if recipe is None:
        click.echo("\n".join(recipes()))
    else:
        click.echo(to_toml(load_recipe(recipe)), nl=False)
