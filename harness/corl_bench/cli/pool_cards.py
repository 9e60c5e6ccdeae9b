"""`corl-bench pool cards`: how often experts are right, by subject, and how long they talk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from corl_bench.cli.options import data_dir_option
from corl_bench.cli.serving import pool_of

if TYPE_CHECKING:
    from corl_bench.experts.verdicts import Judge

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Measure cards of the experts of POOL.")
@click.argument("pool", default="sim")
@click.option(
    "--task",
    "-t",
    default="synth:train",
    show_default=True,
    metavar="TASK",
    help="Problems to measure on; never those that results are reported on.",
)
@data_dir_option
@click.option(
    "--recordings",
    type=_FILE,
    metavar="FILE",
    help="Stored replies to the task; needed where experts are not simulated.",
)
@click.option(
    "--verdicts",
    type=click.Choice(["ours", "recorded"]),
    default="ours",
    show_default=True,
    help="Whose judgement of stored replies counts: our grader's, or the one that came with them.",
)
@click.option(
    "--out", type=_FILE, required=True, metavar="FILE", help="Where the cards go, as TOML."
)
def cards(
    pool: str,
    task: str,
    data_dir: Path | None,
    recordings: Path | None,
    verdicts: Judge,
    out: Path,
) -> None:
    """Measure how often experts of POOL are right, by subject, and how long their replies are.

    Costs nothing: replies are those that are stored, or a simulated expert's. A pool names the
    file with a line `cards = "FILE"`; controllers of the protocol `cards` read them.
    """
    from contextlib import ExitStack
    from dataclasses import replace

    from corl_bench.errors import ConfigError
    from corl_bench.experts.card_file import encode_cards, keyed, rounded
    from corl_bench.experts.store import RecordingStore
    from corl_bench.experts.trials import Booth, RecordedBooth, SimulatedBooth, measure_cards
    from corl_bench.files import write_text
    from corl_bench.tasks import load_task

    loaded, problems = pool_of(pool, None), load_task(task, data_dir=data_dir)
    with ExitStack() as opened:
        booth: Booth
        if recordings is not None:
            store = RecordingStore.open(recordings, create=False, read_only=True)
            opened.enter_context(store)
            booth = RecordedBooth(loaded, problems, store, verdicts=verdicts)
        elif all(expert.provider == "simulated" for expert in loaded.experts):
            booth = SimulatedBooth(loaded)
        else:
            raise ConfigError(f"pool {loaded.name!r} is not simulated: name --recordings FILE")
        measured = measure_cards(loaded, booth, problems.problems)
    carded = [replace(expert, card=rounded(measured[expert.name])) for expert in loaded.experts]
    write_text(out, encode_cards(keyed(carded)))
    for name, card in measured.items():
        click.echo(f"{name}: {card.trials:,} replies, {card.trust(''):.1%} right")
    click.echo(f'{out}: name it in a pool with  cards = "{out.name}"')
