"""The console script `corl-train`: a verb a module, loaded when it is used, as in `corl-bench`."""

from __future__ import annotations

import click

from corl_bench import __version__
from corl_bench.cli.main import Verbs, leave_with

VERBS: dict[str, str] = {
    "run": "Train a controller from a recipe.",
    "evaluate": "Measure a trained controller against the exact optimum.",
    "study": "Study a trained controller where it was not trained.",
    "serve": "Serve a trained controller to OpenAI-compatible clients.",
    "report": "Write a training run as one HTML page.",
    "recipes": "List the recipes, or write one out in full.",
    "feasibility": "Show which calls fit into which budgets.",
}


@click.command(
    cls=Verbs,
    package="corl_train.cli",
    verbs=VERBS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="corl-train")
def cli() -> None:
    """Train controllers: LLMs that answer themselves or call experts, within a budget.

    `corl-train run quickstart` trains a tiny one on the simulated pool, on one core and in
    minutes; `corl-bench run --system controller:DIR` benchmarks what any run leaves behind.

    Exit codes: 0 fine; 1 training diverged, or `feasibility` found a budget that fits nothing;
    2 usage or configuration, such a budget of a run included; 3 stopped by the spending cap;
    130 interrupted.
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; always leaves through `SystemExit`."""
    leave_with(cli, "corl-train", arguments)


if __name__ == "__main__":
    main()
