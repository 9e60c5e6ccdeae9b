"""A fitted router's folder: whole or refused in one line, and nothing in it can run."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corl_bench.errors import ConfigError
from corl_bench.experts.base import Pool
from corl_bench.experts.pools import load_pool
from corl_bench.routers.learned import saved
from corl_bench.routers.learned.embedding import Embedding, open_embedding
from corl_bench.routers.learned.examples import Examples
from corl_bench.routers.learned.fitting import KINDS, Kind, fit
from corl_bench.routers.learned.linear import Lines
from corl_bench.routers.learned.router_file import Features, FittedOn
from corl_bench.routers.learned.saved import read_fitted, write_fitted
from corl_bench.routers.learned.tfidf import fit_tfidf
from routers.learnable import examples_in, make_store
from small_models import save_llama

pytest.importorskip("sklearn")


TFIDF = Features(kind="tfidf")


def write(
    folder: Path,
    kind: Kind,
    examples: Examples,
    pool: Pool,
    *,
    model: Embedding | None = None,
    features: Features = TFIDF,
) -> Any:
    """Fits and saves one router; gives it as it was before it was saved."""
    encoder = model or fit_tfidf(examples.statements)
    replies = fit_tfidf([reply.text for row in examples.drawn for reply in row])
    fitted = fit(kind, examples, statements=encoder, replies=replies)
    origin = FittedOn(
        task="quiz",
        split="train",
        task_digest="sha256:0",
        problems=40,
        problems_left_out=0,
        examples=40,
        examples_digest=examples.digest,
        pool=pool.name,
        pool_digest=pool.digest,
        grader="3",
        folds=5,
    )
    write_fitted(folder, fitted, origin, features, pool)
    return fitted


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Examples, Pool]:
    folder = tmp_path_factory.mktemp("learned")
    make_store(folder)
    return examples_in(folder), load_pool(str(folder / "pool.toml"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_was_written(
    tmp_path: Path, learned: tuple[Examples, Pool], kind: Kind
) -> None:
    fitted = write(tmp_path / "a", kind, *learned)
    write(tmp_path / "b", kind, *learned)
    found = read_fitted(tmp_path / "a")
    assert found.digest == read_fitted(tmp_path / "b").digest
    again = found.fitted
    assert (again.kind, again.experts, again.points) == (kind, fitted.experts, fitted.points)
    assert again.hyperparameters == fitted.hyperparameters
    assert again.unit_usd == fitted.unit_usd
    texts = ["Add the integers 1, 2 and 3.", "Find the area"]
    vectors = again.statements.encode(texts)
    assert np.array_equal(vectors, fitted.statements.encode(texts))
    if isinstance(again.model, Lines):
        assert np.array_equal(again.model.slopes, fitted.model.slopes)
    else:
        ours, theirs = again.model.estimate(vectors), fitted.model.estimate(vectors)
        assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])


def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, learned: tuple[Examples, Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        yield "schema = 1"
        raise ValueError("a number that TOML cannot hold")

    with monkeypatch.context() as patched, pytest.raises(ValueError, match="TOML"):
        patched.setattr(saved, "toml_lines", broken)
        write(tmp_path / "a", "knn", *learned)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", [("weights.npz", "terms.json"), (".weights.npz.4711",)])
def test_a_folder_that_a_kill_has_left_half_written_is_written_again(
    tmp_path: Path, learned: tuple[Examples, Pool], left: tuple[str, ...]
) -> None:
    for name in left:
        (tmp_path / name).write_text("half of")
    write(tmp_path, "knn", *learned)
    read_fitted(tmp_path)
    (tmp_path / "router.toml").unlink()
    (tmp_path / "thesis.md").write_text("not ours")
    with pytest.raises(ConfigError, match="no fitted router"):
        write(tmp_path, "knn", *learned)


def put_arrays(folder: Path, content: bytes) -> None:
    """Other weights with a digest that fits: what a forger would do."""
    old = hashlib.sha256((folder / "weights.npz").read_bytes()).hexdigest()
    (folder / "weights.npz").write_bytes(content)
    path = folder / "router.toml"
    path.write_text(path.read_text().replace(old, hashlib.sha256(content).hexdigest()))


def archive(arrays: dict[str, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays, **options)
    return stream.getvalue()


class Trap:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("mark"),)


def with_pickle(arrays: dict[str, Any]) -> bytes:
    return archive(arrays | {"correct": np.array([Trap()], dtype=object)})


def with_pickle_for_array(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO(archive(arrays))
    with zipfile.ZipFile(stream, "a") as file:
        file.writestr("more.npy", pickle.dumps(Trap()))
    return stream.getvalue()


def with_huge_header(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    text = header.ljust(117) + "\n"
    with zipfile.ZipFile(stream, "w") as file:
        start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
        file.writestr("vectors.npy", start + text.encode())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (with_pickle, "no archive of plain arrays"),
        (with_pickle_for_array, "no table of numbers"),
        (with_huge_header, "no archive of plain arrays"),
        (lambda arrays: pickle.dumps(Trap()), "no archive of plain arrays"),
        (lambda arrays: b"", "no archive of plain arrays"),
        (lambda arrays: archive(arrays | {"vectors": arrays["vectors"] * np.nan}), "finite"),
        (
            lambda arrays: archive(arrays | {"vectors": arrays["vectors"] > 0}),
            "no table of numbers",
        ),
        (lambda arrays: archive(arrays | {"correct": arrays["correct"][:3]}), "fit together"),
        (lambda arrays: archive(arrays | {"vectors": arrays["vectors"][:, :3]}), "fit together"),
        (lambda arrays: archive({"vectors": arrays["vectors"]}), "fit together"),
    ],
)
def test_forged_weights_are_refused_and_run_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    learned: tuple[Examples, Pool],
    forge: Callable[[dict[str, Any]], bytes],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "knn"
    write(folder, "knn", *learned)
    with np.load(folder / "weights.npz") as loaded:
        arrays = dict(loaded)
    put_arrays(folder, forge(arrays))
    with pytest.raises(ConfigError, match=said) as caught:
        read_fitted(folder)
    assert "\n" not in str(caught.value)
    assert not Path("mark").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(
    tmp_path: Path, learned: tuple[Examples, Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "knn", "knn", *learned)
    monkeypatch.setattr(saved, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="unpacks to more than 1,000 bytes"):
        read_fitted(tmp_path / "knn")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("learned@1", "learned@9"), "schema"),
        (lambda text: text.replace('router = "knn"', 'router = "svm"'), "router"),
        (lambda text: text.replace("calls = { ", "calls = { nobody = 0.5, "), "nobody"),
        (lambda text: text.replace('name = "k"', 'name = "n"'), "fit together"),
        (lambda text: text.replace("lambda = 0.0\n", "lambda = -1.0\n"), "lambda"),
        (lambda text: text.replace("lambda = 0.0\n", "lambda = nan\n"), "lambda"),
        (lambda text: text + "more = 1\n", "more"),
        (lambda text: text[: len(text) // 2], "router.toml"),
        (lambda text: "\x00", "no TOML"),
    ],
)
def test_a_table_that_is_wrong_is_refused(
    tmp_path: Path, learned: tuple[Examples, Pool], change: Callable[[str], str], said: str
) -> None:
    write(tmp_path / "knn", "knn", *learned)
    path = tmp_path / "knn" / "router.toml"
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(ConfigError, match=said) as caught:
        read_fitted(tmp_path / "knn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.npz", "terms.json"])
def test_files_that_changed_or_are_gone_are_refused(
    tmp_path: Path, learned: tuple[Examples, Pool], name: str
) -> None:
    write(tmp_path / "knn", "knn", *learned)
    path = tmp_path / "knn" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="not the file that the router was saved with"):
        read_fitted(tmp_path / "knn")
    path.unlink()
    with pytest.raises(ConfigError, match=f"cannot read .*{name}"):
        read_fitted(tmp_path / "knn")


def test_there_is_no_router_in_a_folder_without_one(
    tmp_path: Path, learned: tuple[Examples, Pool]
) -> None:
    with pytest.raises(ConfigError, match="corl-bench fit"):
        read_fitted(tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ConfigError, match="--out"):
        write(tmp_path, "knn", *learned)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in the layout of sentence-transformers, with random weights."""
    pytest.importorskip("transformers")
    folder: Path = save_llama(tmp_path_factory.mktemp("encoder"))
    (folder / "1_Pooling").mkdir()
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [{"path": p, "type": f"sentence_transformers.models.{k}"} for p, k in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 8}))
    return folder


def test_a_model_in_a_folder_encodes_and_is_known_again(
    tmp_path: Path, learned: tuple[Examples, Pool], encoder_folder: Path
) -> None:
    model = open_embedding(str(encoder_folder))
    vectors = model.encode(["2 + 2", "What is the sum of the first numbers?"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    # What comes behind the longest input is not read, and neighbours change nothing.
    longer = model.encode(["What is the sum of the first numbers? And of the last?"])
    assert np.array_equal(vectors[1], longer[0])
    assert np.array_equal(vectors[0], model.encode(["2 + 2"])[0])
    features = Features(kind="embedding", model=model.name, digest=model.digest)
    write(tmp_path / "knn", "knn", *learned, model=model, features=features)
    assert read_fitted(tmp_path / "knn").features.digest == model.digest
    (encoder_folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9}))
    with pytest.raises(ConfigError, match="not the one"):
        read_fitted(tmp_path / "knn")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "only mean tokens"),
        ("modules.json", '[{"path": "", "type": "a.Transformer"}]', "its modules are"),
        ("modules.json", "[1]", "no sentence-transformers model"),
        ("config.json", "{}", "no embedding model that can be loaded"),
        ("model.safetensors", "", "no embedding model that can be loaded"),
    ],
)
def test_a_model_of_another_layout_is_refused(
    encoder_folder: Path, tmp_path: Path, name: str, content: str, said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(encoder_folder, folder)
    (folder / name).write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        open_embedding(str(folder))
    assert "\n" not in str(caught.value)
