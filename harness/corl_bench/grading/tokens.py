r"""LaTeX and typed algebra cut into tokens, with every LaTeX argument in brackets.

`tokenise` knows numbers, letters, the school's commands and brackets, and nothing else;
`Reader` turns `\frac`, `\sqrt[3]`, `\binom`, subscripts, bars and sums into plain brackets and
commas, left to right with an explicit stack, so depth costs nothing. What the tokens mean
(precedence, implied multiplication) is `expression`'s business.

    >>> "".join(t.value for t in Reader(tokenise(r"\frac{x}{2}"), lambda tokens: 0).read())
    '((x)/(2))'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from corl_bench.grading.vocabulary import FUNCTIONS, GREEK
from corl_bench.patterns import regex

MAX_STEPS: Final = 3000
"""Largest program, and longest sum or product when written out."""
MAX_DIGITS: Final = 2000
"""Most digits in one number."""
MAX_TERMS: Final = 200
"""Longest sum or product that is written out."""


class ParseError(ValueError):
    """The text is no expression that grading knows."""


class Token(NamedTuple):
    kind: str
    """`num`, `var`, `const`, `fn`, `call`, `post` or `sym`."""
    value: str
    inner: tuple[Token, ...] = ()
    """The base of a logarithm, the index of a root."""


_LEXEME: Final = regex(
    r"\s*(?:((?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\d.]))?)|\\([A-Za-z]+)|([A-Za-z]+)"
    r"|(\*\*|\\[{}]|!+|[-+*/^_(){}\[\],|%°'=]))"
)
_SHORT_FRACTION: Final = regex(r"\\frac\s*(?:\{(\d{1,40})\}|(\d))\s*(?:\{(\d{1,40})\}|(\d))")
_MIXED_NUMBER: Final = regex(r"(?<![\w.^/}])(\d{1,40})\s*\\frac\{(\d{1,40})\}\{(\d{1,40})\}")
_BRACED_LETTER: Final = regex(r"(?<![A-Za-z}\]^_])\{([A-Za-z])\}(?=_)")
_ELEMENTARY: Final = "|".join(
    sorted((n for n in FUNCTIONS if re.search("sin|cos|tan|cot|sec|csc|log|ln", n)), key=len)[::-1]
)
_RUN: Final = regex(rf"[A-Za-z]??(?:(?:{_ELEMENTARY})[A-Za-z]??)+[A-Za-z]?")
_MAX_RUN: Final = 16
"""Longer runs could be parted in very many ways, for `asin` may start with an a."""
_RUN_PART: Final = regex(rf"{_ELEMENTARY}|[A-Za-z]")
_CONSTANTS: Final = {"pi": "pi", "infty": "oo", "e": "e", "i": "i"}
_CALLED: Final = frozenset("fFgGPQW")
ENDS: Final = frozenset(("num", "var", "const", "post"))
"""Kinds of tokens after which a value is complete."""
POSTFIX: Final = {"!": "fact", "!!": "fact2", "°": "degree", "%": "percent"}
OPEN: Final = Token("sym", "(")
CLOSE: Final = Token("sym", ")")
COMMA: Final = Token("sym", ",")
_MINUS: Final = Token("sym", "-")
_TAKES_ARGUMENT: Final = (Token("sym", "_"), Token("sym", "^"))


def tokenise(text: str, values: Mapping[str, int] | None = None) -> list[Token]:
    """Cuts folded text into tokens, with whole numbers in place of the letters in `values`.

    Raises:
        ParseError: it holds anything but plain algebra.
    """
    text = _SHORT_FRACTION.sub(_brace, text)
    if "}_" in text:
        text = _BRACED_LETTER.sub(r"\1", text)
    tokens = _tokens(_MIXED_NUMBER.sub(_spell_sum, text))
    for name, value in (values or {}).items():
        tokens = _replace(tokens, name, value)
    return tokens


def _brace(match: re.Match[str]) -> str:
    above, short_above, below, short_below = match.groups()
    return rf"\frac{{{above or short_above}}}{{{below or short_below}}}"


def _spell_sum(match: re.Match[str]) -> str:
    r"""`3\frac{1}{2}` is a sum where the fraction is a proper one, else a product."""
    whole, above, below = match.groups()
    if int(above) >= int(below):
        return match[0]
    return rf"({whole}+\frac{{{above}}}{{{below}}})"


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _LEXEME.match(text, position)
        if match is None:
            raise ParseError(f"unexpected {text[position : position + 8]!r}")
        position = match.end()
        number, command, word, symbol = match.groups()
        if number is not None:
            if len(number) > MAX_DIGITS:
                raise ParseError("too many digits")
            tokens.append(Token("num", number))
        elif command is not None:
            tokens.append(Token("command", command))
        elif word is not None:
            tokens.extend(_word(word, applied=text.startswith("(", position)))
        else:
            tokens.append(Token("sym", {"**": "^", "\\{": "(", "\\}": ")"}.get(symbol, symbol)))
    return tokens


def _word(word: str, *, applied: bool) -> list[Token]:
    """A run of letters: a function, a constant, or letters multiplied (three at the most).

    A bracket after it tells the function in `xln(x)`.
    """
    if word in FUNCTIONS:
        return [Token("command", word)]
    if applied and word[1:] in FUNCTIONS:
        return [*_word(word[0], applied=False), Token("command", word[1:])]
    if word in ("pi", "sqrt", "cbrt", "binom", "cdot", "lg"):
        return [Token("command", word)]
    if is_run(word):
        # "xlnx", "sinxcosx": names of functions run together with a letter each.
        return [token for part in _RUN_PART.findall(word) for token in _word(part, applied=False)]
    if len(word) <= 3 or (len(word) <= 6 and word.isupper()):
        return [Token("command" if c in "ei" else "var", c) for c in word]
    for prefix in sorted(FUNCTIONS, key=len, reverse=True):
        # "absx", "2xmax": a function's name run together with one letter.
        if word.startswith(prefix) and len(word) == len(prefix) + 1:
            return [Token("command", prefix), Token("var", word[-1])]
    raise ParseError(f"a word: {word[:20]!r}")


def is_run(word: str) -> bool:
    """Whether letters are names of functions with a letter each, as in `xlnx`."""
    return len(word) <= _MAX_RUN and _RUN.fullmatch(word) is not None


def _replace(tokens: list[Token], name: str, value: int) -> list[Token]:
    """Puts a whole number in a letter's place, in subscripts too."""
    number = [OPEN, *([_MINUS] if value < 0 else []), Token("num", str(abs(value))), CLOSE]
    out: list[Token] = []
    for token in tokens:
        if token.kind in ("var", "command") and token.value == name:
            argument = bool(out) and out[-1] in _TAKES_ARGUMENT
            out += [Token("sym", "{"), *number, Token("sym", "}")] if argument else number
        else:
            out.append(token)
    return out


class Reader:
    """Turns LaTeX arguments into brackets and commas, left to right with an explicit stack."""

    def __init__(self, tokens: list[Token], evaluate: Callable[[list[Token]], int]) -> None:
        """Takes the tokens, and how whole numbers in bounds and subscripts are worked out."""
        self.left = tokens[::-1]
        self.evaluate = evaluate
        self.out: list[Token] = []
        self.closers: list[str] = []

    def read(self) -> list[Token]:
        while self.left:
            token = self.left.pop()
            if token.kind == "command":
                self.command(token.value)
            elif token.kind == "sym":
                self.symbol(token.value)
            elif token.kind == "var":
                self.variable(token.value)
            else:
                self.out.append(token)
        if self.closers:
            raise ParseError("unbalanced")
        return self.out

    def peek(self) -> str:
        return self.left[-1].value if self.left else ""

    def open_group(self) -> None:
        r"""Enters the next argument; `\frac12` takes one digit a time."""
        if not self.left:
            raise ParseError("an argument is missing")
        token = self.left.pop()
        if token.kind == "sym" and token.value == "{":
            return
        close = Token("sym", "}")
        if token.kind == "num" and len(token.value) > 1:
            if not token.value.isdigit():
                raise ParseError("an argument is missing")
            self.left += [Token("num", token.value[1:]), close, Token("num", token.value[0])]
        elif token.kind in ("num", "var") or token.value in _CONSTANTS or token.value in GREEK:
            self.left += [close, token]
        else:
            raise ParseError("an argument is missing")

    def group(self) -> list[Token]:
        """Takes the next argument whole, unread."""
        self.open_group()
        taken: list[Token] = []
        depth = 1
        while self.left:
            token = self.left.pop()
            depth += (token.value == "{") - (token.value == "}") if token.kind == "sym" else 0
            if not depth:
                return taken
            taken.append(token)
        raise ParseError("unbalanced")

    def command(self, name: str) -> None:
        if name == "frac":
            self.open_group()
            self.out += [OPEN, OPEN]
            self.closers.append("numerator")
        elif name == "sqrt":
            self.root()
        elif name == "cbrt":
            self.out.append(Token("fn", "root", (Token("num", "3"),)))
        elif name == "binom" and self.peek() == "(":
            self.out.append(Token("fn", "binom"))
        elif name == "binom":
            self.open_group()
            self.out += [Token("fn", "binom"), OPEN]
            self.closers.append("first")
        elif name == "log" and self.peek() == "_":
            self.left.pop()
            # TeX would take one digit; before an argument, log_10(x) has the base ten.
            whole = len(self.left) > 1 and self.left[-1].kind == "num" and self.left[-2] == OPEN
            group = [self.left.pop()] if whole else self.group()
            base = Reader(group, self.evaluate).read()
            self.out.append(Token("fn", "log", tuple(base)))
        elif name == "lg":
            self.out.append(Token("fn", "log", (Token("num", "10"),)))
        elif name in FUNCTIONS:
            self.out.append(Token("fn", FUNCTIONS[name]))
        elif name in _CONSTANTS:
            if self.peek() == "_":
                self.variable(name)
            else:
                self.out.append(Token("const", _CONSTANTS[name]))
        elif name in GREEK:
            self.variable(name)
        elif name == "cdot":
            self.out.append(Token("sym", "*"))
        elif name == "bmod":
            self.out.append(Token("sym", "mod"))
        elif name in ("sum", "prod"):
            self.series("+" if name == "sum" else "*")
        elif name in ("lfloor", "lceil"):
            self.out += [Token("fn", "floor" if name == "lfloor" else "ceil"), OPEN]
            self.closers.append(name)
        elif name in ("rfloor", "rceil"):
            self.close("l" + name[1:])
        elif name == "text":
            inner = self.group()
            if len(inner) != 1 or inner[0].kind not in ("num", "var", "command"):
                raise ParseError("text")
            self.left.append(inner[0])
        elif name == "angle" or name == "triangle":
            raise ParseError("a name")
        else:
            raise ParseError(f"unknown command {name[:20]!r}")

    def root(self) -> None:
        if self.peek() == "[":
            self.left.pop()
            self.out += [Token("fn", "root"), OPEN]
            self.closers.append("index")
        elif self.peek() == "(":
            self.out.append(Token("fn", "sqrt"))
        elif self.left and self.left[-1].kind == "num":
            # TeX would take one digit; whoever writes \sqrt50 means the root of fifty.
            self.out += [Token("fn", "sqrt"), OPEN, self.left.pop(), CLOSE]
        else:
            self.open_group()
            self.out += [Token("fn", "sqrt"), OPEN]
            self.closers.append("}")

    def series(self, sign: str) -> None:
        r"""Writes out `\sum_{k=1}^{5} k^2` where both ends are whole numbers, not far apart."""
        bounds: dict[str, list[Token]] = {}
        while self.peek() in ("_", "^") and len(bounds) < 2:
            mark = self.left.pop().value
            bounds[mark] = self.group()
        low = bounds.get("_", [])
        named = len(low) > 2 and (low[0].kind == "var" or low[0].value in ("e", "i"))
        if not named or low[1].value != "=" or "^" not in bounds:
            raise ParseError("a sum without ends")
        first, last = self.evaluate(low[2:]), self.evaluate(bounds["^"])
        body = self.factors()
        count = last - first + 1
        if count > MAX_TERMS or count * len(body) > MAX_STEPS:
            raise ParseError("a long sum")
        terms: list[Token] = [OPEN, Token("num", "0" if sign == "+" else "1")]
        for number in range(first, last + 1):
            terms += [Token("sym", sign), OPEN, *_replace(body, low[0].value, number), CLOSE]
        self.left += [CLOSE, *reversed(terms)]

    def factors(self) -> list[Token]:
        """Takes, unread, what a sum is over: up to the next plus, minus or closing bracket."""
        taken: list[Token] = []
        depth = 0
        while self.left:
            sign = self.left[-1].value if self.left[-1].kind == "sym" else ""
            if depth == 0 and ((sign in "+-," and sign and taken) or sign in (")", "]", "}")):
                break
            depth += (sign in ("(", "[", "{")) - (sign in (")", "]", "}"))
            taken.append(self.left.pop())
        if not taken:
            raise ParseError("an empty sum")
        return taken

    def variable(self, name: str) -> None:
        while self.peek() == "'":
            name += self.left.pop().value
        if self.peek() == "_":
            self.left.pop()
            subscript = self.group()
            if len(subscript) > 1 and not any(token.kind == "var" for token in subscript):
                subscript = [Token("num", str(self.evaluate(subscript)))]
            name += "_" + "".join(token.value for token in subscript)
        if name[0] in _CALLED and self.peek() == "(":
            self.out.append(Token("call", name))
        else:
            self.out.append(Token("var", name))

    def symbol(self, sign: str) -> None:
        if sign in ("(", "[", "{"):
            self.out.append(OPEN)
            self.closers.append({"(": ")", "[": "]", "{": "}"}[sign])
        elif sign in (")", "]", "}"):
            self.close(sign)
        elif sign == "|":
            ends = bool(self.out) and (self.out[-1].kind in ENDS or self.out[-1] == CLOSE)
            if ends and "|" in self.closers:
                self.close("|")
            else:
                self.out += [Token("fn", "abs"), OPEN]
                self.closers.append("|")
        elif sign in POSTFIX:
            self.out.append(Token("post", sign))
        elif sign in ("_", "'"):
            raise ParseError("a lone subscript")
        elif sign == "^" and self.peek() == "{":
            self.left.pop()
            self.out += [Token("sym", "^"), OPEN]
            self.closers.append("}")
        else:
            self.out.append(Token("sym", sign))

    def close(self, sign: str) -> None:
        expected = self.closers.pop() if self.closers else ""
        if sign == "}" and expected == "numerator":
            self.out += [CLOSE, Token("sym", "/"), OPEN]
            self.open_group()
            self.closers.append("denominator")
        elif sign == "}" and expected == "denominator":
            self.out += [CLOSE, CLOSE]
        elif (sign == "}" and expected == "first") or (sign == "]" and expected == "index"):
            self.out.append(COMMA)
            self.open_group()
            self.closers.append("}")
        elif sign == expected:
            self.out.append(CLOSE)
        else:
            raise ParseError("unbalanced")
