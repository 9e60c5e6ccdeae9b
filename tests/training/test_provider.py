"""A controller that was trained, as `corl-bench run` meets it: found by its entry point, checked,
and heard; and the whole way from a recipe to there."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("torch")

from corl_bench.cli.main import main
from corl_bench.errors import ConfigError
from corl_bench.experts.base import ExpertSpec, Pool, Request, Sampling
from corl_bench.experts.providers import ENTRY_POINT_GROUP, ProviderContext
from corl_bench.experts.transport import Transport
from corl_bench.types import Message
from corl_train import provider
from corl_train.policies.tiny import TinyPolicy
from corl_train.setup import digest_of, new_policy, prepare, write_controller
from servers.experts import expert_at
from training.tiny_runs import recipe


def spec_of(folder: Path, **options: object) -> ExpertSpec:
    spec = expert_at(None, name="own", provider=provider.NAME, key_env=None)
    return replace(spec, options={"path": str(folder), **options})


def context(seed: int = 0) -> ProviderContext:
    return ProviderContext(pool=Pool("p", ()), transport=Transport({}), seed=seed)


@pytest.fixture
def weights(policy: TinyPolicy, tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    policy.save(folder)
    return folder


def test_the_bench_finds_it_by_its_name() -> None:
    (point,) = entry_points(group=ENTRY_POINT_GROUP, name=provider.NAME)
    assert point.load() is provider.make


async def test_it_speaks_with_the_weights_of_the_folder(weights: Path, policy: TinyPolicy) -> None:
    spec = spec_of(weights, sha256=digest_of(weights))
    sampling = Sampling(max_output_tokens=6, stop=("</call>",))
    request = Request(spec, (Message("user", "one and two"),), sampling, "one and two")
    said = await provider.make(spec, context()).send(request)
    again = await provider.make(spec, context(seed=1)).send(request)
    assert said.text == again.text  # greedy, unless the file says otherwise
    assert said.usage.output_tokens > 0
    assert said.usage.input_tokens == len(policy.read("user", "one and two"))
    hot = replace(request, sampling=replace(sampling, temperature=3.0))
    texts = {(await provider.make(spec, context(seed)).send(hot)).text for seed in range(4)}
    assert len(texts) > 1
    assert (await provider.make(spec, context(2)).send(hot)).text in texts


def test_replies_of_other_weights_are_not_its_own(tmp_path: Path) -> None:
    """Two seeds of a recipe share the model's name, and may be benched from one store."""

    def key(folder: str, digest: str) -> str:
        spec = spec_of(tmp_path / folder, sha256=digest)
        return Request(spec, (Message("user", "one"),), spec.sampling, "one").key()

    assert key("seed-0", "aa") != key("seed-1", "bb")
    assert key("seed-0", "aa") == key("carried/elsewhere", "aa")


def test_other_weights_are_refused(weights: Path) -> None:
    expected = digest_of(weights)
    (weights / "weights.pt").write_bytes(b"other")
    with pytest.raises(ConfigError, match=r"are not those of its controller\.toml") as caught:
        provider.make(spec_of(weights, sha256=expected), context())
    assert digest_of(weights) in str(caught.value) and "\n" not in str(caught.value)


def test_what_it_cannot_use_is_said_in_a_line(tmp_path: Path) -> None:
    def said(folder: Path, **options: object) -> str:
        with pytest.raises(ConfigError) as caught:
            provider.make(spec_of(folder, **options), context())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no folder" in said(tmp_path / "gone")
    assert "no option 'sha'; it has context, device, dtype, path, sha256" in said(tmp_path, sha="x")
    assert f'write sha256 = "{digest_of(tmp_path)}" among its options' in said(tmp_path)
    assert "holds no controller's weights" in said(tmp_path, sha256=digest_of(tmp_path))
    with pytest.raises(ConfigError, match=r"name the folder with the weights in options\.path"):
        provider.make(replace(spec_of(tmp_path), options={}), context())


@pytest.mark.parametrize("budgets", ["tight=0.0001", "low,tight=0.0001", "none"])
def test_a_budget_it_was_not_trained_for_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budgets: str
) -> None:
    setup = prepare(recipe())
    write_controller(setup, new_policy(setup, seed=0), tmp_path / "controller")

    def bench(budgets: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(
                ["run", "--task", "synth:test", "--pool", "sim", "--system",
                 f"controller:{tmp_path / 'controller'}", "--budget", budgets, "--limit", "1",
                 "--out", str(tmp_path / "results")]
            )  # fmt: skip
        return int(left.value.code or 0)

    assert bench(budgets) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "was trained for the budgets low, medium, high of its own pool" in said
    assert not (tmp_path / "results").exists()
    # So the same directory takes a run that can be made.
    assert bench("low,high") == 0


def test_from_a_recipe_to_the_bench(
    llama_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Warm start, PPO, checkpoint, save, and a benchmark of what came of it."""
    from corl_train.config import load_recipe
    from corl_train.trainer import train

    recipe = load_recipe(
        "smollm2",
        settings=[
            f"policy.path={llama_folder}",
            "warm_start.episodes=32",
            "warm_start.bare_epochs=1",
            "training.iterations=2",
            "training.episodes=4",
            "training.minibatch=2",
            "schedule.validate_every=2",
            "schedule.validation_problems=1",
        ],
    )
    folder = tmp_path / "run"
    trained = train(recipe, folder, seed=0)
    assert trained.finished and trained.iterations == 2
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [0, 1, 2]
    assert ["validation" in line for line in lines] == [True, False, True]
    assert all(math.isfinite(line["grad_norm"]) for line in lines[1:])
    table = (folder / "controller.toml").read_text()
    assert digest_of(folder / "weights") in table and 'provider = "corl-train"' in table

    def bench(out: str, *more: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(
                ["run", "--task", "synth:test", "--pool", "sim", "--system",
                 f"controller:{folder}", "--budget", "low=0.0005", "--limit", "2",
                 "--out", str(tmp_path / out), *more]
            )  # fmt: skip
        return int(left.value.code or 0)

    assert bench("results") == 0
    records = [json.loads(line) for line in (tmp_path / "results/episodes.jsonl").open()]
    assert len(records) == 2
    own = [call for record in records for call in record["calls"] if call["role"] == "self"]
    assert own and all(call["usage"]["output_tokens"] > 0 for call in own)
    capsys.readouterr()
    (folder / "weights" / "critic.tensors").unlink()
    assert bench("other") == 2
    assert "are not those of its controller.toml" in capsys.readouterr().err
