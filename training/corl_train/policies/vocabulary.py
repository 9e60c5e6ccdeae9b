"""What a tiny controller's tokens are learned from: its protocol, its pool, its problems.

Whatever can be enumerated is a token: a call of an expert, an answer that points at a reply, the
head of a result with its number and its expert, a line of the listing. A turn of the controller
is then one decision and one token, and a controller that has never seen a word has nothing to
learn from spelling. Any other text of the protocol is spelled from words and bytes as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from string import Formatter

from corl_bench.episode import ExpertInfo
from corl_bench.experts.base import Pool
from corl_bench.experts.cards import OVERALL
from corl_bench.routers.outlook import FITS, GRADES, LETTERS, SHARES
from corl_bench.routers.protocol import Protocol
from corl_bench.types import Budget
from corl_train.policies.frames import frames_of, open_frames_of
from corl_train.policies.tokens import Tokens, learn_tokens

MOST_EXPERTS = 8
"""Of a pool that a tiny controller can read, whichever they are."""


def vocabulary_of(
    protocol: Protocol,
    pool: Pool,
    budgets: Sequence[Budget],
    problems: Iterable[str],
    *,
    words: int,
) -> Tokens:
    """Tokens for one protocol, one pool and the budgets to train for; it reads no other opening.

    Args:
        protocol: its templates and tags give phrases.
        pool: its experts give names and lines of the listing.
        budgets: theirs are the first lines of a conversation.
        problems: statements, for the commonest words.
        words: how many of these to learn.

    Raises:
        ConfigError: the protocol writes two of the budgets alike.
    """
    names = [expert.name for expert in pool.experts]
    numbers = [str(number) for number in range(1, protocol.max_calls + 1)]
    before_last = range(1, protocol.max_calls)
    agreeing = [
        ",".join(map(str, chosen))
        for size in before_last
        for chosen in combinations(before_last, size)
    ]
    known: dict[str, Sequence[str]] = {
        "expert": names,
        "number": numbers,
        "agrees": ["-", *agreeing],
    }
    phrases = [phrase for text in protocol.texts.values() for phrase in _phrases(text, known)]
    call, answer = protocol.call_tag, protocol.answer_tag
    phrases += [f'<{call} expert="{name}"></{call}>' for name in names]
    phrases += [f'<{answer} from="{source}"/>' for source in (*names, *numbers)]
    phrases += [f'<{call} expert="', f"</{call}>", f"<{answer}>", f"</{answer}>", *names]
    phrases += [f"{sign}{name}" for sign in ",;" for name in names]  # a tally, name by name
    phrases += [f"{number}%" for number in range(101)]
    # The listing of a pool and the lines of the budgets do not change: a token each.
    infos = [ExpertInfo.of(expert) for expert in pool.experts]
    for budget in budgets:
        opening = protocol.opening("", budget, infos)
        phrases += [f"{line}\n" for line in opening.splitlines() if line]
    phrases = [phrase for phrase in dict.fromkeys(phrases) if len(phrase) > 1]
    frames = frames_of(protocol, infos, budgets)
    return learn_tokens(problems, phrases=phrases, words=words, frames=frames)


def open_vocabulary_of(
    protocol: Protocol, subjects: Iterable[str], problems: Iterable[str], *, words: int
) -> Tokens:
    """Tokens for one protocol that names experts by letters, with any pool at any budget.

    Args:
        protocol: its templates and tags give phrases.
        subjects: that cards may name.
        problems: statements, for the commonest words.
        words: how many of these to learn.
    """
    names = list(LETTERS[:MOST_EXPERTS])
    numbers = [str(number) for number in range(1, protocol.max_calls + 1)]
    known: dict[str, Sequence[str]] = {"expert": names, "number": numbers}
    texts = {name: text for name, text in protocol.texts.items() if name != "listing"}
    phrases = [phrase for text in texts.values() for phrase in _phrases(text, known)]
    call, answer = protocol.call_tag, protocol.answer_tag
    phrases += [f'<{call} expert="{name}"></{call}>' for name in names]
    phrases += [f'<{answer} from="{name}"/>' for name in names]
    phrases += [f"{sign}{name}" for sign in (*",;\n ", "") for name in names]
    phrases += [f"{number}%" for number in range(101)]
    phrases += [f" {figure}" for figure in (*SHARES, *FITS)]
    phrases += [f"{start}{subject}" for subject in (OVERALL, *subjects) for start in ("", "\n")]
    phrases += [f" {name} {grade}" for name in names for grade in GRADES]
    # Alone, a mark for nothing would be read together with the sign behind it.
    single = {*names, "-"}
    phrases = [p for p in dict.fromkeys([*phrases, "-"]) if len(p) > 1 or p in single]
    return learn_tokens(problems, phrases=phrases, words=words, frames=open_frames_of(protocol))


def _phrases(template: str, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What a template says between the places whose values nobody can list."""
    parts: list[Sequence[str]] = []
    for literal, place, _, _ in Formatter().parse(template):
        parts.append([literal])
        if place is not None and place in known:
            parts.append(known[place])
        else:
            yield from map("".join, product(*parts))
            parts = []
    yield from map("".join, product(*parts))
