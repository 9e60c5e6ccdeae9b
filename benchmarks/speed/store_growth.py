"""Whether the recording store stays as fast with a million calls as with ten thousand.

Calls of some 540 characters asked and 480 replied are added one by one, each its own commit, as a
run adds them. At each size the CPU time of the next additions, of lookups that find their call
(keys drawn at random from all of them) and of lookups that find none is taken, and the bytes that
the file has per call. What a lookup finds is compared with what was stored; the exit code is 1
where they differ.

    python benchmarks/speed/store_growth.py --calls 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

from questions import question, reply_to

from corl_bench.experts.base import Reply
from corl_bench.experts.recording import Attempt, RecordedCall, problem_key
from corl_bench.experts.store import RecordingStore
from corl_bench.types import Usage

PROBED = 2_000
Piece = TypeVar("Piece")


def key_of(number: int) -> str:
    """A key as `Request.key` makes them: without any order."""
    return hashlib.sha256(f"call {number}".encode()).hexdigest()


def call_of(number: int) -> RecordedCall:
    """A call that a run might have made."""
    text = question(number)
    reply = Reply(reply_to(number), Usage(150, output_tokens=120), model="m", latency_s=1.234567)
    return RecordedCall(
        request_key=key_of(number),
        sample=0,
        occurrence=0,
        expert="m",
        model="m",
        problem_key=problem_key(text),
        attempts=(Attempt("ok", reply.usage, latency_s=reply.latency_s),),
        reply=reply,
        run_id="0123456789abcdef",
        request=text,
    )


def find(store: RecordingStore, key: str) -> RecordedCall | None:
    """The lookup of an episode."""
    return store.find(key, 0, 0, episode="synth|p1|single:m|-|0")


def microseconds(work: Callable[[Piece], object], pieces: Iterable[Piece]) -> float:
    """CPU time of a piece of work, the mean over so many."""
    pieces = list(pieces)
    started_s = time.process_time()
    for piece in pieces:
        work(piece)
    return 1e6 * (time.process_time() - started_s) / len(pieces)


def main() -> int:
    """Grows a store and tells what it costs at each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where the store lies; otherwise temporary")
    wanted = parser.parse_args()
    rng = Random("store growth")
    wrong = 0
    with tempfile.TemporaryDirectory(dir=wanted.folder) as name:
        path = Path(name) / "recordings.sqlite"
        stored = 0
        for size in sorted(wanted.calls):
            with RecordingStore.open(path) as store:
                for number in range(stored, size):
                    store.add(call_of(number))
            per_call = path.stat().st_size / size
            # Opened anew, as the next run would: what it is fast at must not be its memory.
            with RecordingStore.open(path) as store:
                new = range(size, size + PROBED)
                add_us = microseconds(store.add, [call_of(number) for number in new])
                stored = size + PROBED
                drawn = [rng.randrange(stored) for _ in range(PROBED)]
                find_us = microseconds(partial(find, store), map(key_of, drawn))
                miss_us = microseconds(partial(find, store), (key_of(-number) for number in new))
                wrong += sum(store.find(key_of(n), 0, 0) != call_of(n) for n in drawn[:200])
            print(
                f"{size:>9,} calls: add {add_us:.0f} µs, find {find_us:.0f} µs, find none"
                f" {miss_us:.0f} µs of CPU; {per_call:,.0f} bytes a call",
                flush=True,
            )
    if wrong:
        print(f"{wrong} calls were not found as they were stored", file=sys.stderr)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
