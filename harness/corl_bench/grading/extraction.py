r"""Finds the answer in a model's reply, and never picks a number out of its working.

One pass over the text for each place where an answer is stated, most explicit first: the last
box, the `"answer"` field of a JSON reply, "the final answer is …", `#### n`, the last bold
text, a reply that is nothing but an answer, and the end of the last sentence. Thinking blocks
do not count, and a reply that was cut off in its working has no answer.

    >>> extract(r"We get $\frac{3}{70}$, so \boxed{73}.")
    '73'
    >>> extract("First 6, then 7 and 12, and") is None
    True
"""

from __future__ import annotations

import re
from typing import Final

from corl_bench.grading.marks import (
    Extraction,
    answer_in_field,
    box_answer,
    closed_boxes,
    cut_box,
    json_field,
    tag,
)
from corl_bench.types import AnswerKind

MAX_CHARS: Final = 400_000
"""Of a longer reply only the end is read."""
MAX_BARE_CHARS: Final = 400

_THOUGHT_END: Final = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_THOUGHT_START: Final = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_TURN_MARK: Final = re.compile(r"<\|[a-z_]{2,20}\|>|</s>")
_CLOSING_WORDS: Final = re.compile(r"\s{0,3}I hope (?:it|this) is correct[.!]?\s*$")
_BLANKS: Final = re.compile(r"[ \t\xa0]{3,}")
_PHRASE: Final = re.compile(
    r"(?:final answer|correct answer|answer|correct (?:option|choice))(?![A-Za-z])[*_]*\s{0,4}"
    r"(?:(?:is|should be|must be|would be|will be|was|therefore)\b\s{0,4}"
    r"(?:for sure\b|therefore\b)?"
    r"\s{0,4}:?|[:=→⇒]|[-=]>|(?=\$|\\\(|\\\[|\*\*|\\boxed))\s{0,4}",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"(?:^|\n)[\s>*#-]*(?:ans\.|(?:ans|a|result|solution|total)\b\.?\**\s{0,4}[:=→])\s{0,4}|答案(?:是|为)?\s*[:：]?\s*",
    re.IGNORECASE,
)
_HASH: Final = re.compile(r"(?:^|\s)####\s*(\S.*)$", re.MULTILINE)
_BOLD: Final = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_MATHS: Final = re.compile(
    r"\$\$(.{1,2000}?)\$\$|(?<![\\\w])\$(?! ?\d[\d,.]* [a-z])((?:[^$\\]|\\.){1,2000})\$"
    r"|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]",
    re.DOTALL,
)
_AFTER: Final = re.compile(
    r"(?:\.|!)(?:\s|$)|,? (?:because|since|as|which|not|where|so|for|when|if|it|but)\b"
    r"|\s\(|;\s|\n|\s[—–]\s"
)
_CHOICE: Final = re.compile(r"\(?\b([A-J])\b\)?(?=$|[\s.,:;)\\}*$])")
_EITHER: Final = re.compile(r"\(?\b[A-J]\)? or \(?[A-J]\b")
_CHOICE_HEAD: Final = re.compile(
    r"^[\s$*({\[]*(?:\\(?:text|textbf|mathrm|mathbf|rm|bf)\s*\{)?\s*\(?([A-J])\)?(?=$|[\s.,:;)\\}*$])"
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z$\\*])")
_STATES: Final = re.compile(r"\b(?:is|are|equals?|it's|by)\b|[=:≈]")
_NUMBER: Final = re.compile(
    r"(?<![\w.$\\])-?\\?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?:\\?%|€|°)?(?![\w$])"
)
_CONCLUDES: Final = re.compile(
    r"^\W*(?:therefore|thus|hence|so|final answer|finally|in conclusion|the|this|we|consequently"
    r"|since|it|there|that|solution|here|not|special|now|factoring)\b",
    re.IGNORECASE,
)
_EXPLAINED: Final = re.compile(
    r"\n\s*(?:\**(?:explanation|reason|reasoning|because|since|working|proof|check|note|step)\b)",
    re.IGNORECASE,
)
_IS: Final = re.compile(r"\b(?:is|are|equals?)\b[:\s]*(?=[$\\])")
_CONCLUSION: Final = re.compile(r"\b(?:So|Therefore|Thus|Hence|Final Answer)\b")
_QUANTITY: Final = re.compile(
    r"(?:approximately |about |exactly |a total of |only )?"
    r"(-?\\?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?:%|€|°)?|[A-J])"
    r"((?: ?[a-zA-Z²³]+(?![a-zA-Z²³])){0,6})[.!]?"
)
_QUANTITIES: Final = re.compile(
    r"(?:-?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?:, and |, or |, | and | or )){1,8}"
    r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?[.!]?"
)
_HEDGED: Final = re.compile(
    r"\b(?:not|never|no|less|fewer|more|greater|least|most|between|under|above|below|except|nearly"
    r"|than|until|year|step|case|question|problem|part)\b",
    re.IGNORECASE,
)
_TEXT_COMMAND: Final = re.compile(
    r"\\[a-z]*text[a-z]*\s*\{[^{}]*\}|\\mbox\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_VERB: Final = re.compile(r"\b(?:is|are|be|we|you|it|find|let|get)\b", re.IGNORECASE)
_UNFINISHED: Final = re.compile(r"(?:\b(?:and|or|the|of|to|then)|(?<!\\)[,=+])\s*$")
_PROSE_WORD: Final = re.compile(r"[A-Za-z]{2,}")


def extract(response: str | None, *, kind: AnswerKind = "math") -> str | None:
    """The stated answer of a reply; None where it states none."""
    found = find_answer(response, kind=kind)
    return None if found is None else found.answer


def find_answer(response: str | None, *, kind: AnswerKind = "math") -> Extraction | None:
    """The stated answer of a reply, and where it stands; None where it states none."""
    if not response:
        return None
    text = strip_thinking(response[-MAX_CHARS:])
    if "<|" in text or "</s>" in text:
        text = next((part for part in _TURN_MARK.split(text) if part.strip()), "")
    text = _BLANKS.sub("  ", text).strip()
    text = text.removeprefix("```").removesuffix("```").strip()
    text = text[:-60] + _CLOSING_WORDS.sub("", text[-60:])
    if not text:
        return None
    field = json_field(text)
    boxes = closed_boxes(text)
    if boxes and (field is None or boxes[-1][1] > field[1]):
        return box_answer(text, boxes)
    if field is not None and field[0]:
        return answer_in_field(field[0])
    if field is not None:
        # A form left empty: only what stands behind it can still be an answer.
        text = text[field[1] :].partition("}")[2].strip(" \n`")
    if kind == "choice":
        return _choice(text)
    for find in (tag, cut_box, _phrase, _hash, _bold, _bare, _ending):
        found = find(text)
        if found is not None and found.answer.strip():
            return found
    return None


def strip_thinking(text: str) -> str:
    """What follows the last thinking block; nothing, if the last one never ended."""
    if "<" not in text:
        return text
    ends = [match.end() for match in _THOUGHT_END.finditer(text)]
    after = text[ends[-1] :] if ends else text
    start = _THOUGHT_START.search(after)
    return after[: start.start()] if start else after


def choice_letter(text: str) -> str | None:
    r"""The letter that a choice such as `(C)`, `\textbf{(C) } 12` or `C. 12` begins with."""
    match = _CHOICE_HEAD.match(text)
    return match[1] if match else None


def _choice(text: str) -> Extraction | None:
    """A letter, stated: after "the answer is", at the head of the reply, or as its last word."""
    phrases = list(_PHRASE.finditer(text)) or list(_LABEL.finditer(text))
    if phrases:
        letter = _CHOICE.search(text[phrases[-1].end() : phrases[-1].end() + 60])
        if letter:
            return Extraction(letter[1], "phrase")
    head = None if _EITHER.match(text) else _CHOICE_HEAD.match(text)
    if head and head[1] in "AI" and re.match(r" [a-z]", text[head.end() : head.end() + 2]):
        head = None  # an article or a pronoun
    if head and (len(text) < MAX_BARE_CHARS or text[head.end() : head.end() + 1] in ".):"):
        return Extraction(head[1], "bare")
    if _EITHER.search(text[-200:]):
        return None
    letters = _CHOICE.findall(_last_sentence(text))
    letters = [letter for letter in letters if letter not in "AI"] or letters
    return Extraction(letters[-1], "ending") if letters else None


def _phrase(text: str) -> Extraction | None:
    """What the last "the answer is …" or "Answer: …" states."""
    matches = list(_PHRASE.finditer(text)) or list(_LABEL.finditer(text))
    for match in reversed(matches[-5:]):
        rest = text[match.end() : match.end() + 3000].lstrip("*: \n…")
        value = _statement(rest)
        if value:
            return Extraction(value, "phrase")
    return None


def _statement(rest: str) -> str | None:
    """The answer at the beginning of `rest`: maths in delimiters, bold text, or a few words."""
    maths = _MATHS.match(rest)
    if maths:
        value = maths[0]
        tail = rest[maths.end() :]
        if unit := re.match(r"\s?(%|percent\b|pct\b)", tail):
            return value + unit[0]
        while more := re.match(r",?\s*(?:and|or|,)\s*", tail):
            following = _MATHS.match(tail[more.end() :])
            if not following:
                break
            value += more[0] + following[0]
            tail = tail[more.end() + following.end() :]
        return value
    line = rest.split("\n", 1)[0]
    cut = _AFTER.search(line)
    short = (line[: cut.start()] if cut else line).strip().strip('*"').strip()
    if not short or len(short) > MAX_BARE_CHARS:
        return None
    if _is_short(short):
        return short
    stated = list(_STATES.finditer(line))
    if stated:
        return _statement(line[stated[-1].end() :].strip().strip("*").strip())
    return _only_quantity(short)


def _is_short(text: str) -> bool:
    """Whether text is an answer rather than a sentence: few words outside the maths."""
    plain = _TEXT_COMMAND.sub(" ", _MATHS.sub(" 1 ", text))
    words = [w for w in _PROSE_WORD.findall(plain) if w.lower() not in ("and", "or")]
    if len(words) > 4 or _VERB.search(plain) or _UNFINISHED.search(text):
        return False
    first = _MATHS.search(text)
    # Words, a colon and then maths: the maths is the answer, and the words announce it.
    return first is None or not re.search(r"[A-Za-z]{2,}[^$\\]*:", text[: first.start()])


def _hash(text: str) -> Extraction | None:
    found = _HASH.findall(text) if "####" in text else []
    if found and _is_short(found[-1]):
        return Extraction(found[-1].strip(), "hash")
    return None


def _bold(text: str) -> Extraction | None:
    found = _BOLD.findall(text[-2000:]) if "**" in text else []
    if found and _is_short(found[-1]) and not found[-1].rstrip().endswith(":"):
        value = found[-1].strip()
        if re.search(r"\d|\\|^[A-J]$|^\(?[A-J]\)?", value):
            return Extraction(value, "bold")
    return None


def _bare(text: str) -> Extraction | None:
    """A reply that is nothing but an answer, or whose last line is."""
    if len(text) <= MAX_BARE_CHARS or " " not in text[:200_000]:
        if "\n" not in text and _is_short(text):
            return Extraction(_only_statement(_before_reason(text)), "bare")
        head = _before_reason(text.split("\n", 1)[0])
        if "\n" not in text and head != text and _QUANTITY.fullmatch(head):
            return Extraction(head, "bare")
    head, line_end, _ = text.partition("\n")
    if line_end and _EXPLAINED.match(text, len(head)) and _QUANTITY.fullmatch(head.strip("* $")):
        return Extraction(head.strip("* $"), "bare")
    line = text.rsplit("\n", 1)[-1].strip()
    if line and len(line) <= MAX_BARE_CHARS:
        maths = _MATHS.fullmatch(line.rstrip("."))
        if maths or re.fullmatch(r"-?[\d,]*\.?\d+|[A-J]", line.rstrip(".")):
            return Extraction(line, "bare")
    if len(text) <= MAX_BARE_CHARS and line.endswith(("\\]", "\\)", "$$")):
        display = list(_MATHS.finditer(text))
        if display and display[-1].end() == len(text):
            return Extraction(display[-1][0], "ending")
    return None


def _only_statement(text: str) -> str:
    """The one number of a short sentence ("She makes $18 daily."); other text as it is."""
    maths = list(_MATHS.finditer(text))
    words = _PROSE_WORD.findall(_MATHS.sub(" ", text))
    if len(words) < 2 or not words[0][0].isupper() or _HEDGED.search(text):
        return text
    if len(maths) == 1 and _PROSE_WORD.match(text):
        return maths[0][0]
    return text if maths or "\\" in text else _only_quantity(text) or text


def _before_reason(text: str) -> str:
    cut = re.search(r",? (?:because|since)\b", text)
    return text[: cut.start()] if cut else text


def _last_sentence(text: str) -> str:
    """From the last full stop, empty line or word of conclusion on."""
    sentence = _SENTENCE_END.split(text[-3000:])[-1].rsplit("\n\n", 1)[-1]
    conclusions = list(_CONCLUSION.finditer(sentence))
    return sentence[conclusions[-1].start() :] if conclusions else sentence


def _ending(text: str) -> Extraction | None:
    """What a closing sentence says.

    That is its last maths, else the quantity after its last "is", else its only number.
    """
    if not re.search(r'[.!$\])°%€*}²³\d]["\s]*$', text):
        return None  # cut off in the middle of a sentence
    sentence = _last_sentence(text)
    if not _CONCLUDES.match(sentence) and len(text) > MAX_BARE_CHARS:
        return None
    stated = list(_STATES.finditer(sentence))
    maths = list(_MATHS.finditer(sentence))
    named = list(_IS.finditer(sentence))
    if named and len(maths) > 1:
        value = _statement(sentence[named[-1].end() :])
        if value and sentence.rstrip(".! ").endswith(value):
            return Extraction(value, "ending")  # all of "the roots are $2$, $3$ and $5$"
    if maths and (not stated or maths[-1].end() > stated[-1].start()):
        return Extraction(maths[-1][0], "ending")
    for match in reversed(stated):
        quantity = _QUANTITY.fullmatch(sentence[match.end() :].strip(' "*'))
        if quantity:
            return Extraction(quantity[0].rstrip(".!"), "ending")
        if _QUANTITIES.fullmatch(sentence[match.end() :].strip(' "*')):
            return Extraction(sentence[match.end() :].strip(' "*.!'), "ending")
    only = _only_quantity(sentence)
    if only is not None:
        return Extraction(only, "ending")
    return Extraction(maths[-1][0], "ending") if maths else None


def _only_quantity(sentence: str) -> str | None:
    """The number in a sentence that holds exactly one and no maths."""
    found = _NUMBER.findall(sentence)
    return found[0].rstrip(",") if len(found) == 1 and not _MATHS.search(sentence) else None
