"""`corl-train export`: trained weights as a directory that vLLM serves and the bench measures.

corl-train export runs/smollm2 models/corl-135m
corl-train export /shared/corl-paper models/corl-7b --weights best
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False), metavar="OUT")
@click.option(
    "--weights",
    metavar="NAME",
    help="Of a job: final, best, latest, or the name of a checkpoint.  [default: the first of"
    " these that is there]",
)
@click.option(
    "--base-url",
    help="Where the weights will be served, for OUT/served.toml.  [default: where `vllm serve`"
    " listens by itself]",
)
def command(source: Path, out: Path, weights: str | None, base_url: str | None) -> None:
    """Write the weights in DIR, of a training run or a job, as a Hugging Face directory OUT.

    A LoRA is merged. Protocol and price lie beside the weights, so that OUT is a controller.
    """
    from corl_train.export import DEFAULT_URL, export

    done = export(source, out, weights=weights, base_url=base_url or DEFAULT_URL)
    click.echo(
        f"{out}: {done.name}, from {done.source}\n"
        f"  vllm serve {out} --served-model-name {done.name}\n"
        f"  corl-bench run --system controller:{out}/served.toml\n"
        f"  corl-bench run --system controller:{out}"
    )
