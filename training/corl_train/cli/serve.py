"""`corl-train serve`: a trained controller behind an OpenAI-compatible server.

corl-train serve runs/quickstart-0 --port 8000
corl-bench run --system controller:runs/quickstart-0/served.toml
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("controller", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on.  [default: a free one, which is printed]",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, …; for large models.")
def command(controller: Path, host: str, port: int, device: str) -> None:
    """Serve the controller in DIR, the directory of a training run.

    Speaks the part of OpenAI's chat completions that `corl-bench run` needs of a controller:
    turns, one after the other. It calls no experts; whoever runs the controller does, with the
    file DIR/served.toml, which holds its address, protocol and price.
    """
    from corl_bench.experts.base import Pool
    from corl_bench.extras import require
    from corl_bench.files import write_text
    from corl_bench.routers.controller_file import read_controller
    from corl_train.runs.files import read_config, require_controller

    config = read_config(controller)
    require("torch", extra="train", why="Serving a controller in process")
    require_controller(controller)
    from corl_train.policies.loading import computing
    from corl_train.provider import weights_of
    from corl_train.server import describe_served, serve
    from corl_train.setup import SERVED_NAME

    model = str(config["name"])
    own = read_controller(str(controller), Pool("none", ())).own_model

    def tell(base_url: str) -> None:
        described = controller / SERVED_NAME
        write_text(described, describe_served(own, base_url=base_url, model=model))
        click.echo(f"{model} at {base_url}\n  corl-bench run --system controller:{described}")

    serve(
        weights_of(own),
        model=model,
        host=host,
        port=port,
        how=computing({**own.options, "device": device}),
        on_ready=tell,
    )
