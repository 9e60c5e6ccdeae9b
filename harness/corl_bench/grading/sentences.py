r"""What a closing sentence, or a last line, states; the working before it is not looked at.

A sentence states what follows its last "is", "=" or "has", its one number, or how many "there
are". It states nothing where it asks, denies, describes a step ("then divide by 2"), or holds a
second number: no answer is better than a wrong one.

    >>> claim("Thus, there are 11 real values of $x$ for which $x^2$ is an integer.")
    '11'
    >>> claim("As 73 is a prime, we know nothing.") is None
    True
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from corl_bench.grading.clauses import (
    QUOTES,
    STATES,
    closing_sentence,
    main_clause,
    without_aside,
)
from corl_bench.grading.delimiters import HIDDEN, Span, masked, maths_spans
from corl_bench.grading.numerals import (
    NUMBER,
    QUANTITY,
    STEP,
    is_answer,
    only_number,
    stated_number,
)
from corl_bench.grading.vocabulary import NUMBER_WORDS
from corl_bench.patterns import regex

MAX_SHORT_CHARS: Final = 400
"""A whole reply up to this length may be nothing but an answer and a few words."""
MAX_SENTENCE_CHARS: Final = 1000
"""Longer text is no sentence; what follows may take time that grows with its square."""
_CONCLUDES: Final = regex(
    r"\W*(?:therefore|thus|hence|so|final answer|finally|in conclusion|in total|altogether|overall"
    r"|the|this|we|consequently|since|if|it|there|that|solution|here|special|now|factoring"
    r"|answer|result|total|grand total)\b",
    re.IGNORECASE,
)
_CHECKS: Final = regex(
    r"\W*(?:(?:let us |let's |we can |to |now )*(?:double[- ])?(?:check|verif)"
    r"|i (?:double-)?checked|note\b|remember\b)|.*[✓✔☑✅]\W*$|.*\b(?:confirm|verif)\w*"
    r"|.*\b(?:which matches|matching|as expected|is consistent)\b",
    re.IGNORECASE,
)
_INSTRUCTS: Final = regex(
    r"\W*(?:consider|then|next|let|steps?|cases?|suppose|try|first|second|third|recall|problem"
    r"|question|part)\b(?!ly|,? the answer)",
    re.IGNORECASE,
)
_RESULTS: Final = regex(
    r"[=≈]|\b(?:gets?|gives?|yields?|leaves?|totals?|makes?|find|there (?:are|is))\b"
)
"""What a last line without a word of conclusion must have to state a result."""
_RELATIVE: Final = regex(
    r",? (?:such that|for which|satisfying|with the property|whose"
    r"|(?:that|which|who) (?:satisf(?:y|ies)|meets?|sums?|adds?|works?|divides?))\b"
)
_ROUNDED: Final = regex(r",? \(?or (?:about|approximately|roughly|around)\b")
_AGAIN: Final = regex(r",? \(?(?:i\.e\.|that is,|in other words,)")
"""Before the same in other words, which count where they state something."""
_INSTEAD: Final = regex(r"\b(?:which|but|rather|instead)\b")
_DENIAL: Final = regex(
    r"\b(?:cannot|never|neither|nor|unclear|unknown|impossible|(?:is|are|was|were|be|do|does|did|can"
    r"|could|will|would|has|have|had|may|might|should) ?(?:not|n't|n’t)"
    r"|(?:is|are|was|were) (?:wrong|incorrect|false|eliminated|excluded))\b|n['’]t\b",
    re.IGNORECASE,
)
_TAKEN_BACK: Final = regex(r"\((?:wrong|incorrect)\)|\b(?:is|was) (?:wrong|incorrect)\b")
_UNSURE: Final = regex(
    rf"\b(?:(?:might|may|could)(?: \w+)? (?:be|equal) [-\d${HIDDEN}]|maybe|perhaps|possibly"
    r"|my guess|suppose|consider\b)|^\W*(?:prove|show)\b",
    re.IGNORECASE,
)
_THERE_ARE: Final = regex(
    rf"^(?P<first>{NUMBER}|{HIDDEN}+) (?:is|are) (?:the|our)\b|"
    r"\b(?:there (?:are|is|will be|would be|were|exist|remain)"
    r"|(?:has|have|contains?|takes?|can take|gives us)(?= (?:exactly |only )?"
    rf"(?:{NUMBER}|{HIDDEN}+) (?:\w+ ){{0,3}}"
    r"(?:values|solutions|roots|divisors|factors|elements)\b))"
    rf" (?:only |exactly |a total of |in total )?(?P<count>{NUMBER}|{HIDDEN}+|[a-z-]+)"
    rf"(?= [a-z{HIDDEN}]|$)"
)
_COUNTS_ON: Final = regex(
    r"[=:]|^(?!.*\b(?:between|from)\b).*(?:,| and| plus| \+| or) (?:only |exactly )?\d"
)
"""After "there are N": more is counted, or the sum goes on."""
_ADVERB: Final = regex(
    r"(?:(?:simply|just|then|therefore|thus|also|now|indeed|only|located|precisely) )*"
    r"(?:at (?=[(\ue000])|equal to |given by )?"
)
_VERB: Final = regex(r"\b(?:is|are|equals?)\b")
_EQUALS: Final = regex(
    r"(?:^|(?<=[\s,:]))(?:[A-Za-z](?:_\w)?'? ?= ?[^\s,=][^,=]{0,30}?(?:,? and |,? or |, ))+"
    r"[A-Za-z](?:_\w)?'? ?= ?[^\s,=][^,=]{0,40}$"
)
"""Values of several letters, or several values of one, at the end of a sentence."""
_VARIABLE: Final = regex(r"(?<![A-Za-z°/])(?<!\d )[A-Za-z](?![A-Za-z/])")
_TIMES: Final = regex(r"(?:^|\d )x [$\d]|\d(?:g|m|s|h|L)\b")
_NAME: Final = regex(r"[^\dA-Za-z=]*(?:[A-Za-z]\w?|\\[a-z]+)(?:_\{?\w+\}?|'|\([^()=]*\))?\W*")
_LONE_NAME: Final = regex(r"\\?[A-Za-z]+(?:_\{?\w+\}?)?'?(?:\([a-z]\))? ?=[^=]*$")
_OPEN: Final = regex(r"(?<![\\A-Za-z])[a-zA-Z](?![A-Za-z])")
_WORD_OR_MATHS: Final = regex(r"\b[a-zA-Z]{2,}\b|[\d=]")
_TELLS: Final = regex(r"\b(?:is|are|was|were|be|has|have|had|equals|makes|gets|there)\b")
_LETTERS: Final = regex(r"[A-Za-z]{2,}")
CJK: Final = regex("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_HANGING: Final = regex(r"(?:\b(?:and|or|the|of|to|then|is|are|we|by|with|a|so)|(?<!\\)[,=+(])\s*$")
_FINISHED: Final = regex(r"[.!。！$\])°%€¢*}²³\d\"”]\s*$")


def ending(text: str) -> str | None:
    """What a reply ends in stating; None where it was cut off, or ends in its working."""
    if _HANGING.search(text[-20:]):
        return None
    sentence = closing_sentence(text).replace("**", "").replace("`", "")
    if _CHECKS.match(sentence) or re.fullmatch(r"\([^()]*[a-z=][^()]*\)\W*", sentence):
        return None
    if CJK.search(sentence):
        return _cjk_claim(sentence)
    concludes = len(text) <= MAX_SHORT_CHARS or _CONCLUDES.match(sentence) is not None
    if concludes and _FINISHED.search(text[-20:]):
        return claim(sentence)
    return _claim(sentence, told_only=True) if concludes or _RESULTS.search(sentence) else None


def _cjk_claim(sentence: str) -> str | None:
    """The number after the last sign of equality, or the only one, of a Chinese last clause."""
    clause = re.split(r"[。；;，,]", sentence.rstrip("。 ."))[-1]
    clause = re.split(r"因此|所以|于是|那么|故", clause)[-1]
    if re.search(r"不是|不等于|不为|并非|没有", clause):
        return None
    after = re.split(r"[=＝是为為]", clause)[-1]
    for part in (after, clause):
        found = re.findall(NUMBER, part)
        if len(found) == 1 and not re.search(r"不|没|非|第|[A-Za-z\\√π^]", part):
            return str(found[0]).strip()
    return None


def claim(sentence: str) -> str | None:
    """The answer that a sentence states; see the module."""
    return _claim(sentence, told_only=False)


def told(text: str) -> str | None:
    """The answer in a field or a box that holds a sentence; None where it holds no sentence."""
    if len(text) > MAX_SENTENCE_CHARS:
        return None
    veiled = masked(text)
    first = _WORD_OR_MATHS.search(veiled)
    if first is None or not first[0].isalpha() or not _TELLS.search(veiled, first.end()):
        return None
    if len(_LETTERS.findall(veiled)) < 3 or "\\" in veiled:
        return None
    return _claim(text, told_only=True)


def _claim(sentence: str, *, told_only: bool) -> str | None:
    if len(sentence) > MAX_SENTENCE_CHARS:
        return None
    sentence = " ".join(sentence.split()).rstrip("。！")
    if sentence.endswith(("?", "？")):
        return None
    if is_taken_back(sentence):
        return None
    sentence = without_aside(main_clause(sentence).rstrip(QUOTES + ".!"))
    veiled = masked(sentence)
    if (rounded := _ROUNDED.search(veiled)) is not None:
        sentence, veiled = sentence[: rounded.start()], veiled[: rounded.start()]
    value = _main_claim(sentence, veiled, told_only=told_only)
    if value is None and (again := _AGAIN.search(veiled)) is not None:
        start = again.start()
        return _main_claim(sentence[:start], veiled[:start], told_only=told_only)
    return value


def _main_claim(sentence: str, veiled: str, *, told_only: bool) -> str | None:
    """What a clause without reasons, conditions and roundings states."""
    if _UNSURE.search(veiled):
        return None
    denials = list(_DENIAL.finditer(veiled))
    if denials:
        return _beyond_denial(sentence, veiled, denials[-1].end())
    relative = _RELATIVE.search(veiled)
    if relative is not None:
        value = _stated(sentence, veiled, _VERB)
        if value is not None:
            return value
        sentence, veiled = sentence[: relative.start()], veiled[: relative.start()]
    if veiled.strip(HIDDEN) == "" and "=" in sentence:
        return sentence or None
    counted = _THERE_ARE.search(veiled)
    if counted is not None and not _COUNTS_ON.search(veiled[counted.end() :]):
        return _count(sentence, veiled, counted)
    value = _stated(sentence, veiled, STATES, numbers_only=told_only)
    if value is None and told_only and veiled.endswith(HIDDEN):
        value = _last_maths(sentence, veiled)
        return value if value is not None and "=" in value else None
    if value is not None or told_only:
        return value
    return _beside_names(sentence, veiled) or _last_maths(sentence, veiled) or only_number(veiled)


def _beyond_denial(sentence: str, veiled: str, denied_to: int) -> str | None:
    """What is so, after what is not: "the digit that does not occur is 4", "not 3, but 4"."""
    instead = _INSTEAD.search(veiled, denied_to)
    start = instead.start() if instead else denied_to
    if instead is None and re.search(
        r"\b(?:that|if|whether|why|how|what|think|believe|say|claim)\b", veiled[start:]
    ):
        return None
    if instead is not None and (number := stated_number(sentence[instead.end() :].strip())):
        return number
    return _stated(sentence[start:], veiled[start:], _VERB)


def is_aside(text: str) -> bool:
    """Whether a line is a check or an instruction, and so states nothing."""
    return _CHECKS.match(text) is not None or _INSTRUCTS.match(text) is not None


def is_denied(text: str) -> bool:
    """Whether a text says what is not so."""
    return _DENIAL.search(text) is not None


def is_taken_back(text: str) -> bool:
    """Whether a text calls wrong what it names: "24 (wrong)"."""
    return _TAKEN_BACK.search(text) is not None


def states_so_far(text: str) -> bool:
    """Whether a text ends in "is", "=" or the like, so that what follows is what it states."""
    text = text.rstrip(QUOTES)
    found = list(STATES.finditer(text))
    return bool(found) and found[-1].end() == len(text)


def _count(sentence: str, veiled: str, found: re.Match[str]) -> str | None:
    """How many "there are"."""
    group = "first" if found["first"] else "count"
    count = found[group]
    if count[0] == HIDDEN:
        start = found.start(group)
        value = sentence[start : start + len(count)].rstrip()
        named = _NAME.fullmatch(value.strip("$\\()[] ")) is not None
        return None if named or (group == "count" and _is_open(value)) else value
    if count[0].isalpha():
        return count if count in NUMBER_WORDS and count != "one" else None
    if re.search(r"\b(?:steps|cases|parts|or \d)\b", veiled[found.end() :]):
        return None
    return count.rstrip(",")


def _stated(
    sentence: str, veiled: str, states: re.Pattern[str], *, numbers_only: bool = False
) -> str | None:
    """What stands between the last verb or sign of equality and the end."""
    several = _EQUALS.search(veiled) if veiled.count("=") > 1 else None
    if several is not None and _is_solution(several[0]):
        return sentence[several.start() :]
    for match in reversed(list(states.finditer(veiled))):
        start = match.end() + len(veiled[match.end() :]) - len(veiled[match.end() :].lstrip(QUOTES))
        rest = veiled[start:].rstrip(QUOTES)
        adverb = _ADVERB.match(rest)
        if adverb is not None:
            start, rest = start + adverb.end(), rest[adverb.end() :]
        value = sentence[start : start + len(rest)]
        if rest[:1] == HIDDEN:
            return _listed(value, rest)
        number = stated_number(rest)
        if number is not None:
            if match[0] != "=":
                return number
            before = veiled[: match.start()]
            return None if _is_cut(before, number) else _equation(before, number)
        if QUANTITY.fullmatch(rest):
            return None
        if is_answer(rest):
            return None if match[0] == "=" and ("," in rest or numbers_only) else value
    return None


def _is_cut(before: str, value: str) -> bool:
    """Whether a chain of equations breaks off: its last side only begins like the one before."""
    side = before.rpartition("=")[2].strip()
    return side != value and side.startswith(value) and before.count(side) > 1


def _is_solution(equations: str) -> bool:
    """Whether `x = 3, x = 4` are values rather than steps towards one."""
    parts = re.split(r",? and |,? or |, ", equations)
    names = {part.partition("=")[0].strip() for part in parts}
    values = [part.partition("=")[2].strip(" .") for part in parts]
    return len(names) == len(parts) or all(re.fullmatch(NUMBER, value) for value in values)


def _equation(before: str, value: str) -> str:
    """The whole of `a + b = 5`, for whose left side may be what was asked; else the value."""
    left: list[str] = []
    for token in reversed(before.rpartition("\n")[2].split()):
        if _LETTERS.search(token) or token.endswith((",", ":", ";")):
            break
        left.insert(0, token)
    formula = " ".join(left)
    others = formula.split("=")[1:]
    if others and not any(_VARIABLE.search(side) for side in others):
        return value  # `4x = 4 * 8 = 32` says what 4x is
    if HIDDEN in formula or not _VARIABLE.search(formula) or formula[0] in "=*+/)÷×":
        return value
    if formula.count("(") != formula.count(")") or _TIMES.search(formula):
        return value
    return f"{formula} = {value}"


def _listed(value: str, rest: str) -> str | None:
    """Maths, and what is listed with it; of unlike parts the last, which is what was asked for."""
    spans = maths_spans(value)
    gaps = [rest[a.end : b.start].strip() for a, b in pairwise(spans)]
    if not spans:
        return None
    tail = rest[spans[-1].end :].strip()
    if any(gap not in ("", ",", "and", "or", ", and", ", or", ",and") for gap in gaps):
        return None
    relations = ["=" in value[span.start : span.end] for span in spans]
    if tail and not QUANTITY.fullmatch(f"1 {tail}") and tail not in ("%", "°"):
        return None
    if len(set(relations)) > 1 or "" in gaps or not _same_kind(value, spans):
        return value[spans[-1].start : spans[-1].end]
    return value if tail in ("%", "°", "percent") else value[: spans[-1].end]


def _same_kind(value: str, spans: list[Span]) -> bool:
    """Whether each part is a value of a letter if the first one is."""
    parts = [value[span.start : span.end].strip("$\\()[] ") for span in spans]
    lone = [_LONE_NAME.match(part) is not None for part in parts]
    return lone[0] == lone[-1]


def _is_open(maths: str) -> bool:
    """Whether maths is a name, or an expression in letters without a relation."""
    inside = maths.strip("$\\()[] ")
    return "=" not in inside and (
        _NAME.fullmatch(inside) is not None or (_OPEN.search(inside) is not None)
    )


def _beside_names(sentence: str, veiled: str) -> str | None:
    """The one number of a sentence whose maths only names things."""
    spans = maths_spans(sentence)
    if not spans or not all(_is_open(sentence[a:b]) for a, b in spans):
        return None
    return only_number(re.sub(f"{HIDDEN}+", "x", veiled))


def _last_maths(sentence: str, veiled: str) -> str | None:
    spans = maths_spans(sentence)
    if not spans or STEP.search(veiled):
        return None
    value = sentence[spans[-1].start : spans[-1].end]
    inside = value.strip("$\\()[] ")
    return None if _NAME.fullmatch(inside) and len(sentence) > len(value) else value
