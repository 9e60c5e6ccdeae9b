"""Every parser of what comes from outside, and what each must never do. A new one is a line here.

A target gets bytes and an empty folder. Either it gives a value, or it raises what its callers
expect: a `CorlError` of one line, or the error of its own kind that `refuses` names. Anything
else that is raised, a second of CPU for a small input, or a gigabyte of memory is a finding.

`reads` names the modules of the product that a target is about. `test_targets.py` holds them
against the modules that decode anything: whoever adds a parser adds a line, here or with a reason
to `TRUSTED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corl_bench.errors import CorlError
from fuzz import material as m
from fuzz.mutation import Form


@dataclass(frozen=True, slots=True)
class Target:
    """One parser."""

    name: str
    form: Form
    reads: tuple[str, ...]
    run: Callable[[bytes, Path], object]
    seeds: Callable[[], Iterable[bytes]]
    refuses: Callable[[], tuple[type[Exception], ...]] = lambda: ()
    """Errors of its own, beside `CorlError`; looked up late, so that naming a target is cheap."""
    is_command: bool = False
    """A whole command, which takes milliseconds rather than microseconds."""


def check(target: Target, data: bytes, folder: Path) -> None:
    """Runs a target once.

    Raises:
        AssertionError: it refuses with more than one line, or with an exit code that is not 2.
        Exception: what it should not have raised.
    """
    try:
        target.run(data, folder)
    except CorlError as error:
        said = str(error)
        assert said.strip() and "\n" not in said.strip(), f"not one line: {said[:200]!r}"
        assert error.exit_code in (2, 3), error.exit_code
    except target.refuses():
        pass


def put(folder: Path, name: str, data: bytes) -> Path:
    """A file in the folder."""
    path = folder / name
    path.write_bytes(data)
    return path


# Tasks, pools, prices, cards, protocols


def _task(data: bytes, folder: Path) -> object:
    from corl_bench.tasks.schema import read_spec

    return read_spec(put(folder, "task.toml", data))


def _problems(data: bytes, folder: Path) -> object:
    from corl_bench.tasks.loading import load_task

    return load_task(str(put(folder, "p.jsonl", data)))


def _packed_problems(data: bytes, folder: Path) -> object:
    from corl_bench.tasks.loading import load_task

    return load_task(str(put(folder, "p.jsonl.zst", data)))


def _pool(data: bytes, folder: Path) -> object:
    from corl_bench.experts.pools import load_pool

    put(folder, "cards.toml", m.CARDS)
    return load_pool(str(put(folder, "pool.toml", data)))


def _simulated_pool(data: bytes, folder: Path) -> object:
    from corl_bench.experts.pools import load_pool
    from corl_bench.experts.simulation.tables import read_simulation

    return read_simulation(load_pool(str(put(folder, "pool.toml", data))))


def _cards(data: bytes, folder: Path) -> object:
    from corl_bench.experts.card_file import read_cards

    return read_cards(put(folder, "cards.toml", data))


def _protocol(data: bytes, folder: Path) -> object:
    from corl_bench.routers.protocol import load_protocol

    protocol = load_protocol(put(folder, "p.toml", data))
    return protocol.opening("2 + 2?", None, ()), protocol.stops


def _turn(data: bytes, folder: Path) -> object:
    from corl_bench.routers.protocol import load_protocol
    from corl_bench.routers.turns import closed, read_turn

    text = data.decode("utf-8", "surrogateescape" if len(data) % 2 else "replace")
    for name in ("corl", "router-r1", "cards"):
        protocol = load_protocol(name)
        read_turn(text, protocol, ("nano", "mini"), cut=bool(len(data) % 3))
        defused = protocol.defuse(text)
        assert read_turn(defused, protocol, ("nano", "mini")) == read_turn("", protocol, ())
        assert protocol.defuse(defused) == defused
        closed(text, protocol)
    return text


def _packed(data: bytes) -> bytes:
    from fuzz.packing import zstd

    packed: bytes = zstd.compress(data)
    return packed


# Replies of experts, requests of clients


def _reply(data: bytes, kind: str) -> object:
    from corl_bench.experts.transport import HttpReply
    from servers.experts import ENVIRONMENT, ask, expert_at

    spec = expert_at("http://127.0.0.1:9/v1", model="gpt-4.1", usage="estimate")
    reply = HttpReply(200, {"x-model": "nano", "retry-after": "soon"}, data, 0.5)
    transport: Any = None
    if kind == "openai":
        from corl_bench.experts.openai import OpenAIProvider

        return OpenAIProvider(spec, transport, ENVIRONMENT).parse(reply, ask(spec), "k")
    if kind == "anthropic":
        from corl_bench.experts.anthropic import AnthropicProvider

        spec = expert_at("http://127.0.0.1:9/v1", model="claude-sonnet-4-5", provider="anthropic")
        return AnthropicProvider(spec, transport, ENVIRONMENT)._parse(reply, ask(spec), "k")
    from dataclasses import replace

    from corl_bench.experts.costs import cost_of
    from corl_bench.experts.recording import Attempt
    from corl_bench.experts.routed import RoutedProvider
    from corl_bench.routers.endpoint_file import read_endpoint

    own = read_endpoint("http://127.0.0.1:9/v1#router", m.pool()).own_model
    own = replace(own, options={**own.options, "model_header": "x-model"})
    got = RoutedProvider(own, transport, {}).parse(reply, ask(own), None)
    return cost_of(own.pricing, Attempt(status="ok", usage=got.usage), got)


def _refusal_of_a_provider(data: bytes, folder: Path) -> object:
    from corl_bench.experts.transport import HttpReply
    from corl_bench.experts.wire import error_codes, retry_after_s, status_error
    from servers.experts import KEY, expert_at

    status = 300 + len(data) % 300
    said = data[:80].decode("latin-1")
    headers = {"retry-after": said, "retry-after-ms": said, "Location": said}
    reply = HttpReply(status, headers, data, 0.1)
    error = status_error(reply, expert_at("http://127.0.0.1:9/v1"), KEY)
    assert error.detail.isprintable(), error.detail
    assert len(error.detail) < 500
    return error, error_codes(reply), retry_after_s(headers, 0.0)


def _provider_error() -> tuple[type[Exception], ...]:
    from corl_bench.experts.base import ProviderError

    return (ProviderError,)


def _refusal() -> tuple[type[Exception], ...]:
    from corl_bench.serve.refusals import Refusal

    return (Refusal,)


def _chat(data: bytes, folder: Path) -> object:
    from corl_bench.serve.chat import read_chat

    chat = read_chat(data)
    return chat.statement.encode()


def _draw(data: bytes, folder: Path) -> object:
    from corl_bench.serve.sharing.draw_request import read_draw_request

    asked = read_draw_request(data)
    return asked.problem_text.encode()


def _keys(data: bytes, folder: Path) -> object:
    from corl_bench.serve.keys import read_keys

    return read_keys(put(folder, "k.toml", data), m.pool(), {"CI_KEY": "k" * 20})


def _authorization(data: bytes, folder: Path) -> object:
    from corl_bench.serve.keys import read_keys

    ring = read_keys(put(folder, "k.toml", m.KEYS), m.pool(), {"CI_KEY": "k" * 20})
    assert ring.find(data.decode("utf-8", "surrogateescape")) is None
    return ring


def _replayed_problems(data: bytes, folder: Path) -> object:
    from corl_bench.cli.replay import _tasks

    return _tasks(put(folder, "problems.jsonl", data).parent)


def _worker_message(data: bytes, folder: Path) -> object:
    """What a run hears of a worker, and a worker of its run."""
    from corl_bench.cluster import messages
    from servers.experts import expert_at

    said = messages.read(data)
    if "fault" in said:
        return messages.read_fault(said["fault"])
    if "outcome" in said:
        return messages.read_outcome(said["outcome"])
    expert = expert_at("http://127.0.0.1:9/v1")
    row = said["request"]
    return messages.read_request(row, expert, problem_text="p", sample=0, seed=0).key()


def _ends_a_connection() -> tuple[type[Exception], ...]:
    """Whatever Python says of a message that is none: only the worker that sent it is lost."""
    return (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


# Systems


def _controller(data: bytes, folder: Path) -> object:
    from corl_bench.routers.controller_file import read_controller

    return read_controller(str(put(folder, "controller.toml", data)), m.pool())


def _endpoint(data: bytes, folder: Path) -> object:
    from corl_bench.routers.endpoint_file import read_endpoint

    return read_endpoint(str(put(folder, "endpoint.toml", data)), m.pool())


def _systems(data: bytes, folder: Path) -> object:
    from corl_bench.routers.registry import parse_systems

    text = data.decode("utf-8", "replace").replace("/", "|")
    if text.startswith(("exec", "python", "controller", "endpoint:http")):
        return None  # these name programs and addresses, which are the user's to choose
    return parse_systems([text], m.pool())


def _decisions(suffix: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        from corl_bench.routers.decision_file import make_players

        return make_players(str(put(folder, f"d{suffix}", data)), m.pool())

    return run


def _answer_of_a_program(data: bytes, folder: Path) -> object:
    from corl_bench.routers.external_process import _read_answer

    return _read_answer(data)


def _fitted(data: bytes, folder: Path) -> object:
    from corl_bench.routers.learned.saved import read_fitted

    for name, content in m.fitted_files().items():
        put(folder, name, content)
    put(folder, "router.toml", data)
    return read_fitted(folder)


def _fitted_arrays(data: bytes, folder: Path) -> object:
    """Weights whose digest is right, as somebody who makes both can have them."""
    import hashlib

    from corl_bench.routers.learned.saved import WEIGHTS, read_fitted

    files = m.fitted_files()
    table = files["router.toml"].decode()
    was = hashlib.sha256(files[WEIGHTS]).hexdigest()
    files = {**files, WEIGHTS: data}
    files["router.toml"] = table.replace(was, hashlib.sha256(data).hexdigest()).encode()
    for name, content in files.items():
        put(folder, name, content)
    return read_fitted(folder)


# Recordings, answers, results


def _recordings(data: bytes, folder: Path) -> object:
    from corl_bench.experts.recording_files import import_files
    from corl_bench.experts.store import RecordingStore

    (folder / "s.sqlite").unlink(missing_ok=True)
    with RecordingStore.open(folder / "s.sqlite") as store:
        return import_files(store, [put(folder, "a.jsonl", data)])


def _store(data: bytes, folder: Path) -> object:
    import io

    from corl_bench.experts.recording_files import export_calls
    from corl_bench.experts.store import RecordingStore

    path = put(folder, "s.sqlite", data)
    for leftover in ("s.sqlite-wal", "s.sqlite-shm"):
        (folder / leftover).unlink(missing_ok=True)
    with RecordingStore.open(path, create=False, read_only=True) as store:
        return store.stats(), export_calls(store, io.StringIO())


def _answers(data: bytes, folder: Path) -> object:
    from corl_bench.answer_files import Columns, grade_rows, read_rows

    found = list(read_rows(put(folder, "a.jsonl", data), Columns()))
    return list(grade_rows(found[:3]))


def _command_on(verb: str, name: str, *more: str) -> Callable[[bytes, Path], object]:
    """A command on a run of which one file is hostile."""

    def run(data: bytes, folder: Path) -> object:
        copy = m.in_run(name, data, folder)
        arguments = [word.replace("OUT", str(folder / "out")) for word in more]
        _clear(folder / "out")
        return m.corl_bench(verb, copy, *arguments)

    return run


def _clear(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _ledger(data: bytes, folder: Path) -> object:
    from corl_bench.money.ledger import Ledger

    with Ledger.open(m.in_run("ledger.jsonl", data, folder)) as ledger:
        return ledger.unaccounted(), ledger.totals.committed_usd


def _journal(data: bytes, folder: Path) -> object:
    from corl_bench.money.ledger import Ledger

    with Ledger.open(m.in_run("journal.jsonl", data, folder)) as ledger:
        return ledger.unaccounted(), ledger.totals.committed_usd


def _episodes(data: bytes, folder: Path) -> object:
    from corl_bench.results.episodes import read_episodes

    return read_episodes(put(folder, "episodes.jsonl", data).parent)


def _summary(data: bytes, folder: Path) -> object:
    from corl_bench.results.summary import read_summary

    return read_summary(put(folder, "summary.json", data).parent)


def _decided(data: bytes, folder: Path) -> object:
    from corl_bench.results.decisions import decision_notes, read_decisions

    found = read_decisions(put(folder, "decisions.json", data).parent)
    return None if found is None else decision_notes(found)


def _preflight(data: bytes, folder: Path) -> object:
    from corl_bench.results.preflight import preflight_notes

    return preflight_notes(m.in_run("preflight.json", data, folder))


def _baseline(data: bytes, folder: Path) -> object:
    from corl_bench.results.baseline import changes, read_baseline

    found = read_baseline(put(folder, "baseline.json", data))
    return list(changes(found, found))


def _gate(data: bytes, folder: Path) -> object:
    path = put(folder, "baseline.json", data)
    return m.corl_bench("gate", "--baseline", path, "--candidate", m.run_dir(), "--draws", "1000")


# Formats of others


def _imported(form: str, name: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        from corl_bench.interop.formats import reader_of
        from corl_bench.interop.reported import Wanted

        reading = reader_of(form)(put(folder, name, data), Wanted("mine"))
        reading.check()
        return reading

    return run


def _exported_samples(data: bytes, folder: Path) -> object:
    """Whole episodes that our own exports bring along."""
    from corl_bench.interop.formats import reader_of
    from corl_bench.interop.reported import Wanted

    name, results, samples, _ = m.exported_samples()
    put(folder, name, results)
    put(folder, samples, data)
    return reader_of("lm-eval")(folder, Wanted()).check()


def _lm_eval_samples(data: bytes, folder: Path) -> object:
    from corl_bench.interop.formats import reader_of
    from corl_bench.interop.reported import Wanted

    (results,) = (m.WRITTEN / "lm_eval/fixed-model").glob("results_*.json")
    (samples,) = (m.WRITTEN / "lm_eval/fixed-model").glob("samples_*.jsonl")
    put(folder, results.name, results.read_bytes())
    put(folder, samples.name, data)
    return reader_of("lm-eval")(folder, Wanted("mine", ("exact_match,none",))).check()


def _lm_eval_results(data: bytes, folder: Path) -> object:
    from corl_bench.interop.formats import reader_of
    from corl_bench.interop.reported import Wanted

    (results,) = (m.WRITTEN / "lm_eval/fixed-model").glob("results_*.json")
    (samples,) = (m.WRITTEN / "lm_eval/fixed-model").glob("samples_*.jsonl")
    put(folder, results.name, data)
    put(folder, samples.name, samples.read_bytes())
    return reader_of("lm-eval")(folder, Wanted("mine", ("exact_match,none",))).check()


def _import_command(form: str, name: str) -> Callable[[bytes, Path], object]:
    """All the way to result files, which is where odd values would do harm."""

    def run(data: bytes, folder: Path) -> object:
        out = folder / "new"
        _clear(out)
        path = put(folder, name, data)
        code = m.corl_bench("import", form, path, "--out", out, "--system", "mine")
        if code == 0:
            m.corl_bench("report", out, "--out", folder / "report.html")
        return code

    return run


# Leaderboards


def _board(data: bytes, folder: Path) -> object:
    from corl_bench.leaderboard.board import read_board

    return read_board(put(folder, "board.toml", data).parent)


def _entry(data: bytes, folder: Path) -> object:
    from corl_bench.leaderboard.entry import entry_digest, read_entry

    (name,) = (p.name for p in (m.board_dir() / "entries").glob("*.json"))
    return entry_digest(read_entry(put(folder, name, data)))


def _entry_rows(name: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        from corl_bench.leaderboard import schema
        from corl_bench.leaderboard.case import ledger_line
        from corl_bench.results.episodes import decode_episode

        if name == "episodes":
            return [decode_episode(row) for row in schema.episode_rows(data, "f")]
        return [ledger_line(row) for row in schema.ledger_rows(data, "f")]

    return run


def _unpacked(data: bytes, folder: Path) -> object:
    from corl_bench.leaderboard.raw import read_packed

    return read_packed(put(folder, "e.jsonl.zst", data))


def _verified(data: bytes, folder: Path) -> object:
    """A board in which a stranger's entry is anything."""
    import shutil

    copy = folder / "board"
    if not copy.exists():
        shutil.copytree(m.board_dir(), copy)
    (path,) = (copy / "entries").glob("*.json")
    path.write_bytes(data)
    return m.corl_bench("leaderboard", "verify", path)


# Grading


def _graded(data: bytes, folder: Path) -> object:
    from corl_bench.grading import extract, grade

    text = data[:2000].decode("utf-8", "surrogateescape" if len(data) % 2 else "replace")
    gold, _, reply = text.partition("\n")
    kinds = ("math", "integer", "choice", "text")
    kind: Any = kinds[len(data) % 4]
    return extract(reply, kind=kind), grade(gold, reply, kind=kind)


# The trainer


def _recipe(data: bytes, folder: Path) -> object:
    from corl_train.config import load_recipe

    return load_recipe(str(put(folder, "r.toml", data)))


def _job_recipe(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.recipe import load_job_recipe

    return load_job_recipe(str(put(folder, "r.toml", data)))


def _settings(data: bytes, folder: Path) -> object:
    from corl_train.config import load_recipe

    return load_recipe("quickstart", settings=data.decode("utf-8", "replace").splitlines())


def _train_files(name: str) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        from corl_train.runs.files import read_config, read_metrics, read_samples

        put(folder, name, data)
        read = {"config.json": read_config, "metrics.jsonl": read_metrics}
        return read.get(name, read_samples)(folder)

    return run


def _vocabulary(data: bytes, folder: Path) -> object:
    from corl_train.policies.tokens import Tokens

    return Tokens.load(put(folder, "tokens.json", data)).encode("What is 2 + 2?")


def _label(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.label import Label

    return Label.from_text(data.decode("utf-8", "replace"))


def _label_error() -> tuple[type[Exception], ...]:
    from corl_train.openrlhf.label import LabelError

    return (LabelError,)


def _job(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.job import read_job

    return read_job(put(folder, "job.json", data))


def _steps(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.submission import read_steps

    return read_steps(put(folder, "steps.jsonl", data))


def _submission(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.submission import STATE_NAME, under_way

    return under_way(put(folder, STATE_NAME, data).parent)


def _survey(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.survey import SURVEY_NAME, read_survey

    return read_survey(put(folder, SURVEY_NAME, data).parent)


def _log_line(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.progress import describe_step, read_step

    step = read_step(data.decode("utf-8", "replace"))
    return None if step is None else describe_step(step, 10)


def _model_figures(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.model_files import read_figures

    put(folder, "tokenizer.json", b"{}")
    put(folder, "tokenizer_config.json", b"{}")
    return read_figures(put(folder, "config.json", data).parent, lora_rank=8)


def _safetensors(data: bytes, folder: Path) -> object:
    from corl_train.openrlhf.model_files import read_figures

    put(folder, "tokenizer.json", b"{}")
    put(folder, "tokenizer_config.json", b"{}")
    put(folder, "config.json", m.MODEL_CONFIG)
    return read_figures(put(folder, "m.safetensors", data).parent, lora_rank=8)


def _checkpoint(data: bytes, folder: Path) -> object:
    from corl_train.runs.checkpoints import _read

    return _read(put(folder, "checkpoint.pt", data))


def _tiny_policy(data: bytes, folder: Path) -> object:
    from corl_train.policies.tiny import WEIGHTS_NAME, TinyPolicy

    for name, content in m.tiny_files().items():
        put(folder, name, content)
    put(folder, WEIGHTS_NAME, data)
    return TinyPolicy.load(folder)


def _tiny_shape(data: bytes, folder: Path) -> object:
    from corl_train.policies.tiny import SHAPE_NAME, TinyPolicy

    for name, content in m.tiny_files().items():
        put(folder, name, content)
    put(folder, SHAPE_NAME, data)
    return TinyPolicy.load(folder)


def _folder(pattern: str) -> Callable[[], list[bytes]]:
    """Files of the checkout as seeds."""
    return lambda: [path.read_bytes() for path in sorted(m.CHECKOUT.glob(pattern))]


def _run_file(name: str) -> Callable[[], list[bytes]]:
    """A file of a run as a seed; of many lines the first few."""

    def seeds() -> list[bytes]:
        data = (m.run_dir() / name).read_bytes()
        if name.endswith(".jsonl"):
            data = b"".join(data.splitlines(keepends=True)[:3])
        return [data]

    return seeds


def _always(*seeds: bytes) -> Callable[[], tuple[bytes, ...]]:
    return lambda: seeds


B: Final = "corl_bench."
T: Final = "corl_train."

TARGETS: Final[tuple[Target, ...]] = (
    Target("task.toml", "toml", (B + "tasks.schema",), _task, _folder("tasks/*/task.toml")),
    Target("problems", "jsonl", (B + "tasks.rows",), _problems, _always(m.PROBLEMS)),
    Target(
        "problems.zst",
        "bytes",
        (B + "tasks.rows",),
        _packed_problems,
        lambda: (_packed(m.PROBLEMS), _packed(b"") * 3),
    ),
    Target(
        "pool.toml",
        "toml",
        (B + "experts.pool_file", B + "money.price_library"),
        _pool,
        lambda: (m.POOL, *_folder("harness/corl_bench/experts/pools/*.toml")()),
    ),
    Target(
        "simulated pool",
        "toml",
        (B + "experts.simulation.tables",),
        _simulated_pool,
        _folder("harness/corl_bench/experts/pools/sim.toml"),
    ),
    Target("cards.toml", "toml", (B + "experts.card_file",), _cards, _always(m.CARDS)),
    Target(
        "protocol.toml",
        "toml",
        (B + "routers.protocol",),
        _protocol,
        _folder("harness/corl_bench/routers/protocols/*.toml"),
    ),
    Target("turn", "text", (B + "routers.turns", B + "routers.tags"), _turn, _always(*m.TURNS)),
    Target(
        "openai reply",
        "json",
        (B + "experts.wire", B + "experts.openai"),
        lambda data, _: _reply(data, "openai"),
        _always(m.OPENAI_BODY),
        _provider_error,
    ),
    Target(
        "anthropic reply",
        "json",
        (B + "experts.anthropic",),
        lambda data, _: _reply(data, "anthropic"),
        _always(m.ANTHROPIC_BODY),
        _provider_error,
    ),
    Target(
        "routed reply",
        "json",
        (B + "experts.routed",),
        lambda data, _: _reply(data, "routed"),
        _always(*m.ROUTED_BODIES),
        _provider_error,
    ),
    Target(
        "provider's refusal",
        "json",
        (B + "experts.wire",),
        _refusal_of_a_provider,
        _always(m.ERROR_BODY, b"<html>502</html>"),
    ),
    Target("chat request", "json", (B + "serve.chat",), _chat, _always(m.CHAT), _refusal),
    Target(
        "draw request",
        "json",
        (B + "serve.sharing.draw_request",),
        _draw,
        _always(m.DRAW),
        _refusal,
    ),
    Target("keys.toml", "toml", (B + "serve.keys",), _keys, _always(m.KEYS)),
    Target(
        "authorization",
        "text",
        (B + "serve.keys",),
        _authorization,
        _always(b"Bearer secret-0123456789", b"basic x"),
    ),
    Target(
        "controller.toml",
        "toml",
        (B + "routers.controller_file",),
        _controller,
        _always(m.CONTROLLER),
    ),
    Target("endpoint.toml", "toml", (B + "routers.endpoint_file",), _endpoint, _always(m.ENDPOINT)),
    Target(
        "--system",
        "text",
        (B + "routers.registry", B + "routers.options"),
        _systems,
        _always(
            b"mix:nano,mini@0.5",
            b"cascade:nano>mini",
            b"vote:nano,mini",
            b"random",
            b"oracle",
            b"single:*",
            b"single:nano",
            b"learned:x",
        ),
    ),
    Target(
        "decisions.jsonl",
        "jsonl",
        (B + "routers.decision_file",),
        _decisions(".jsonl"),
        _always(m.DECISIONS_JSONL),
    ),
    Target(
        "decisions.csv",
        "csv",
        (B + "routers.decision_file",),
        _decisions(".csv"),
        _always(m.DECISIONS_CSV),
    ),
    Target(
        "answer of a program",
        "json",
        (B + "routers.external_process",),
        _answer_of_a_program,
        _always(b'{"id": 1, "expert": "nano", "cost_usd": "0.1"}'),
        lambda: (ValueError,),
    ),
    Target(
        "router.toml",
        "toml",
        (B + "routers.learned.saved", B + "routers.learned.router_file"),
        _fitted,
        lambda: [m.fitted_files()["router.toml"]],
    ),
    Target(
        "router's weights",
        "bytes",
        (B + "routers.learned.saved",),
        _fitted_arrays,
        lambda: [m.fitted_files()["weights.npz"]],
    ),
    Target(
        "recordings",
        "jsonl",
        (
            B + "experts.recording_files",
            B + "experts.recording_rows",
            B + "experts.recording_columns",
        ),
        _recordings,
        lambda: (m.RECORDINGS, m.exported_recordings()),
    ),
    Target(
        "recordings.zst",
        "bytes",
        (B + "experts.recording_files",),
        _recordings,
        lambda: [_packed(m.RECORDINGS)],
    ),
    Target(
        "store",
        "bytes",
        (B + "experts.store", B + "experts.store_file"),
        _store,
        lambda: [m.store_bytes()],
    ),
    Target("answers", "jsonl", (B + "answer_files",), _answers, _always(m.ANSWERS)),
    Target(
        "ledger.jsonl",
        "jsonl",
        (B + "money.ledger", B + "files"),
        _ledger,
        _run_file("ledger.jsonl"),
    ),
    Target("journal.jsonl", "jsonl", (B + "money.ledger",), _journal, _run_file("journal.jsonl")),
    Target(
        "episodes.jsonl",
        "jsonl",
        (B + "results.episodes",),
        _episodes,
        _run_file("episodes.jsonl"),
    ),
    Target(
        "summary.json",
        "json",
        (B + "results.summary", B + "results.documents"),
        _summary,
        _run_file("summary.json"),
    ),
    Target("decisions.json", "json", (B + "results.decisions",), _decided, _always(m.DECIDED)),
    Target("preflight.json", "json", (B + "results.preflight",), _preflight, _always(m.PREFLIGHT)),
    Target("baseline.json", "json", (B + "results.baseline",), _baseline, lambda: [m.baseline()]),
    Target(
        "trace",
        "jsonl",
        (B + "interop.imports.trace", B + "interop.imports.bounded"),
        _imported("trace", "t.jsonl"),
        _always(m.TRACE),
    ),
    Target(
        "routerbench.csv",
        "csv",
        (B + "interop.imports.routerbench", B + "interop.imports.tables"),
        _imported("routerbench", "t.csv"),
        _always(m.ROUTERBENCH),
    ),
    Target(
        "pickled frame",
        "bytes",
        (B + "interop.imports.pickles",),
        _imported("routerbench", "t.pkl"),
        _folder("tests/interop/written/pandas/*.pkl"),
    ),
    Target(
        "parquet",
        "bytes",
        (B + "interop.imports.tables",),
        _imported("routerbench", "t.parquet"),
        lambda: [m.parquet()],
    ),
    Target(
        "llmrouterbench",
        "json",
        (B + "interop.imports.llmrouterbench",),
        _imported("llmrouterbench", "aime-test-gpt-x-20260101_000000.json"),
        _always(m.LLMROUTERBENCH),
    ),
    Target(
        "routerarena",
        "json",
        (B + "interop.imports.routerarena",),
        _imported("routerarena", "r.json"),
        _always(m.ROUTERARENA),
    ),
    Target(
        "routerarena cache",
        "jsonl",
        (B + "interop.imports.routerarena",),
        _imported("routerarena", "r.jsonl"),
        _always(m.ARENA_CACHED),
    ),
    Target(
        "omnisbench",
        "json",
        (B + "interop.imports.omnisbench",),
        _imported("omnisbench", "results.json"),
        _always(m.OMNISBENCH),
    ),
    Target(
        "zeroeval",
        "json",
        (B + "interop.imports.zeroeval",),
        _imported("zeroeval", "llama.json"),
        _always(m.ZEROEVAL),
    ),
    Target(
        "lm-eval samples",
        "jsonl",
        (B + "interop.imports.lm_eval",),
        _lm_eval_samples,
        _folder("tests/interop/written/lm_eval/fixed-model/samples_*.jsonl"),
    ),
    Target(
        "lm-eval results",
        "json",
        (B + "interop.imports.lm_eval",),
        _lm_eval_results,
        _folder("tests/interop/written/lm_eval/fixed-model/results_*.json"),
    ),
    Target(
        "inspect log",
        "json",
        (B + "interop.imports.inspect_logs",),
        _imported("inspect", "l.json"),
        _folder("tests/interop/written/inspect/quiz.json"),
    ),
    Target(
        "inspect archive",
        "bytes",
        (B + "interop.imports.inspect_logs", B + "interop.imports.bounded"),
        _imported("inspect", "l.eval"),
        _folder("tests/interop/written/inspect/quiz.eval"),
    ),
    Target(
        "carried episode",
        "jsonl",
        (B + "interop.carried",),
        _exported_samples,
        lambda: [m.exported_samples()[3]],
    ),
    Target(
        "board.toml",
        "toml",
        (B + "leaderboard.board",),
        _board,
        _folder("leaderboards/*/board.toml"),
    ),
    Target(
        "entry.json",
        "json",
        (B + "leaderboard.entry", B + "leaderboard.edges"),
        _entry,
        lambda: [m.entry_files()["json"]],
    ),
    Target(
        "entry's episodes",
        "jsonl",
        (B + "leaderboard.schema",),
        _entry_rows("episodes"),
        lambda: [m.entry_files()["episodes"]],
    ),
    Target(
        "entry's ledger",
        "jsonl",
        (B + "leaderboard.schema",),
        _entry_rows("ledger"),
        lambda: [m.entry_files()["ledger"]],
    ),
    Target(
        "packed rows",
        "bytes",
        (B + "leaderboard.raw",),
        _unpacked,
        lambda: [_packed(m.entry_files()["ledger"])],
    ),
    Target(
        "grading",
        "text",
        (B + "grading.extraction", B + "grading.comparison"),
        _graded,
        _always(b"4\nSo \\boxed{\\frac{8}{2}}", b"(1,2]\nThe answer is $(1, 2]$.", b"B\n**B**"),
    ),
    Target(
        "recipe",
        "toml",
        (T + "recipe_file", T + "config"),
        _recipe,
        _folder("training/corl_train/recipes/*.toml"),
    ),
    Target(
        "job recipe",
        "toml",
        (T + "openrlhf.recipe",),
        _job_recipe,
        _folder("training/corl_train/recipes/corl-*.toml"),
    ),
    Target("--set", "text", (T + "recipe_file",), _settings, _always(m.RECIPE_SETTINGS)),
    Target(
        "config.json",
        "json",
        (T + "runs.files",),
        _train_files("config.json"),
        _always(m.CONFIG_JSON),
    ),
    Target(
        "metrics.jsonl",
        "jsonl",
        (T + "runs.files",),
        _train_files("metrics.jsonl"),
        _always(m.METRICS),
    ),
    Target(
        "samples.jsonl",
        "jsonl",
        (T + "runs.files",),
        _train_files("samples.jsonl"),
        _always(m.SAMPLES),
    ),
    Target(
        "vocabulary",
        "json",
        (T + "policies.tokens",),
        _vocabulary,
        lambda: [m.tiny_files()["tokens.json"]],
    ),
    Target(
        "replayed problems",
        "jsonl",
        (B + "cli.replay",),
        _replayed_problems,
        _run_file("problems.jsonl"),
    ),
    Target(
        "worker's message",
        "json",
        (B + "cluster.messages",),
        _worker_message,
        m.worker_messages,
        _ends_a_connection,
    ),
    Target("label", "json", (T + "openrlhf.label",), _label, _always(m.LABEL), _label_error),
    Target("job.json", "json", (T + "openrlhf.job",), _job, _always(m.JOB)),
    Target("steps.jsonl", "jsonl", (T + "openrlhf.submission",), _steps, _always(m.STEPS)),
    Target("submission", "json", (T + "openrlhf.submission",), _submission, _always(m.SUBMISSION)),
    Target("survey", "json", (T + "openrlhf.survey",), _survey, _always(m.SURVEY)),
    Target("log line", "text", (T + "openrlhf.progress",), _log_line, _always(m.LOG_LINE)),
    Target(
        "model's config",
        "json",
        (T + "openrlhf.model_files",),
        _model_figures,
        _always(m.MODEL_CONFIG),
    ),
    Target(
        "safetensors head",
        "bytes",
        (T + "openrlhf.model_files",),
        _safetensors,
        _always(m.SAFETENSORS),
    ),
    Target(
        "checkpoint",
        "bytes",
        (T + "runs.checkpoints",),
        _checkpoint,
        lambda: [m.tiny_files()["weights.pt"]],
    ),
    Target(
        "tiny policy",
        "bytes",
        (T + "policies.tiny",),
        _tiny_policy,
        lambda: [m.tiny_files()["weights.pt"]],
    ),
    Target(
        "tiny shape",
        "json",
        (T + "policies.tiny",),
        _tiny_shape,
        lambda: [m.tiny_files()["shape.json"]],
    ),
    # Whole commands on hostile files: what is well-formed and wrong must do no harm further on.
    *(
        Target(
            f"{' '.join((verb, name))}",
            form,
            (),
            _command_on(verb, name, *more),
            _run_file(name),
            is_command=True,
        )
        for verb, name, form, more in (
            ("report", "episodes.jsonl", "jsonl", ()),
            ("report", "summary.json", "json", ()),
            ("report", "manifest.json", "json", ()),
            ("compare", "episodes.jsonl", "jsonl", ("--resamples", "200")),
            ("compare", "manifest.json", "json", ("--resamples", "200")),
            ("frontier", "summary.json", "json", ("--resamples", "200")),
            ("reprice", "episodes.jsonl", "jsonl", ("--price-date", "2026-01-01")),
            ("reprice", "manifest.json", "json", ("--price-date", "2026-01-01")),
            ("regrade", "episodes.jsonl", "jsonl", ()),
            ("regrade", "manifest.json", "json", ()),
            ("export", "episodes.jsonl", "jsonl", ("--format", "inspect", "--out", "OUT")),
            ("export", "manifest.json", "json", ("--format", "every-eval-ever", "--out", "OUT")),
        )
    ),
    Target("gate", "json", (), _gate, lambda: [m.baseline()], is_command=True),
    Target(
        "import trace",
        "jsonl",
        (),
        _import_command("trace", "t.jsonl"),
        _always(m.TRACE),
        is_command=True,
    ),
    Target(
        "import omnisbench",
        "json",
        (),
        _import_command("omnisbench", "r.json"),
        _always(m.OMNISBENCH),
        is_command=True,
    ),
    Target(
        "leaderboard verify",
        "json",
        (),
        _verified,
        lambda: [m.entry_files()["json"]],
        is_command=True,
    ),
)

BY_NAME: Final[Mapping[str, Target]] = {target.name: target for target in TARGETS}

TRUSTED: Final[Mapping[str, str]] = {
    B + "toml": "what the others read TOML with",
    B + "results.manifest": "by every command that is fed a manifest",
    B + "cluster.assignment": "the run's own plan, which Ray carries; to read it is to run it",
    B + "experts.endpoint": "the listing of a provider, by the reader of its replies",
    B + "experts.simulation.server": "a server for tests, which answers 400 to what it cannot read",
    B + "grading.worker": "what its own parent writes",
    B + "interop.lm_eval.questions": "what this process has written into a prompt",
    B + "leaderboard.redrawing": "a request that this process has made canonical",
    B + "leaderboard.site.build": "the list of files that it has written itself",
    B + "runs.regrading": "by the command that grades again",
    B + "runs.training": "lines of the run's own students, by the readers of runs",
    B + "serve.books": "a server's own description, by the reader of documents",
    B + "routers.learned.embedding": "a model of the user's own choice, on his own disk",
    B + "tasks.distractors": "what the generated tasks have written",
    T + "export": "by the readers of submissions and recipes",
    T + "openrlhf.experts_server": "what a process of ours answers on loopback",
    T + "openrlhf.jobs": "what the user's own Ray answers",
    T + "openrlhf.running": "a counter that the job itself writes",
    T + "runs.tracking": "a name that the run has kept for itself",
    T + "server": "bodies of requests, which pydantic alone reads",
    T + "warmstart.practice": "where its own dice stood, out of a checkpoint that was read",
}
"""Modules that decode what no stranger writes, or by another's reader; each with its reason."""
