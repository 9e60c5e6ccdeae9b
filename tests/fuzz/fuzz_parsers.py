r"""Feeds every registered parser with hostile inputs for so many minutes of CPU. Run by hand.

    python tests/fuzz/fuzz_parsers.py --cpu-minutes 60 --out findings     # all targets in turn
    python tests/fuzz/fuzz_parsers.py --target pool.toml --cpu-minutes 1 --out findings

Each target runs in a process of its own. Where `atheris` is installed (`pip install atheris`),
its libFuzzer leads the mutations to code that no input has reached before; without it the
mutations of `mutation.py` are drawn one after another. Both depend on `--seed` alone.

What is required: a value or a refusal of one line (see `targets.py`), at most a second of CPU for
an input that a parser gets and ten for a whole command, and at most `--memory-gib` of address
space. A finding is written once for each place that it comes from, with the input that provoked
it; `totals.jsonl` has a line a target with what was executed. The exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

SLOW_S: Final = 1.0
SLOW_COMMAND_S: Final = 10.0


class Hunt:
    """One target, what was executed of it and what was found."""

    def __init__(self, name: str, out: Path, *, cpu_s: float, seed: int) -> None:
        from fuzz.targets import BY_NAME

        self.target = BY_NAME[name]
        self.seeds = [bytes(seed) for seed in self.target.seeds()]
        self.rng = random.Random(f"{seed} {name}")
        self.executions = 0
        self.refused_by_us: dict[str, int] = {}
        self.out = out
        self.slowest_s = 0.0
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_memory_folder()))
        self._begun_s = time.process_time()
        self._cpu_s = cpu_s

    def is_over(self) -> bool:
        return time.process_time() - self._begun_s > self._cpu_s

    def execute(self, data: bytes) -> None:
        from fuzz.targets import check

        began_s = time.process_time()
        self.executions += 1
        try:
            check(self.target, data, self._folder)
        except MemoryError as error:
            self._found("memory", error, data)
        except Exception as error:
            self._found(type(error).__name__, error, data)
        took_s = time.process_time() - began_s
        if took_s > (SLOW_COMMAND_S if self.target.is_command else SLOW_S):
            self._found("slow", None, data, took_s=took_s)
        self.slowest_s = max(self.slowest_s, took_s)
        if self.executions % 500 == 0:
            self._clear()

    def _clear(self) -> None:
        """Targets write few files and always the same; what a format names itself piles up."""
        for path in self._folder.iterdir():
            if path.is_file():
                path.unlink()

    def _found(self, kind: str, error: Exception | None, data: bytes, **more: Any) -> None:
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "corl_" in f.filename]
        place = (
            ours[-1] if ours else (f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "")
        )
        if isinstance(error, AssertionError):
            place = str(error)[:24]  # raised here, so the words say more than the place
        name = f"{self.target.name} {kind} {place}"
        self.refused_by_us[name] = self.refused_by_us.get(name, 0) + 1
        if self.refused_by_us[name] > 1:
            return
        digest = hashlib.sha256(name.encode()).hexdigest()[:10]
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / f"{digest}.input").write_bytes(data)
        words = "" if error is None else "".join(traceback.format_exception(error))[-3000:]
        row = {"target": self.target.name, "kind": kind, "place": place, "input": digest, **more}
        with (self.out / "findings.jsonl").open("a") as file:
            file.write(json.dumps({**row, "traceback": words}) + "\n")
        print("FOUND", name, flush=True)

    def finish(self, engine: str) -> None:
        row = {
            "target": self.target.name,
            "engine": engine,
            "executions": self.executions,
            "cpu_s": round(time.process_time() - self._begun_s, 1),
            "slowest_s": round(self.slowest_s, 3),
            "findings": len(self.refused_by_us),
        }
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / "totals.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def _memory_folder() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and os.access(shared, os.W_OK) else None


def hunt_by_mutation(hunt: Hunt) -> None:
    from fuzz.mutation import mutate

    for seed in hunt.seeds:
        hunt.execute(seed)
    kept = list(hunt.seeds)
    while not hunt.is_over():
        # Errors pile up: one in three goes on from what was made before.
        base = hunt.rng.choice(kept if hunt.rng.random() < 0.3 else hunt.seeds)
        data = mutate(base, hunt.target.form, hunt.rng, hunt.rng.choice(hunt.seeds))
        hunt.execute(data)
        if hunt.rng.random() < 0.02:
            kept[hunt.rng.randrange(len(kept)) if len(kept) > 200 else len(kept) :] = [data]
    hunt.finish("mutation")


def hunt_by_coverage(hunt: Hunt, seed: int) -> None:
    import atheris

    from fuzz.mutation import MAX_BYTES, mutate

    def mutator(data: bytes, most_bytes: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.random() < 0.4:
            return bytes(atheris.Mutate(data, most_bytes))
        return mutate(data, hunt.target.form, rng, rng.choice(hunt.seeds))[:most_bytes]

    def one(data: bytes) -> None:
        hunt.execute(data)
        if hunt.is_over():
            hunt.finish("coverage")
            sys.stdout.flush()
            os._exit(0)

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(hunt.seeds):
            Path(corpus, f"seed-{number}").write_bytes(data)
        arguments = [sys.argv[0], corpus, f"-seed={seed}", f"-max_len={MAX_BYTES}", "-verbosity=0"]
        arguments += ["-rss_limit_mb=0", "-timeout=600", "-len_control=0", "-print_final_stats=0"]
        atheris.Setup(arguments, one, custom_mutator=mutator)
        atheris.Fuzz()


def hunt_one(options: argparse.Namespace) -> None:
    limit = int(options.memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    engine = options.engine
    with contextlib.ExitStack() as opened:
        if engine == "coverage":
            import atheris

            # What is imported from here on leads the fuzzer: the product's own modules.
            opened.enter_context(atheris.instrument_imports(include=["corl_bench", "corl_train"]))
            from fuzz.targets import BY_NAME, check

            target = BY_NAME[options.target]
            with tempfile.TemporaryDirectory() as folder:
                for seed in target.seeds():
                    # Each import is told on standard error, which a target may find too long.
                    with contextlib.suppress(AssertionError):
                        check(target, bytes(seed), Path(folder))
        hunt = Hunt(options.target, options.out, cpu_s=60 * options.cpu_minutes, seed=options.seed)
    if engine == "coverage":
        hunt_by_coverage(hunt, options.seed)
    else:
        hunt_by_mutation(hunt)


def hunt_all(options: argparse.Namespace) -> int:
    from fuzz.targets import TARGETS

    wanted = [t.name for t in TARGETS if not options.only or options.only in t.name]
    share = options.cpu_minutes / len(wanted)
    for name in wanted:
        command = [sys.executable, __file__, f"--target={name}", "--cpu-minutes", str(share)]
        command += ["--engine", options.engine, "--seed", str(options.seed), "--out"]
        command += [str(options.out), "--memory-gib", str(options.memory_gib)]
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if ended.returncode:
            print(f"{name}: exit {ended.returncode}\n{ended.stderr[-2000:]}", flush=True)
    return 1 if (options.out / "findings.jsonl").exists() else 0


def _has_atheris() -> bool:
    import importlib.util

    return importlib.util.find_spec("atheris") is not None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu-minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, required=True, help="a folder for findings")
    parser.add_argument("--target", help="one of tests/fuzz/targets.py; default: all")
    parser.add_argument("--only", default="", help="targets with this in their names")
    parser.add_argument("--engine", choices=("coverage", "mutation"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory-gib", type=float, default=8.0)
    given = parser.parse_args()
    given.engine = given.engine or ("coverage" if _has_atheris() else "mutation")
    if given.target:
        hunt_one(given)
    else:
        sys.exit(hunt_all(given))
