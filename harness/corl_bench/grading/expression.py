r"""Plain algebra, typed or in LaTeX, as a postfix program of small steps.

`parse` reads what an answer may hold (numbers, letters, + - * / ^ !, roots, fractions, the
school's functions, absolute values) and nothing else; whatever it does not know raises
`ParseError`. There is no recursion and no evaluation here, so depth costs nothing, and an
expression is a flat tuple of strings that travels to another process as it is.

    >>> [step.value or step.op for step in parse(r"\frac{x+1}{2}")]
    ['x', '1', 'add', '2', 'div']
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from corl_bench.grading.vocabulary import FUNCTIONS, GREEK

MAX_CHARS: Final = 6000
"""Longest text that is read as an expression."""
MAX_STEPS: Final = 3000
"""Largest program."""
MAX_DIGITS: Final = 2000
"""Most digits in one number."""
MAX_TERMS: Final = 200
"""Longest sum or product that is written out."""


class ParseError(ValueError):
    """The text is no expression that grading knows."""


class Step(NamedTuple):
    """One instruction: push a leaf, or replace the top `arity` values by one."""

    op: str
    """`num`, `var`, `const`, `add`, `sub`, `mul`, `div`, `mod`, `pow`, `neg`, `fact`,
    `degree`, `percent`, `fn` (a known function) or `call` (an unknown one)."""
    value: str = ""
    arity: int = 0


Expression = tuple[Step, ...]


class _Token(NamedTuple):
    kind: str
    """`num`, `var`, `const`, `fn`, `call`, `post` or `sym`."""
    value: str
    inner: tuple[_Token, ...] = ()
    """The base of a logarithm, the index of a root."""


_LEXEME: Final = re.compile(
    r"\s*(?:((?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\d.]))?)|\\([A-Za-z]+)|([A-Za-z]+)|(\*\*|\\[{}]|[-+*/^_(){}\[\],|!%°'=]))"
)
_SHORT_FRACTION: Final = re.compile(r"\\frac\s*(?:\{(\d{1,40})\}|(\d))\s*(?:\{(\d{1,40})\}|(\d))")
_MIXED_NUMBER: Final = re.compile(r"(?<![\w.^/}])(\d{1,40})\s*\\frac\{(\d{1,40})\}\{(\d{1,40})\}")
_INVERSE: Final = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_CONSTANTS: Final = {"pi": "pi", "infty": "oo", "e": "e", "i": "i"}
_CALLED: Final = frozenset("fFgGPQW")
_ENDS: Final = frozenset(("num", "var", "const", "post"))
_PRECEDENCE: Final = {"add": 1, "sub": 1, "mul": 2, "div": 2, "mod": 2, "neg": 3, "pow": 4}
_BINARY: Final = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "mod": "mod"}
_POSTFIX: Final = {"!": "fact", "°": "degree", "%": "percent"}
_CIS: Final = (Step("const", "i"), Step("mul", "", 2), Step("fn", "exp", 1))
_OPEN: Final = _Token("sym", "(")
_CLOSE: Final = _Token("sym", ")")
_COMMA: Final = _Token("sym", ",")
_TAKES_ARGUMENT: Final = (_Token("sym", "_"), _Token("sym", "^"))
_MINUS: Final = _Token("sym", "-")


def parse(text: str, *, values: Mapping[str, int] | None = None) -> Expression:
    """Reads folded text (see `normalise.fold`) as one expression.

    Args:
        text: the expression.
        values: whole numbers that stand in for letters, which a sum up to `n` needs.

    Raises:
        ParseError: the text is too large, or holds anything but plain algebra.
    """
    if len(text) > MAX_CHARS:
        raise ParseError("too long")
    text = _SHORT_FRACTION.sub(_brace, text)
    tokens = _tokens(_MIXED_NUMBER.sub(_spell_sum, text))
    for name, value in (values or {}).items():
        tokens = _replace(tokens, name, value)
    return _postfix(_multiply(_brackets(tokens)))


def _brace(match: re.Match[str]) -> str:
    above, short_above, below, short_below = match.groups()
    return rf"\frac{{{above or short_above}}}{{{below or short_below}}}"


def _spell_sum(match: re.Match[str]) -> str:
    r"""`3\frac{1}{2}` is a sum where the fraction is a proper one, else a product."""
    whole, above, below = match.groups()
    if int(above) >= int(below):
        return match[0]
    return rf"({whole}+\frac{{{above}}}{{{below}}})"


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
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
            tokens.append(_Token("num", number))
        elif command is not None:
            tokens.append(_Token("command", command))
        elif word is not None:
            tokens.extend(_word(word))
        else:
            tokens.append(_Token("sym", {"**": "^", "\\{": "(", "\\}": ")"}.get(symbol, symbol)))
    return tokens


def _word(word: str) -> list[_Token]:
    """A run of letters: a function, a constant, or letters multiplied (three at the most)."""
    if word in FUNCTIONS:
        return [_Token("command", word)]
    if word in ("pi", "sqrt", "cdot", "lg"):
        return [_Token("command", word)]
    if len(word) <= 3 or (len(word) <= 6 and word.isupper()):
        return [_Token("command" if c in "ei" else "var", c) for c in word]
    for prefix in sorted(FUNCTIONS, key=len, reverse=True):
        # "sinx", "2xlog": a function's name run together with one letter.
        if word.startswith(prefix) and len(word) == len(prefix) + 1:
            return [_Token("command", prefix), _Token("var", word[-1])]
    raise ParseError(f"a word: {word[:20]!r}")


def _replace(tokens: list[_Token], name: str, value: int) -> list[_Token]:
    """Puts a whole number in a letter's place, in subscripts too."""
    number = [_OPEN, *([_MINUS] if value < 0 else []), _Token("num", str(abs(value))), _CLOSE]
    out: list[_Token] = []
    for token in tokens:
        if token.kind in ("var", "command") and token.value == name:
            argument = bool(out) and out[-1] in _TAKES_ARGUMENT
            out += [_Token("sym", "{"), *number, _Token("sym", "}")] if argument else number
        else:
            out.append(token)
    return out


class _Reader:
    """Turns LaTeX arguments into brackets and commas, left to right with an explicit stack."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.left = tokens[::-1]
        self.out: list[_Token] = []
        self.closers: list[str] = []

    def read(self) -> list[_Token]:
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
        close = _Token("sym", "}")
        if token.kind == "num" and len(token.value) > 1:
            if not token.value.isdigit():
                raise ParseError("an argument is missing")
            self.left += [_Token("num", token.value[1:]), close, _Token("num", token.value[0])]
        elif token.kind in ("num", "var") or token.value in _CONSTANTS or token.value in GREEK:
            self.left += [close, token]
        else:
            raise ParseError("an argument is missing")

    def group(self) -> list[_Token]:
        """Takes the next argument whole, unread."""
        self.open_group()
        taken: list[_Token] = []
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
            self.out += [_OPEN, _OPEN]
            self.closers.append("numerator")
        elif name == "sqrt":
            self.root()
        elif name == "binom":
            self.open_group()
            self.out += [_Token("fn", "binom"), _OPEN]
            self.closers.append("first")
        elif name == "log" and self.peek() == "_":
            self.left.pop()
            base = _Reader(self.group()).read()
            self.out.append(_Token("fn", "log", tuple(base)))
        elif name == "lg":
            self.out.append(_Token("fn", "log", (_Token("num", "10"),)))
        elif name in FUNCTIONS:
            self.out.append(_Token("fn", FUNCTIONS[name]))
        elif name in _CONSTANTS:
            if self.peek() == "_":
                self.variable(name)
            else:
                self.out.append(_Token("const", _CONSTANTS[name]))
        elif name in GREEK:
            self.variable(name)
        elif name == "cdot":
            self.out.append(_Token("sym", "*"))
        elif name == "bmod":
            self.out.append(_Token("sym", "mod"))
        elif name in ("sum", "prod"):
            self.series("+" if name == "sum" else "*")
        elif name in ("lfloor", "lceil"):
            self.out += [_Token("fn", "floor" if name == "lfloor" else "ceil"), _OPEN]
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
            self.out += [_Token("fn", "root"), _OPEN]
            self.closers.append("index")
        elif self.peek() == "(":
            self.out.append(_Token("fn", "sqrt"))
        elif self.left and self.left[-1].kind == "num":
            # TeX would take one digit; whoever writes \sqrt50 means the root of fifty.
            self.out += [_Token("fn", "sqrt"), _OPEN, self.left.pop(), _CLOSE]
        else:
            self.open_group()
            self.out += [_Token("fn", "sqrt"), _OPEN]
            self.closers.append("}")

    def series(self, sign: str) -> None:
        r"""Writes out `\sum_{k=1}^{5} k^2` where both ends are whole numbers, not far apart."""
        bounds: dict[str, list[_Token]] = {}
        while self.peek() in ("_", "^") and len(bounds) < 2:
            mark = self.left.pop().value
            bounds[mark] = self.group()
        low = bounds.get("_", [])
        named = len(low) > 2 and (low[0].kind == "var" or low[0].value in ("e", "i"))
        if not named or low[1].value != "=" or "^" not in bounds:
            raise ParseError("a sum without ends")
        first, last = _whole_number(low[2:]), _whole_number(bounds["^"])
        body = self.factors()
        count = last - first + 1
        if count > MAX_TERMS or count * len(body) > MAX_STEPS:
            raise ParseError("a long sum")
        terms: list[_Token] = [_OPEN, _Token("num", "0" if sign == "+" else "1")]
        for number in range(first, last + 1):
            terms += [_Token("sym", sign), _OPEN, *_replace(body, low[0].value, number), _CLOSE]
        self.left += [_CLOSE, *reversed(terms)]

    def factors(self) -> list[_Token]:
        """Takes, unread, what a sum is over: up to the next plus, minus or closing bracket."""
        taken: list[_Token] = []
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
                subscript = [_Token("num", str(_whole_number(subscript)))]
            name += "_" + "".join(token.value for token in subscript)
        if name[0] in _CALLED and self.peek() == "(":
            self.out.append(_Token("call", name))
        else:
            self.out.append(_Token("var", name))

    def symbol(self, sign: str) -> None:
        if sign in ("(", "[", "{"):
            self.out.append(_OPEN)
            self.closers.append({"(": ")", "[": "]", "{": "}"}[sign])
        elif sign in (")", "]", "}"):
            self.close(sign)
        elif sign == "|":
            ends = bool(self.out) and (self.out[-1].kind in _ENDS or self.out[-1] == _CLOSE)
            if ends and "|" in self.closers:
                self.close("|")
            else:
                self.out += [_Token("fn", "abs"), _OPEN]
                self.closers.append("|")
        elif sign in _POSTFIX:
            self.out.append(_Token("post", sign))
        elif sign in ("_", "'"):
            raise ParseError("a lone subscript")
        elif sign == "^" and self.peek() == "{":
            self.left.pop()
            self.out += [_Token("sym", "^"), _OPEN]
            self.closers.append("}")
        else:
            self.out.append(_Token("sym", sign))

    def close(self, sign: str) -> None:
        expected = self.closers.pop() if self.closers else ""
        if sign == "}" and expected == "numerator":
            self.out += [_CLOSE, _Token("sym", "/"), _OPEN]
            self.open_group()
            self.closers.append("denominator")
        elif sign == "}" and expected == "denominator":
            self.out += [_CLOSE, _CLOSE]
        elif (sign == "}" and expected == "first") or (sign == "]" and expected == "index"):
            self.out.append(_COMMA)
            self.open_group()
            self.closers.append("}")
        elif sign == expected:
            self.out.append(_CLOSE)
        else:
            raise ParseError("unbalanced")


def _brackets(tokens: list[_Token]) -> list[_Token]:
    r"""Gives every function its argument in brackets: `\sin^2 2x y` is `(sin(2xy))^2`.

    It works from the right, so that an inner function is closed before the outer one looks.
    """
    out: list[_Token] = []  # reversed
    for token in reversed(_Reader(tokens).read()):
        if token.kind != "fn" or (out and out[-1] == _OPEN and not token.inner):
            out.append(token)
            continue
        power: list[_Token] = []
        if out and out[-1] == _Token("sym", "^"):
            power = [out.pop(), *_atom(out)]
        name = token.value
        if [p.value for p in power] == ["^", "(", "-", "1", ")"] and name in _INVERSE:
            name, power = _INVERSE[name], []
        argument = _argument(out)
        base = [*token.inner, _COMMA] if token.inner else []
        built = [_Token("fn", "logb" if base else name), _OPEN, *base, *argument, _CLOSE, *power]
        out += reversed(built)
    return out[::-1]


def _whole_number(tokens: list[_Token]) -> int:
    """The value of plain arithmetic, in a bound or a subscript."""
    stack: list[int] = []
    for step in _postfix(_multiply(_brackets(tokens))):
        if step.op == "num" and step.value.isdigit() and len(step.value) < 10:
            stack.append(int(step.value))
        elif step.op == "neg":
            stack.append(-stack.pop())
        elif step.op in ("add", "sub", "mul"):
            right, left = stack.pop(), stack.pop()
            stack.append(left * right if step.op == "mul" else left + right)
            if step.op == "sub":
                stack[-1] = left - right
        else:
            raise ParseError("no whole number")
    return stack[-1]


def _atom(out: list[_Token]) -> list[_Token]:
    """Pops a bracketed group, or a single leaf with its function brackets."""
    taken: list[_Token] = []
    depth = 0
    while out:
        token = out.pop()
        taken.append(token)
        depth += (token == _OPEN) - (token == _CLOSE)
        if depth < 0:
            break
        if depth == 0 and token.kind not in ("fn", "call"):
            return taken
    raise ParseError("a function without argument")


def _argument(out: list[_Token]) -> list[_Token]:
    """What a function without brackets applies to: factors up to the next sign or function."""
    if out and out[-1] == _OPEN:
        group = _atom(out)
        if not (out and (out[-1] == _Token("sym", "^") or out[-1].kind == "post")):
            return group
        return [*group, *_tail(out)]
    taken: list[_Token] = []
    if out and out[-1] == _Token("sym", "-"):
        taken.append(out.pop())
    while out and out[-1].kind in ("num", "var", "const"):
        taken += [out.pop(), *_tail(out)]
    if not taken:
        taken = _atom(out)
    elif taken[-1].value == "-":
        taken += [*_atom(out), *_tail(out)]
    return taken


def _tail(out: list[_Token]) -> list[_Token]:
    """The exponents and postfix signs that belong to the factor just taken."""
    taken: list[_Token] = []
    while out and (out[-1].kind == "post" or out[-1] == _Token("sym", "^")):
        token = out.pop()
        taken.append(token)
        if token.kind != "post":
            taken += _atom(out)
    return taken


def _multiply(tokens: list[_Token]) -> list[_Token]:
    """Writes out the multiplication signs that are only implied."""
    out: list[_Token] = []
    for token in tokens:
        starts = token.kind in ("num", "var", "const", "fn", "call") or token == _OPEN
        if out and starts and (out[-1].kind in _ENDS or out[-1] == _CLOSE):
            if token.kind == "num" and out[-1].kind == "num":
                raise ParseError("two numbers side by side")
            out.append(_Token("sym", "*"))
        out.append(token)
    return out


def _postfix(tokens: list[_Token]) -> Expression:
    """The shunting-yard algorithm (Dijkstra 1961), with prefix signs and argument counts."""
    steps: list[Step] = []
    waiting: list[Step] = []
    counts: list[int] = []
    operand = False
    for token in tokens:
        kind, value = token.kind, token.value
        if kind in ("num", "var", "const"):
            steps.append(Step(kind, value))
            operand = True
        elif kind in ("fn", "call"):
            waiting.append(Step(kind, value, 1))
            operand = False
        elif kind == "post":
            if not operand:
                raise ParseError("an operand is missing")
            steps.append(Step(_POSTFIX[value], "", 1))
        elif value == "(":
            waiting.append(Step("("))
            counts.append(1)
            operand = False
        elif value in (")", ","):
            if not operand:
                raise ParseError("an operand is missing")
            while waiting and waiting[-1].op != "(":
                steps.append(waiting.pop())
            if not waiting:
                raise ParseError("unbalanced")
            if value == ",":
                counts[-1] += 1
                operand = False
                continue
            waiting.pop()
            count = counts.pop()
            if waiting and waiting[-1].op in ("fn", "call"):
                called = waiting.pop()._replace(arity=count)
                steps += _CIS if called.value == "cis" else (called,)
            elif count > 1:
                raise ParseError("a list where a value belongs")
        elif value in _BINARY:
            if not operand and value == "-":
                waiting.append(Step("neg", "", 1))
                continue
            if not operand and value == "+":
                continue
            if not operand:
                raise ParseError("an operand is missing")
            step = Step(_BINARY[value], "", 2)
            rank = _PRECEDENCE[step.op]
            while waiting and waiting[-1].op in _PRECEDENCE:
                other = _PRECEDENCE[waiting[-1].op]
                if other < rank or (other == rank and step.op == "pow"):
                    break
                steps.append(waiting.pop())
            waiting.append(step)
            operand = False
        else:
            raise ParseError(f"unexpected {value!r}")
    if not operand:
        raise ParseError("an operand is missing")
    steps += reversed(waiting)
    if any(step.op == "(" for step in steps):
        raise ParseError("unbalanced")
    if len(steps) > MAX_STEPS:
        raise ParseError("too large")
    return tuple(steps)
