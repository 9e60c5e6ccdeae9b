"""A fitted router as a folder: what it is in TOML, its numbers in an archive of plain arrays.

Nothing in it can run: `weights.npz` is read without pickles, the terms of TF-IDF are JSON, and
`router.toml` says for each file which bytes it must have. The same examples give the same bytes.

    router.toml   what it was fitted on, hyperparameters, experts, operating points
    weights.npz   arrays of 64-bit floating point
    terms.json    the terms of TF-IDF; only where features are TF-IDF

    write_fitted(Path("knn"), fitted, provenance)
    saved = read_fitted(Path("knn"))
"""

from __future__ import annotations

import hashlib
import io
import json
import tomllib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pool_file import validate
from corl_bench.files import write_bytes
from corl_bench.metrics.arrays import Array
from corl_bench.routers.learned.choosing import Point
from corl_bench.routers.learned.embedding import open_embedding
from corl_bench.routers.learned.fitting import Encoder, Fitted, Hyperparameter
from corl_bench.routers.learned.linear import Lines, Predictor
from corl_bench.routers.learned.neighbours import Neighbours
from corl_bench.routers.learned.router_file import (
    FILE_NAME,
    Expert,
    Features,
    FittedOn,
    RouterTable,
    experts_of,
    toml_lines,
)
from corl_bench.routers.learned.tfidf import Tfidf
from corl_bench.toml import parse_toml

WEIGHTS, TERMS = "weights.npz", "terms.json"
MOST_BYTES = 2**31
"""Of all arrays together, unpacked; an archive that claims more is refused unread."""
_SIGNS = 3
"""Numbers that a cascade knows of a reply beside its vector."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A fitted router that was read."""

    fitted: Fitted
    fitted_on: FittedOn
    features: Features
    experts: tuple[Expert, ...]
    digest: str
    """sha256 of `router.toml`, which holds those of the other files."""


def write_fitted(
    folder: Path, fitted: Fitted, fitted_on: FittedOn, features: Features, pool: Pool
) -> None:
    """Writes the folder once all of it is known; `router.toml` last, so what can be read is whole.

    Raises:
        ConfigError: something else is in the folder.
        StorageError: it cannot be written.
    """
    check_folder(folder)
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **_arrays(fitted))
    contents = {WEIGHTS: archive.getvalue()}
    if terms := _terms(fitted):
        contents[TERMS] = (json.dumps(terms, ensure_ascii=False, indent=0) + "\n").encode()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    lines = toml_lines(fitted, fitted_on, features, experts_of(pool, fitted), digests)
    contents[FILE_NAME] = ("\n".join(lines) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}") from None
    for name, content in contents.items():
        write_bytes(folder / name, content)


def check_folder(folder: Path) -> None:
    """Refuses a folder in which something else lies.

    Raises:
        ConfigError: it is there, and neither empty nor a fitted router, whole or cut off.
    """
    if not folder.exists() or (folder / FILE_NAME).is_file():
        return
    # What a kill has left of a router that was being written, a name with a dot included.
    begun = tuple(start for name in (WEIGHTS, TERMS, FILE_NAME) for start in (name, f".{name}."))
    if not folder.is_dir() or not all(path.name.startswith(begun) for path in folder.iterdir()):
        raise ConfigError(f"{folder} is there and no fitted router: name another with --out")


def read_fitted(folder: Path) -> Saved:
    """Reads a folder that `write_fitted` wrote.

    Raises:
        ConfigError: it is not there, is damaged, or its embedding model is another one now.
        MissingExtraError: its embedding model needs a library that is not installed.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
        table = parse_toml(content.decode("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no fitted router in {folder}: make one, corl-bench fit"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None
    router = validate(RouterTable, table, file=str(path))
    arrays = _read_arrays(folder, router.files)
    terms = _read_terms(folder, router.files) if router.features.kind == "tfidf" else {}
    try:
        fitted = _fitted(router, arrays, terms)
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: its files do not fit together ({error}): fit again") from error
    return Saved(
        fitted,
        router.fitted_on,
        router.features,
        tuple(router.experts),
        hashlib.sha256(content).hexdigest(),
    )


def _arrays(fitted: Fitted) -> dict[str, Array]:
    model = fitted.model
    found: dict[str, Array] = {}
    for name, encoder in (("statement_idf", fitted.statements), ("reply_idf", fitted.replies)):
        if isinstance(encoder, Tfidf):
            found[name] = encoder.idf
    if isinstance(model, Neighbours):
        found |= {"vectors": model.vectors, "correct": model.correct, "cost_usd": model.cost_usd}
    elif isinstance(model, Predictor):
        found |= _lines("chance", model.chance) | _lines("cost", model.cost)
        found |= {"least_usd": model.least_usd, "most_usd": model.most_usd}
    else:
        found |= _lines("chance", model)
    return found


def _lines(name: str, lines: Lines) -> dict[str, Array]:
    return {f"{name}_slopes": lines.slopes, f"{name}_offsets": lines.offsets}


def _terms(fitted: Fitted) -> dict[str, Sequence[str]]:
    encoders = {"statements": fitted.statements, "replies": fitted.replies}
    return {name: e.terms for name, e in encoders.items() if isinstance(e, Tfidf)}


def _content(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """The bytes of a file, which must be those that the router was saved with."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {folder / name}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != digests.get(name):
        raise ConfigError(
            f"{folder / name} is not the file that the router was saved with: fit again"
        )
    return content


def _read_arrays(folder: Path, digests: Mapping[str, str]) -> dict[str, Array]:
    content = _content(folder, WEIGHTS, digests)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise ConfigError(f"{folder / WEIGHTS} unpacks to more than {MOST_BYTES:,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (
        *(ValueError, OSError, EOFError, KeyError, MemoryError),
        *(zipfile.BadZipFile, zlib.error, NotImplementedError),
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{folder / WEIGHTS}: no archive of plain arrays: {reason}") from None
    for name, array in arrays.items():
        # What does not begin as an array does comes back as bytes.
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise ConfigError(f"{folder / WEIGHTS}: {name} is no table of numbers")
        if not np.isfinite(array).all():
            raise ConfigError(f"{folder / WEIGHTS}: {name} has numbers that are not finite")
    return arrays


def _read_terms(folder: Path, digests: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    try:
        found = json.loads(_content(folder, TERMS, digests))
        return {str(name): tuple(map(str, terms)) for name, terms in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{folder / TERMS}: no lists of terms: {error}") from None


def _fitted(
    router: RouterTable, arrays: Mapping[str, Array], terms: Mapping[str, tuple[str, ...]]
) -> Fitted:
    """Puts the parts together.

    Raises:
        KeyError: a part is missing.
        ValueError: the shapes of two parts do not agree, or a point names an unknown expert.
    """
    statements, replies = _encoders(router, arrays, terms)
    names = tuple(expert.name for expert in router.experts)
    for point in router.points:
        if unknown := {*point.chain, *point.calls} - set(names):
            raise ValueError(f"a point names {min(unknown)!r}, which is none of its experts")
        if router.router == "cascade" and len(point.thresholds) != len(point.chain) - 1:
            raise ValueError("a point's thresholds are not one fewer than its chain")
    return Fitted(
        kind=router.router,
        experts=names,
        accuracy=np.array([expert.accuracy for expert in router.experts]),
        cost_usd=np.array([expert.mean_cost_usd for expert in router.experts]),
        statements=statements,
        replies=replies,
        model=_model(router, arrays, len(names), statements, replies),
        hyperparameters=tuple(
            Hyperparameter(one.name, one.value, {float(k): e for k, e in one.errors.items()})
            for one in router.hyperparameters
        ),
        points=tuple(
            Point(
                point.trade_off,
                point.accuracy,
                point.mean_cost_usd,
                point.calls,
                tuple(point.chain),
                tuple(point.thresholds),
            )
            for point in router.points
        ),
    )


def _encoders(
    router: RouterTable, arrays: Mapping[str, Array], terms: Mapping[str, tuple[str, ...]]
) -> tuple[Encoder, Encoder | None]:
    reads_replies = router.router == "cascade"
    features = router.features
    if features.kind == "embedding":
        model = open_embedding(features.model or "")
        if model.digest != features.digest:
            raise ConfigError(
                f"the embedding model {model.name} is not the one that the router was fitted"
                " with: bring that one back, or fit again"
            )
        return model, model if reads_replies else None
    statements = _tfidf(terms["statements"], arrays["statement_idf"])
    return statements, _tfidf(terms["replies"], arrays["reply_idf"]) if reads_replies else None


def _tfidf(terms: tuple[str, ...], idf: Array) -> Tfidf:
    _require(idf, (len(terms),))
    return Tfidf(terms, idf)


def _model(
    router: RouterTable,
    arrays: Mapping[str, Array],
    experts: int,
    statements: Encoder,
    replies: Encoder | None,
) -> Neighbours | Predictor | Lines:
    width = statements.width if isinstance(statements, Tfidf) else None
    if router.router == "knn":
        (k,) = (int(one.value) for one in router.hyperparameters if one.name == "k")
        vectors = _require(arrays["vectors"], (None, width))
        table = (len(vectors), experts)
        if not 1 <= k <= len(vectors):
            raise ValueError(f"k = {k} of {len(vectors)} examples")
        correct = _require(arrays["correct"], table)
        return Neighbours(vectors, correct, _require(arrays["cost_usd"], table), k)
    if router.router == "predictor":
        least, most = (_require(arrays[name], (experts,)) for name in ("least_usd", "most_usd"))
        chance = _read_lines("chance", arrays, experts, width)
        return Predictor(chance, _read_lines("cost", arrays, experts, width), least, most)
    if width is not None and isinstance(replies, Tfidf):
        width += replies.width + _SIGNS
    return _read_lines("chance", arrays, experts, width)


def _read_lines(name: str, arrays: Mapping[str, Array], experts: int, width: int | None) -> Lines:
    slopes = _require(arrays[f"{name}_slopes"], (experts, width))
    return Lines(slopes, _require(arrays[f"{name}_offsets"], (experts,)))


def _require(array: Array, shape: tuple[int | None, ...]) -> Array:
    """The array, if it has the shape; None stands for any size."""
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"shape {array.shape} where {shape} is needed")
    return array
