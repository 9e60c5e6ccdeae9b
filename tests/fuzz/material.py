"""What the mutations begin with: small sound inputs of every kind that the bench reads.

Files that are in the repository are taken from there; the rest is written here, by the product
itself where it can write them (a run and its files, a store, a fitted router).
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import warnings
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = CHECKOUT / "harness" / "corl_bench"
WRITTEN: Final = CHECKOUT / "tests" / "interop" / "written"
BOARD: Final = CHECKOUT / "leaderboards" / "sim"


def text(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def rows(*objects: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in objects)


def document(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def corl_bench(*arguments: str | Path) -> int:
    """Runs a command in this process, as a shell would; what it prints is thrown away.

    Raises:
        AssertionError: a mistake of the user's was answered with more or less than one line.
    """
    from corl_bench.cli.main import main

    return _command(main, arguments)


def corl_train(*arguments: str | Path) -> int:
    """As `corl_bench`, for the trainer."""
    from corl_train.cli.main import main

    return _command(main, arguments)


def _command(main: Any, arguments: tuple[str | Path, ...]) -> int:
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ending:
            code = ending.code
    assert isinstance(code, int) and 0 <= code <= 4, f"exit code {code!r}"
    if code == 2:
        said = err.getvalue()
        assert said.count("\n") == 1, f"not one line: {said[:300]!r}"
        assert said.strip().isprintable(), f"not printable: {said[:300]!r}"
    return code


@lru_cache(maxsize=1)
def run_dir() -> Path:
    """A finished run of the simulated pool: three systems, two problems."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-run-"))
    code = corl_bench(
        *("run", "--task", "synth", "--limit", "2", "--system", "single:nano"),
        *("--system", "random", "--system", "cascade:nano>mini", "--budget", "low=0.0006"),
        *("--out", folder / "run", "--quiet"),
    )
    assert code == 0
    return folder / "run"


def in_run(name: str, data: bytes, folder: Path) -> Path:
    """A copy of that run in which one file is another."""
    copy = folder / "run"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in run_dir().iterdir():
        if path.is_file() and path.suffix in (".json", ".jsonl"):
            shutil.copy(path, copy / path.name)
    (copy / name).write_bytes(data)
    return copy


@lru_cache(maxsize=1)
def board_dir() -> Path:
    """A board with one entry, and the rows of its task."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-board-"))
    shutil.copy(BOARD / "board.toml", folder)
    (folder / "entries").mkdir()
    for path in (BOARD / "entries").glob("random-*"):
        shutil.copy(path, folder / "entries")
    return folder


@lru_cache(maxsize=1)
def entry_files() -> dict[str, bytes]:
    """The three files of that entry, by how their names end; packed ones unpacked and short."""
    from corl_bench.leaderboard.raw import unpack

    found: dict[str, bytes] = {}
    for path in (board_dir() / "entries").iterdir():
        if path.suffix == ".json":
            found["json"] = path.read_bytes()
        else:
            name = "episodes" if ".episodes." in path.name else "ledger"
            found[name] = b"".join(unpack(path).splitlines(keepends=True)[:3])
    return found


@lru_cache(maxsize=1)
def pool() -> Any:
    from corl_bench.experts.pools import load_pool

    return load_pool("sim")


@lru_cache(maxsize=1)
def store_bytes() -> bytes:
    """A store of recordings, as one file."""
    from corl_bench.experts.recording_files import import_files
    from corl_bench.experts.store import RecordingStore

    with tempfile.TemporaryDirectory() as folder:
        (answers := Path(folder, "a.jsonl")).write_bytes(RECORDINGS)
        with RecordingStore.open(Path(folder, "s.sqlite")) as store:
            import_files(store, [answers])
        return Path(folder, "s.sqlite").read_bytes()


@lru_cache(maxsize=1)
def exported_recordings() -> bytes:
    """What `recordings export` writes of a run's store."""
    from corl_bench.experts.recording_files import export_calls
    from corl_bench.experts.store import RecordingStore

    out = io.StringIO()
    with RecordingStore.open(run_dir() / "recordings.sqlite", read_only=True) as store:
        export_calls(store, out)
    return "".join(out.getvalue().splitlines(keepends=True)[:4]).encode()


PROBLEMS: Final = rows(
    {"id": "a", "problem": "What is 2 + 2?", "answer": "4", "level": 2, "subject": "sums"},
    {"question": "Half of 3?", "gold": 1.5, "kind": "math", "split": "test", "url": "https://x"},
    {"problem": "Which?", "solution": "So \\boxed{B}", "kind": "choice", "year": 2020},
)
RECORDINGS: Final = rows(
    {
        "expert": "nano",
        "model": "openai/gpt-4.1-nano",
        "problem": "What is 2 + 2?",
        "response": "It is \\boxed{4}.",
        "usage": {"input_tokens": 14, "output_tokens": 3},
        "sample": 0,
        "correct": True,
        "latency_s": 0.5,
        "finish": "stop",
    },
    {
        "expert": "mini",
        "model": "openai/gpt-4.1-mini",
        "problem": "Half of 3?",
        "response": "1.5",
        "input_tokens": 20,
        "output_tokens": 7,
        "estimated": True,
    },
)
POOL: Final = text(
    'name = "mine"',
    "price_date = 2025-11-01",
    'cards = "cards.toml"',
    "[budgets]",
    'low = "0.001"',
    "high = 0.02",
    "[experts.nano]",
    'provider = "openai"',
    'model = "gpt-4.1-nano"',
    'base_url = "https://example.org/v1"',
    'key_env = "A_KEY"',
    "max_output_tokens = 400",
    "temperature = 0.5",
    'stop = ["END"]',
    "timeout_s = 30",
    "max_concurrency = 4",
    'usage = "estimate"',
    'options = { answers_as = "m", body = { top_k = 5 } }',
    "[experts.own]",
    'provider = "anthropic"',
    'model = "m"',
    "[experts.own.price]",
    'input_usd_per_mtok = "0.1"',
    "output_usd_per_mtok = 0.4",
    "effective_from = 2025-01-01",
    'source = "mine"',
    "[experts.gpu]",
    'provider = "openai"',
    'base_url = "http://127.0.0.1:8000/v1"',
    'model = "m"',
    "price = { usd_per_gpu_hour = 2, gpus = 2, input_tokens_per_s = 5000,"
    ' output_tokens_per_s = 900, effective_from = 2025-01-01, source = "x" }',
)
CARDS: Final = text(
    "[nano]",
    "trials = 40",
    "silent = 0.05",
    "calls = [[100, 40], [200, 90]]",
    "right = { all = 0.5, sums = 0.75 }",
)
KEYS: Final = text(
    "[keys.alice]",
    f'sha256 = "{"ab" * 32}"',
    "cap_usd = 2.5",
    'budget = "low"',
    "requests_per_minute = 60",
    "max_in_flight = 3",
    "max_body_bytes = 900",
    "[keys.ci]",
    'env = "CI_KEY"',
    "budget = 0.01",
    "all_metrics = true",
)
CONTROLLER: Final = text(
    'name = "own"',
    'protocol = "digest"',
    "[names]",
    'nano = "The Small One"',
    "[model]",
    'provider = "openai"',
    'base_url = "http://127.0.0.1:8000/v1"',
    'model = "corl-7b"',
    "[model.price]",
    'input_usd_per_mtok = "0.05"',
    'output_usd_per_mtok = "0.1"',
    "effective_from = 2026-01-01",
    'source = "mine"',
)
ENDPOINT: Final = text(
    'name = "theirs"',
    "[model]",
    'base_url = "http://127.0.0.1:8000/v1"',
    'model = "router"',
    "max_output_tokens = 100",
    "[models]",
    'weak = "nano"',
    "[cost]",
    'worst_case_usd = "0.5"',
    'fee_usd_per_call = "0.0001"',
    'cost_header = "x-cost"',
    "[preflight]",
    'prompts = ["2 + 2?"]',
    "repeats = 2",
)
CHAT: Final = document(
    {
        "model": "corl",
        "messages": [
            {"role": "system", "content": "Be terse."},
            {"role": "user", "content": [{"type": "text", "text": "What is 6 times 7?"}]},
        ],
        "budget_usd": "0.01",
        "max_tokens": 100,
        "stop": ["END"],
        "seed": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.2,
        "n": 1,
    }
)
DRAW: Final = document(
    {
        "model": "nano",
        "messages": [{"role": "user", "content": "What is 6 times 7?"}],
        "seed": 1_000_003,
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": "END",
        "reasoning_effort": "low",
    }
)
OPENAI_BODY: Final = document(
    {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "model": "gpt-4.1-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "42", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        "corl": {"calls": [{"model": "nano", "cost_usd": "0.001"}]},
    }
)
ANTHROPIC_BODY: Final = document(
    {
        "id": "msg_0",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "text", "text": "42"},
        ],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 1,
            "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }
)
ERROR_BODY: Final = document(
    {"error": {"message": "Incorrect API key", "type": "invalid", "code": "invalid_api_key"}}
)
TURNS: Final = (
    b'I ask. <call expert="nano">What is 2:3?</call>',
    b'<call expert="mini"/> and <answer>42</answer>',
    b'<answer from="1"/>',
    b"<search>Nano: what is 2 + 2?</search>",
)
DECISIONS_JSONL: Final = rows(
    {"task": "quiz", "problem_id": "1", "expert": "nano", "cost_usd": "0.0001", "budget": "low"},
    {"problem": "What is 2 + 2?", "expert": "mini", "budget": "0.01"},
    {"problem_key": "0" * 64, "expert": "large", "budget": "low"},
)
DECISIONS_CSV: Final = text("problem_id,expert,cost_usd", "1,nano,0.001", "2,mini,", "3,large,0")
ANSWERS: Final = rows(
    {"gold": "4", "response": "It is \\boxed{4}", "correct": True, "kind": "math"},
    {"answer": 5, "output": "six", "label": 0},
)
TRACE: Final = rows(
    {
        "task": "quiz",
        "problem_id": "1",
        "problem": "2 + 2?",
        "gold": "4",
        "system": "mine",
        "answer": "4",
        "budget": "low",
        "budget_usd": "0.001",
        "latency_s": 2,
        "calls": [
            {
                "expert": "nano",
                "model": "openai/gpt-4.1-nano",
                "text": "4",
                "usage": {"input_tokens": 14, "output_tokens": 3},
                "latency_s": 1.5,
            }
        ],
    }
)
ROUTERBENCH: Final = text(
    "sample_id,prompt,eval_name,gpt-4,gpt-4|model_response,gpt-4|total_cost,oracle_model_to_route_to",
    'mmlu.1,"[""What?""]",mmlu,1.0,A,0.001,gpt-4',
    'mmlu.2,"[""Who?""]",mmlu,0.0,B,0.002,no_model_correct',
)
LLMROUTERBENCH: Final = document(
    {
        "performance": 1.0,
        "time_taken": 1.0,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost": 0.1,
        "counts": 1,
        "model_name": "gpt-x",
        "dataset_name": "aime",
        "split": "test",
        "demo": False,
        "records": [
            {
                "index": 1,
                "origin_query": "2 + 2?",
                "prompt": "2 + 2?",
                "prediction": "4",
                "raw_output": "\\boxed{4}",
                "ground_truth": "4",
                "score": 1.0,
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "cost": 0.1,
            }
        ],
    }
)
ROUTERARENA: Final = document(
    [
        {
            "global index": "AIME_1",
            "prompt": "2 + 2?",
            "prediction": "gpt-4o-mini",
            "generated_result": {
                "success": True,
                "generated_answer": "4",
                "token_usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
                "error": None,
            },
            "cost": 0.001,
            "accuracy": 1.0,
        }
    ]
)
OMNISBENCH: Final = document(
    {
        "provenance": {"snapshot_date": "2026-08-18", "unpriced_models": ["x/free"]},
        "leaderboard": [],
        "items": [
            {
                "policy": policy,
                "dataset": "gsm8k",
                "item_id": "gsm8k-85",
                "grader": "numeric_match",
                "reference": "44",
                "meta": {},
                "response_text": "The answer is 44.",
                "chosen_model": "openai/gpt-5-nano",
                "passed": True,
                "cost_usd": 0.0005390999999999999,
                "input_tokens": 110,
                "output_tokens": 1334,
                "latency_ms": 8915.8,
            }
            for policy in ("always_cheap", "oracle")
        ],
    }
)
ARENA_CACHED: Final = rows(
    {
        "global_index": "AIME_1",
        "question": "Question",
        "llm_selected": "claude-3-haiku",
        "generated_answer": "It is \\boxed{610}.",
        "token_usage": {"input_tokens": 349, "output_tokens": 120, "total_tokens": 469},
        "success": True,
        "provider": "anthropic",
        "error": None,
        "evaluation_result": {
            "extracted_answer": "610",
            "ground_truth": "610",
            "score": 1.0,
            "metric": "math_metric",
            "inference_cost": 0.00023725,
        },
    }
)
ZEROEVAL: Final = document(
    [
        {
            "session_id": "gsm-1",
            "chat_history": ["2 + 2?"],
            "output": ['{"reasoning": "x", "answer": "4"}'],
            "generator": "llama",
            "dataset": "gsm",
            "id": "gsm-1",
            "question": "2 + 2?",
            "answer": "4",
        }
    ]
)
RECIPE_SETTINGS: Final = text(
    "training.iterations=10", "reward.fines=[0, 1.5, 0.3]", "data.protocol=corl"
)
CONFIG_JSON: Final = document({"seed": 1, "data": {"task": "synth"}, "inputs": {}})
METRICS: Final = rows(
    {
        "iteration": 0,
        "cpu_s": 1.5,
        "train": [
            {
                "budget": "low",
                "episodes": 4,
                "reward": 0.5,
                "accuracy": 0.5,
                "mean_cost_usd": 0.001,
                "violation_rate": 0.0,
                "calls": {"nano": 1.0},
                "invalid": 0.0,
            }
        ],
        "findings": [{"kind": "x", "what": "y", "advice": "z"}],
    }
)
SAMPLES: Final = rows(
    {
        "iteration": 0,
        "budget": "low",
        "problem": "2 + 2?",
        "verdict": "correct",
        "reward": 1.0,
        "cost_usd": "0.001",
        "pieces": [{"text": "hello", "own": True}],
    }
)
STEPS: Final = rows({"step": 1, "rollout/reward_mean": 0.5, "kl": 0.01})
LOG_LINE: Final = b"Global step 1: {'kl': 0.01, 'rollout/reward_mean': 0.5}\n"
LABEL: Final = document(
    {"task": "t", "problem": "1", "gold": "4", "kind": "math", "budget": "low", "usd": "0.01"}
)
ROUTED_BODIES: Final = (
    OPENAI_BODY,
    document(
        {
            "model": "router",
            "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2, "cost": 0.001},
            "router_metadata": {"model_used": "nano", "total_cost": "1.2e-05"},
        }
    ),
    document(
        {
            "model": "corl",
            "choices": [{"message": {"content": "42"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            "corl": {
                "cost_usd": "0.001",
                "calls": [
                    {
                        "model": "nano",
                        "cost_usd": "0.001",
                        "attempts": 1,
                        "usage": {"input_tokens": 9, "output_tokens": 2},
                    }
                ],
                "charges": [{"model": "", "cost_usd": "0.0001"}],
            },
        }
    ),
)
DECIDED: Final = document(
    {
        "schema": "corl-bench/decisions@1",
        "baseline": "b",
        "baseline_run_id": "1",
        "baseline_digest": "0",
        "margin_accuracy": 0.02,
        "alpha": 0.05,
        "beta": 0.1,
        "over": True,
        "arms": [
            {
                "task": "synth",
                "system": "router",
                "budget": "low",
                "verdict": "loss",
                "problems": 84,
                "problems_at_hand": 500,
                "e_value": 20.5,
                "e_value_needed": 20.0,
                "effect": 0.1,
                "loss_interval": [0.02, 0.2],
                "clipped": 0,
                "errors": 0,
                "episodes": 84,
                "episodes_saved": 416,
                "calls_saved": 500.5,
                "saved_usd": "0.25",
                "gate_p_value": None,
            }
        ],
    }
)
PREFLIGHT: Final = document(
    {"schema": "corl-bench/preflight@1", "systems": {"endpoint:x": "it routes"}}
)
MODEL_CONFIG: Final = document(
    {
        "num_attention_heads": 4,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "vocab_size": 100,
    }
)
_HEAD: Final = (
    b'{"__metadata__": {}, "a.weight": {"dtype": "F32", "shape": [4, 2], "data_offsets": [0, 32]}}'
)
SAFETENSORS: Final = len(_HEAD).to_bytes(8, "little") + _HEAD + bytes(32)
SUBMISSION: Final = document(
    {
        "recipe": {},
        "seed": 1,
        "attempts": [{"submission": "a-1", "address": "http://127.0.0.1:8265", "status": None}],
    }
)
SURVEY: Final = document(
    [
        {
            "name": "a",
            "gpus": 8,
            "free_gpus": 8,
            "cpus": 64,
            "free_cpus": 60,
            "gpu_memory_gib": 80.0,
            "memory_gib": 512.0,
            "free_disk_gib": 100.0,
            "sees_job": True,
            "packages": {"ray": "2.55.0"},
            "model": "",
            "experts": "",
        }
    ]
)
JOB: Final = document(
    {
        "name": "small",
        "pool": "sim",
        "protocol": "corl",
        "price_date": "2026-01-01",
        "budgets": {"low": "0.001"},
        "prompts": {"synth": "{problem}"},
        "usd_per_mtok": "0.1",
        "seed": 1,
        "experts": "simulated",
        "episode_timeout_s": 60,
    }
)


@lru_cache(maxsize=1)
def baseline() -> bytes:
    """A baseline file of the run."""
    path = run_dir().parent / "baseline.json"
    assert corl_bench("baseline", "set", run_dir(), "--to", path) == 0
    return path.read_bytes()


@lru_cache(maxsize=1)
def exported_samples() -> tuple[str, bytes, str, bytes]:
    """Names and contents of what `export --format lm-eval` writes: results, then samples."""
    out = run_dir().parent / "exported"
    arguments = ("--format", "lm-eval", "--system", "single:nano", "--out", out)
    assert corl_bench("export", run_dir(), *arguments) == 0
    (results,), (samples,) = (sorted(out.rglob(f"{kind}_*"))[:1] for kind in ("results", "samples"))
    return results.name, results.read_bytes(), samples.name, samples.read_bytes()


@lru_cache(maxsize=1)
def parquet() -> bytes:
    """The table of `ROUTERBENCH` as Parquet."""
    import csv

    import pyarrow
    from pyarrow import parquet as writer

    table = [*csv.DictReader(ROUTERBENCH.decode().splitlines())]
    out = io.BytesIO()
    numbers = ("gpt-4", "gpt-4|total_cost")
    typed = [{k: float(v) if k in numbers else v for k, v in row.items()} for row in table]
    writer.write_table(pyarrow.Table.from_pylist(typed), out)
    return out.getvalue()


@lru_cache(maxsize=1)
def fitted_files() -> dict[str, bytes]:
    """A fitted router's folder."""
    from routers.learnable import make_store

    folder = Path(tempfile.mkdtemp(prefix="fuzz-fit-"))
    make_store(folder)
    code = corl_bench(
        *("fit", "--router", "knn", "--pool", folder / "pool.toml"),
        *("--recordings", folder / "store.sqlite", "--task", folder / "problems.jsonl"),
        *("--out", folder / "fitted"),
    )
    assert code == 0
    return {path.name: path.read_bytes() for path in (folder / "fitted").iterdir()}


def worker_messages() -> list[bytes]:
    """An answer, a fault and a call, as a run and its worker send them."""
    from corl_bench.cluster import messages
    from corl_bench.errors import ConfigError
    from corl_bench.experts.base import Reply
    from corl_bench.experts.caller import CallOutcome
    from corl_bench.types import Message, Usage
    from servers.experts import ask, expert_at

    reply = Reply("\\boxed{4}", Usage(input_tokens=9, output_tokens=5), model="m", latency_s=0.5)
    outcome = CallOutcome("ok", reply, 1, Decimal("0.001"), Decimal(0), 0.5, expert="a")
    asked = ask(expert_at("http://127.0.0.1:9/v1"), Message("user", "What is 2 + 2?"))
    return [
        messages.write("answer", call=1, outcome=messages.outcome_row(outcome)),
        messages.write("answer", call=1, fault=messages.fault_row(ConfigError("no expert 'x'"))),
        messages.write("call", play=1, call=2, name="n", request=messages.request_row(asked)),
    ]


@lru_cache(maxsize=1)
def tiny_files() -> dict[str, bytes]:
    """A tiny controller's folder; small, so that much of it is structure."""
    from corl_train.policies.tiny import TinyPolicy
    from corl_train.policies.tokens import learn_tokens
    from corl_train.policies.transformer import Shape

    tokens = learn_tokens(["what is 2 + 2 ?"], phrases=["<answer>"], words=4)
    policy = TinyPolicy.new(tokens, Shape(len(tokens), width=4, depth=1, heads=1), seed=1)
    with tempfile.TemporaryDirectory() as folder:
        policy.save(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
