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

from corl_bench.grading.choices import chosen
from corl_bench.grading.delimiters import masked, maths_spans
from corl_bench.grading.marks import (
    Extraction,
    answer_in_field,
    box_answer,
    closed_boxes,
    cut_box,
    json_field,
    tag_answer,
    tags,
)
from corl_bench.grading.numerals import NUMBER, QUANTITY
from corl_bench.grading.sentences import (
    CJK,
    MAX_SHORT_CHARS,
    claim,
    ending,
    is_aside,
    is_denied,
    is_taken_back,
    states_so_far,
    told,
)
from corl_bench.grading.turns import spoken
from corl_bench.patterns import regex
from corl_bench.types import AnswerKind

MAX_CHARS: Final = 400_000
"""Of a longer reply only the end is read."""
MAX_TRAILER_CHARS: Final = 1500

_CLOSING_WORDS: Final = regex(r"\s{0,3}I hope (?:it|this) is correct[.!]?\s*$")
_BLANKS: Final = regex(r"[ \t\xa0]{3,}")
_PHRASE: Final = regex(
    r"(?<![A-Za-z-])(?:final answer|correct answer|answer|correct (?:option|choice))"
    r"(?![A-Za-z])[*_]*\s{0,4}"
    r"(?:(?:is|should be|must be|would be|will be|was|therefore)\b\s{0,4}"
    r"(?:for sure\b|therefore\b)?"
    r"\s{0,4}:?|[:：=→⇒]|[-=]>|(?=\$|\\\(|\\\[|\*\*|\\boxed))\s{0,4}"
    r"|(?:最终答案|最终结果|答案|答え|정답)[*_]*\s{0,2}(?:[是为為は은]\s{0,2}[:：]?|[:：])\s{0,4}"
    r"|\b(?:r[ée]ponse|antwort|respuesta|risposta|resposta|ответ)(?: (?:finale?|final))?"
    r"[*_]*\s{0,2}"
    r"(?:(?:est|ist|es|è|é|lautet)\b\s{0,2}:?|[:：])\s{0,4}",
    re.IGNORECASE,
)
_REFUSED: Final = regex(
    r"\b(?:cannot|can['’]t|unable to|refuse to|(?:could|do|does|did) ?(?:not|n['’]t))"
    r" (?:\w+ ){0,2}(?:confirm|say|state|claim|conclude|agree|accept|believe|think|verify"
    r"|guarantee)\b[^.!?\n]*$"
    r"|\b(?:suppose|assume|assuming|prove|show|if|whether)(?: that)?(?: the)? $"
    r"|\b(?:expected|initial|wrong|incorrect) $",
    re.IGNORECASE,
)
"""Before "the answer is": who writes so does not state it."""
_NOT_BEFORE: Final = regex(r"\bnot [$\\(\[ ]{0,4}$")
_SIGN_BEFORE: Final = regex(r"(?:(?:^|[\s(=$*+/])[-\u2212]|[=(] ?[-\u2212] ?|\\sqrt ?|\^)$")
_WRONG_AFTER: Final = regex(
    r"[$\\)\] ]{0,5}(?:(?:is|was) (?:wrong|incorrect|not)\b|\((?:wrong|incorrect|not)\b)"
    r"|\.?\d|\^(?!\{?\s?\\circ)|[*/] ?\d"
)
"""Behind a box: it is taken back, or only a part of a number or a formula."""
_REJECTED: Final = regex(
    r"[^.!?\n]{0,60}? ?\((?:wrong|incorrect|false|not correct)\)"
    r"|[^.!?\n]{0,60}[.!?\"”,]* (?:but |wait, |no, |however, )?"
    r"(?:I disagree|(?:that|this|which) (?:is|was|seems)"
    r" (?:wrong|incorrect|false|not (?:right|correct)))\b",
    re.IGNORECASE,
)
_SHORT_LABEL: Final = regex(
    r"(?:^|\n)[ \t>*#-]{0,12}(?:ans\.|(?:ans\b|(?-i:A)\b)\.?\**\s{0,4}[:→])\**\s{0,4}",
    re.IGNORECASE,
)
_LAST_LABEL: Final = regex(
    r"[\s>*#-]*(?:ans|result|solution|(?:grand |final )?total|final result|total \w+)\b\.?\**"
    r"\s{0,4}[:=→]\**\s{0,4}",
    re.IGNORECASE,
)
_HASH: Final = regex(r"(?:^|\s)####\s*(\S.*)$", re.MULTILINE)
_BOLD: Final = regex(r"\*\*([^*\n]{1,200})\*\*|__([^_\n]{1,200})__")
_AFTER: Final = regex(
    r"\.(?:\s|$)|!(?:$|\s+[^a-z\d\s+*/=)<>-])|。"
    r"|,? (?:because|since|as|which|not|where|so|for|when|if|it|but|non)\b"
    r"|(?<![-+*/=({\[,])(?<!\\cup)(?<!\\cap)\s\((?=[A-Za-z]{2}|[=≈~]|[^()\n]{0,60}=)"
    r"|;\s|\n|\s[—–]\s(?!\d)"
)
_EXPLAINED: Final = regex(
    r"\n\s*(?:\**(?:explanation|reason|reasoning|because|since|working|proof|check|note|step)\b)",
    re.IGNORECASE,
)
_TRAILER: Final = regex(
    r"[\s>*_(#-]*(?:\d{1,2}[.)] +)?(?:(?:important |please )?note\b"
    r"|remark\b|let me know|feel free|i hope|hope this|if you (?:have|need|would|want)"
    r"|(?:would|does|do|is|are|shall|should|can|could|any)\b[^\d$\\?\n]*\?\W*$"
    r"|please let|(?:double[- ])?check\b|verif|to (?:check|verify)"
    r"|(?:we can|let's|let us) (?:double[- ])?(?:check|verify)|-{3,}$)",
    re.IGNORECASE,
)
_OPEN_FORM: Final = regex(r"(?:```)?\w*\s*\{\s*[\"']")
_PARAGRAPH: Final = regex(r"\n\s*\n|\n(?=-{3,}\s)")
_CONCLUDES: Final = regex(r"\b(?:[Ss]o|[Tt]herefore|[Tt]hus|[Hh]ence)\b")
_CHECKED: Final = regex(r"[✓✔☑✅]\s*$")
_SYMBOLS: Final = regex(
    "(?:(?<=[\\d)}$%*])\\s?[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]{1,6})?"
    "[\\s\u2190-\u21ff\u2600-\u27bf\ufe0f\U0001f300-\U0001faff\u3002]*$"
)
"""Marks of joy, full stops, and what is counted in Chinese, Japanese or Korean."""
_BOLD_ANSWER: Final = regex(rf"(?:{NUMBER}|[$\\(\[{{√π]|\(?[A-J]\b|[^:]*=)")
_HEADING: Final = regex(r"^(?:> ?|#{1,6} )(?=\S)")
_YES_NO: Final = regex(r"(Yes|No)(?:[.!]|$|, (?:[^\d$\\]{1,80}$|(?:because|since|as)\b))")
_NAMED: Final = regex(
    r"(?:The|Its?|This|That|They|These) [^\d.,;:?!\\$=]{0,60}?\b(?:is|are|was|were)"
    r" (?:an? |the )?(?P<word>[A-Za-z]+(?: [a-z]+)?)\.?"
)
"""A reply that says in one sentence what or how something is, in a word or two."""
_CONTRASTED: Final = regex(r"not [^.;\n]{1,60}?,? but (?:rather )?")
_DENIED: Final = regex(r"not (?=[$\\(\d-]|[A-J]\b|equal)")
_LONE: Final = regex(rf"\**_*(?:{NUMBER}|[A-J])_*\**")
_HEDGED: Final = regex(
    r"\b(?:not|never|no|less|fewer|more|greater|least|most|between|under|above|below|except|nearly"
    r"|than|until|year|step|case|question|problem|part)\b",
    re.IGNORECASE,
)
_TEXT_COMMAND: Final = regex(r"\\[a-z]*text[a-z]*\s*\{[^{}]*\}|\\mbox\s*\{[^{}]*\}|\\[A-Za-z]+")
_VERB: Final = regex(r"\b(?:is|are|be|equals?|we|you|it|find|let|get)\b", re.IGNORECASE)
_WORDED: Final = regex(
    r"(?<![A-Za-z])(?!(?:sin|cos|tan|cot|sec|csc|log)\b)[A-Za-z]?[a-z]{3}|\$|\d ?(?:g|m|s|h|L)\b"
)
_NO_ANSWER: Final = regex(
    r"(?:(?:an?|the) )?(?:(?:whole|positive|negative|single|exact|integer|real) )*"
    r"(?:number|integer|fraction|decimal|same|form|correct|incorrect|wrong|right|as follows|below"
    r"|above|given|expressed|rounded|obvious|clear)\b(?! [$\\\d])",
    re.IGNORECASE,
)
"""What "the answer is …" may say without stating it."""
_UNFINISHED: Final = regex(r"(?:\b(?:and|or|the|of|to|then)|(?<!\\)[,=+])\s*$")
_PROSE_WORD: Final = regex(r"[A-Za-z]{2,}")


def extract(response: str | None, *, kind: AnswerKind = "math") -> str | None:
    """The stated answer of a reply; None where it states none."""
    found = find_answer(response, kind=kind)
    return None if found is None else found.answer


def find_answer(response: str | None, *, kind: AnswerKind = "math") -> Extraction | None:
    """The stated answer of a reply, and where it stands; None where it states none."""
    if not response:
        return None
    text = _BLANKS.sub("  ", spoken(response[-MAX_CHARS:])).strip()
    text = text.removeprefix("```").removesuffix("```").strip()
    text = text[:-60] + _CLOSING_WORDS.sub("", text[-60:])
    if not text:
        return None
    field = json_field(text)
    closed = closed_boxes(text)
    boxes = [box for box in closed if not _is_denied_box(text, box)]
    if boxes and max(field[1] if field else 0, _last_mark(text)) < boxes[-1][1]:
        return _plainly(box_answer(text, boxes), kind)
    if field is not None and field[0]:
        return _plainly(answer_in_field(field[0]), kind)
    if field is not None:
        # A form left empty: only what stands behind it can still be an answer.
        text = text[field[1] :].partition("}")[2].strip(" \n`")
    if kind == "choice":
        return _choice(text)
    tagged = tags(text)
    if tagged:
        return _plainly(tag_answer(tagged[-1][1]), kind)
    for find in (_phrase, _hash) if closed else (cut_box, _phrase, _hash):
        found = find(text)
        if found is not None and found.answer.strip():
            return found
    if _OPEN_FORM.match(text) and not text.endswith("}"):
        return None  # cut off before the answer field
    text = _without_trailer(text)
    for find in (_last_label, _bold, _bare, _ending):
        found = find(text)
        if found is not None and found.answer.strip():
            return found
    return None


def _is_denied_box(text: str, box: tuple[int, int, str]) -> bool:
    r"""Whether a box is denied, taken back, or a part of something: `-\boxed{2}`, `\boxed{2}.5`."""
    before = text[max(0, box[0] - 12) : box[0]]
    return (
        _NOT_BEFORE.search(before) is not None
        or _SIGN_BEFORE.search(before) is not None
        or _WRONG_AFTER.match(text, box[1]) is not None
    )


def _last_mark(text: str) -> int:
    """Where the last `<answer>` or `####` begins that holds something; 0 where there is none."""
    places = [0, *(start for start, _ in tags(text))]
    if "####" in text:
        places += [match.start() for match in _HASH.finditer(text) if is_short(match[1])]
    return max(places)


def _plainly(found: Extraction, kind: AnswerKind) -> Extraction:
    """A box or a field that holds a whole sentence is what the sentence states."""
    if kind == "text" or found.boxes or " " not in found.answer:
        return found
    value = told(found.answer)
    return found if value is None else Extraction(value, found.place)


def _without_trailer(text: str) -> str:
    """Without a note, a check or an offer of help after the last conclusion."""
    start = max(0, len(text) - MAX_TRAILER_CHARS)
    for match in _PARAGRAPH.finditer(text, start):
        if _TRAILER.match(text, match.end()) and not _CONCLUDES.search(text, match.end()):
            return text[: match.start()].rstrip()
    return text


def _choice(text: str) -> Extraction | None:
    """The letter that a reply chooses."""
    phrases = list(_PHRASE.finditer(text)) or list(_SHORT_LABEL.finditer(text))
    letter = chosen(text, text[phrases[-1].end() :] if phrases else None)
    return Extraction(letter, "phrase" if phrases else "ending") if letter else None


def _phrase(text: str) -> Extraction | None:
    """What the last "the answer is …" or "Answer: …" states."""
    matches = list(_PHRASE.finditer(text)) or list(_SHORT_LABEL.finditer(text))
    for match in reversed(matches[-5:]):
        if _REFUSED.search(text[max(0, match.start() - 80) : match.start()]):
            continue
        if _REJECTED.match(text, match.end()):
            continue
        rest = text[match.end() : match.end() + 3000].lstrip("*_: \n…")
        contrasted = _CONTRASTED.match(rest)
        rest = rest[contrasted.end() :] if contrasted else rest
        if _DENIED.match(rest):
            continue
        value = _statement(_worked_out(rest))
        if value:
            return Extraction(value, "phrase")
    return None


def _worked_out(rest: str) -> str:
    """The last line of a chain of lines that begin with an equals sign; else the text."""
    lines = rest.split("\n", 12)
    last = 0
    for number, line in enumerate(lines[1:12], 1):
        if not line.strip().startswith(("=", "≈")):
            break
        last = number
    return lines[last].strip().lstrip("=≈ ") if last else rest


def _statement(rest: str) -> str | None:
    """The answer at the beginning of `rest`: maths in delimiters, bold text, or a few words."""
    spans = maths_spans(rest)
    if spans and spans[0].start == 0:
        end = spans[0].end
        if unit := re.match(r"\s?(%|percent\b|pct\b)", rest[end:]):
            return rest[: end + len(unit[0])]
        for span in spans[1:]:
            if not re.fullmatch(r",?\s*(?:and|or|,)\s*", rest[end : span.start]):
                break
            end = span.end
        return rest[:end]
    line = rest.split("\n", 1)[0].replace("**", "").replace("`", "")
    cut = _AFTER.search(line)
    short = (line[: cut.start()] if cut else line).strip().strip('*_"').strip()
    short = _SYMBOLS.sub("", short)
    if not short or len(short) > MAX_SHORT_CHARS or _NO_ANSWER.match(short):
        return None
    if is_short(short):
        return _after_words(short)
    return claim(line)


def _after_words(text: str) -> str:
    """The right side of an equation whose left side is words: "Total = 3 + 4 = 7 apples"."""
    left, sign, right = text.rpartition("=")
    several = re.search(r", | and | or |;", left)
    if not sign or "\\" in text or several or maths_spans(text):
        return text
    if _WORDED.search(left) and QUANTITY.fullmatch(right.strip(" .")):
        return right.strip()
    return text


def is_short(text: str) -> bool:
    """Whether text is an answer rather than a sentence: few words outside the maths."""
    spans = maths_spans(text)
    plain = _TEXT_COMMAND.sub(" ", masked(text))
    words = [w for w in _PROSE_WORD.findall(plain) if w.lower() not in ("and", "or")]
    if (
        len(words) + len(CJK.findall(plain)) // 2 > 4
        or _VERB.search(plain)
        or _UNFINISHED.search(text)
    ):
        return False
    # Words, a colon and then maths: the maths is the answer, and the words announce it.
    return not spans or not re.search(r"[A-Za-z]{2,}[^$\\]*:", text[: spans[0].start])


def _hash(text: str) -> Extraction | None:
    found = _HASH.findall(text) if "####" in text else []
    if found and is_short(found[-1]):
        return Extraction(found[-1].strip(), "hash")
    return None


def _last_label(text: str) -> Extraction | None:
    """A last line such as "Total: 48 legs"; further up it belongs to the working."""
    line = text.rsplit("\n", 1)[-1]
    label = _LAST_LABEL.match(line)
    if label is None or _CHECKED.search(line):
        return None
    rest = line[label.end() :].strip().removesuffix("**")
    value = (claim(rest) if "=" in rest else None) or _statement(rest)
    return Extraction(value, "phrase") if value else None


def _bold(text: str) -> Extraction | None:
    """The last bold text, if it is an answer in the last line, or stands after "is" or "="."""
    tail = text[-2000:]
    matches = list(_BOLD.finditer(tail)) if "**" in tail or "__" in tail else []
    if not matches:
        return None
    match = matches[-1]
    value = (match[1] or match[2]).strip()
    before = tail[tail.rfind("\n", 0, match.start()) + 1 : match.start()]
    after, _, below = tail[match.end() :].partition("\n")
    if value.endswith(":") or after.lstrip().startswith(":"):
        return None
    named = states_so_far(before) and not after.strip(" .!") and not _NO_ANSWER.match(value)
    if not _BOLD_ANSWER.match(value) and not named:
        return None
    if not is_short(value) or is_denied(before + value + after) or re.search(r"\d", after):
        return None
    if below.strip() and not states_so_far(before):
        return None
    return Extraction(_SYMBOLS.sub("", _after_words(value)), "bold")


def _bare(text: str) -> Extraction | None:
    """A reply that is nothing but an answer, or whose last line is."""
    if is_taken_back(text[-MAX_SHORT_CHARS:]):
        return None
    if len(text) <= MAX_SHORT_CHARS or " " not in text[:200_000]:
        text = _HEADING.sub("", text)
        if "\n" not in text and (yes := _YES_NO.match(text)):
            return Extraction(yes[1], "bare")
        if "\n" not in text and is_short(text) and not is_aside(text):
            return Extraction(_SYMBOLS.sub("", _only_statement(_before_reason(text))), "bare")
        named = _NAMED.fullmatch(text)
        if named is not None and not is_denied(text) and not _NO_ANSWER.match(named["word"]):
            return Extraction(named["word"], "bare")
        head = _before_reason(text.split("\n", 1)[0])
        if "\n" not in text and head != text and QUANTITY.fullmatch(head):
            return Extraction(head, "bare")
    head, line_end, _ = text.partition("\n")
    if line_end and _EXPLAINED.match(text, len(head)) and QUANTITY.fullmatch(head.strip("* $.")):
        return Extraction(head.strip("* $"), "bare")
    line = text.rsplit("\n", 1)[-1].strip()
    line = _HEADING.sub("", line).strip()
    if line and len(line) <= MAX_SHORT_CHARS:
        spans = maths_spans(line.rstrip("."))
        whole = len(spans) == 1 and spans[0] == (0, len(line.rstrip(".")))
        listed = "\n" in text and re.match(r"[-–—] ", line)
        if whole or (_LONE.fullmatch(line.rstrip(".。")) and not listed):
            return Extraction(line.rstrip("。"), "bare")
    if len(text) <= MAX_SHORT_CHARS and line.endswith(("\\]", "\\)", "$$")):
        spans = maths_spans(text)
        if spans and spans[-1].end == len(text):
            return Extraction(text[spans[-1].start :], "ending")
    return None


def _only_statement(text: str) -> str:
    """What a short sentence states ("She makes $18 daily."); other text as it is."""
    words = _PROSE_WORD.findall(masked(text))
    if not words or " " not in text or not text[0].isupper():
        return _after_words(text)
    if len(words) < 2 and "=" not in text and "'s " not in text:
        return text
    return claim(text) or ("" if re.search(r"\d", text) and not _HEDGED.search(text) else text)


def _before_reason(text: str) -> str:
    cut = re.search(r",? (?:because|since)\b", text)
    return text[: cut.start()] if cut else text


def _ending(text: str) -> Extraction | None:
    """What a closing sentence says."""
    value = ending(text)
    return None if value is None else Extraction(_SYMBOLS.sub("", value), "ending")
