"""`corl-bench fit`: learn a routing system from recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corl_bench.cli.options import FiniteFloat, data_dir_option, pool_option
from corl_bench.errors import ConfigError
from corl_bench.runs.settings import OWN_STORE

if TYPE_CHECKING:
    from corl_bench.routers.learned.examples import Examples
    from corl_bench.routers.learned.fitting import Encoder, Fitted

TFIDF = "tfidf"


@click.command()
@click.option(
    "--router",
    type=click.Choice(["knn", "predictor", "cascade"]),
    required=True,
    help="knn: what the experts did on the nearest statements; predictor: each expert's chance and"
    " cost by linear models; cascade: the next expert where a reply's score is low.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE|RUN",
    help="Store of recorded replies, or the run that has one.",
)
@click.option(
    "--task",
    "-t",
    default="synth",
    show_default=True,
    metavar="TASK",
    help="Task (NAME or a JSONL file) whose recorded problems it learns from.",
)
@click.option("--split", default="train", show_default=True, help="Split of the task.")
@pool_option
@click.option(
    "--features",
    default=TFIDF,
    show_default=True,
    metavar="tfidf|MODEL",
    help="What turns text into numbers: tfidf, a sentence-transformers folder, or MODULE:ATTR, a"
    " callable from a list of texts to rows of numbers.",
)
@click.option(
    "--features-usd",
    default=None,
    metavar="USD",
    help="What a text costs an embedding model, booked with each; 0 has to be said as well.",
)
@click.option(
    "--lambda",
    "trade_offs",
    type=FiniteFloat(min=0),
    multiple=True,
    metavar="NUMBER",
    help="Operating point, repeatable: accuracy given up for the mean cost of the dearest expert."
    "  [default: 0, 0.01, 0.03, … 30]",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the run that recorded a simulation."
)
@data_dir_option
@click.option(
    "--price-date",
    default=None,
    metavar="DATE",
    help="Day whose prices hold. [default: the pool's, else today]",
)
@click.option(
    "--allow-digest-mismatch",
    is_flag=True,
    help="Use rows that are not those which the task pins.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of the router. [default: fitted/ROUTER-TASK-POOL]",
)
def command(
    router: Any,
    recordings: Path,
    task: str,
    split: str,
    pool: str,
    features: str,
    features_usd: str | None,
    trade_offs: tuple[float, ...],
    seed: int,
    data_dir: Path | None,
    price_date: str | None,
    allow_digest_mismatch: bool,
    out: Path | None,
) -> None:
    """Learn a routing system from recorded replies, to be run as learned:DIR.

    Replies are judged by the grader and priced by the pool. Hyperparameters, operating points and
    thresholds come from cross-validation on this split alone; score it on another one.
    """
    from corl_bench import grading
    from corl_bench.cli.counting import counting
    from corl_bench.cli.dates import read_day
    from corl_bench.experts.pools import load_pool
    from corl_bench.experts.store import RecordingStore
    from corl_bench.routers.learned.choosing import LAMBDAS
    from corl_bench.routers.learned.examples import FOLDS, read_examples
    from corl_bench.routers.learned.fitting import fit
    from corl_bench.routers.learned.router_file import Features, FittedOn
    from corl_bench.routers.learned.saved import check_folder, write_fitted
    from corl_bench.tasks import load_task

    usd_per_text = _fee(features, features_usd)
    day = None if price_date is None else read_day(price_date, "--price-date")
    offered = load_pool(pool, price_date=day)
    loaded = load_task(
        task, split=split, data_dir=data_dir, allow_digest_mismatch=allow_digest_mismatch
    )
    name = f"{router}-{loaded.spec.name}-{offered.name}".replace("/", "-")
    folder = out or Path("fitted") / name
    check_folder(folder)
    path = recordings / OWN_STORE if recordings.is_dir() else recordings
    with (
        RecordingStore.open(path, create=False, read_only=True) as store,
        counting("problems read") as advance,
    ):
        examples = read_examples(loaded, store, offered, seed=seed, advance=advance)
    statements, replies, digest = _encoders(features, examples, reads_replies=router == "cascade")
    fitted = fit(
        router,
        examples,
        statements=statements,
        replies=replies,
        trade_offs=tuple(sorted(set(trade_offs))) or LAMBDAS,
    )
    write_fitted(
        folder,
        fitted,
        FittedOn(
            task=loaded.spec.name,
            split=loaded.split,
            task_digest=loaded.digest,
            problems=examples.problems,
            problems_left_out=examples.left_out,
            examples=len(examples.statements),
            examples_digest=examples.digest,
            pool=offered.name,
            pool_digest=offered.digest,
            grader=grading.GRADER_VERSION,
            folds=FOLDS,
        ),
        Features(
            kind="tfidf" if digest is None else "embedding",
            model=None if digest is None else _model_name(statements),
            digest=digest,
            usd_per_text=usd_per_text,
        ),
        offered,
    )
    _print(fitted, examples, folder, f"{loaded.spec.name}:{split}")


def _fee(features: str, usd: str | None) -> Any:
    """What a text costs.

    Raises:
        ConfigError: it is not said of an embedding model, or said of TF-IDF, which costs nothing.
    """
    from decimal import Decimal

    from corl_bench.money.amounts import parse_usd

    if features == TFIDF:
        if usd is not None:
            raise ConfigError("--features-usd is for an embedding model: TF-IDF costs nothing")
        return Decimal(0)
    if usd is None:
        raise ConfigError(
            f"--features {features} needs --features-usd, dollars for a text that it reads: write"
            " 0 for a model that costs nothing"
        )
    return parse_usd(usd, what="--features-usd", decimals=10)


def _encoders(
    features: str, examples: Examples, *, reads_replies: bool
) -> tuple[Encoder, Encoder | None, str | None]:
    """What turns statements and replies into vectors, and a model's digest."""
    if features != TFIDF:
        from corl_bench.routers.learned.embedding import open_embedding

        model = open_embedding(features)
        return model, model if reads_replies else None, model.digest
    from corl_bench.routers.learned.tfidf import fit_tfidf

    statements = fit_tfidf(examples.statements)
    if not reads_replies:
        return statements, None, None
    return statements, fit_tfidf([r.text for row in examples.drawn for r in row]), None


def _model_name(encoder: Encoder) -> str:
    from corl_bench.routers.learned.embedding import Embedding

    assert isinstance(encoder, Embedding)
    return encoder.name


def _print(fitted: Fitted, examples: Examples, folder: Path, source: str) -> None:
    from decimal import Decimal

    from corl_bench.cli.columns import align
    from corl_bench.money.amounts import display_usd
    from corl_bench.report.figures import counted, percent
    from corl_bench.routers.learned.choosing import TIE_RULE
    from corl_bench.routers.learned.router import shown

    left_out = f", {examples.left_out:,} left out" if examples.left_out else ""
    made = len(examples.statements)
    click.echo(
        f"fitted {fitted.kind} on {counted(examples.problems, 'problem')} of {source}{left_out}:"
        f" {counted(made, 'example')}, {counted(len(fitted.experts), 'expert')}"
    )
    for one in fitted.hyperparameters:
        tried = ", ".join(f"{shown(value)}: {error:.4f}" for value, error in one.errors.items())
        click.echo(f"{one.name} = {shown(one.value)} by cross-validation (squared error {tried})")
    for place, name in enumerate(fitted.experts):
        if fitted.accuracy[place] in (0.0, 1.0):
            word = "right" if fitted.accuracy[place] else "wrong"
            click.echo(f"{name} was always {word}: its chance is a constant")
    head = ("λ", "accuracy", "$ / problem", "calls")
    rows = [
        (
            shown(point.trade_off),
            percent(point.accuracy),
            display_usd(Decimal(point.cost_usd)),
            _calls(point.calls, point.chain, point.thresholds),
        )
        for point in fitted.points
    ]
    click.echo(f"\n{align([head, *rows], right=(0, 1, 2))}\n")
    click.echo(
        f"λ is accuracy given up for {display_usd(Decimal(fitted.unit_usd))}, the mean cost of the"
        " dearest expert. Figures are cross-validated on this split"
        + (
            "; chains and thresholds were chosen by them, which flatters them."
            if fitted.kind == "cascade"
            else "."
        )
    )
    click.echo(f"Ties: {TIE_RULE}.")
    click.echo(f"Written: {folder}. Next: corl-bench run --system 'learned:{folder}@*'")


def _calls(calls: Any, chain: tuple[str, ...], thresholds: tuple[float, ...]) -> str:
    """Who is called how often; of a cascade in its order, with its thresholds."""
    if not chain:
        ordered = sorted(calls.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in ordered)
    parts = [f"{chain[0]}"]
    for name, threshold in zip(chain[1:], thresholds, strict=True):
        parts.append(f"< {threshold:.2f} → {name} {100 * calls[name]:.0f} %")
    return " ".join(parts)
