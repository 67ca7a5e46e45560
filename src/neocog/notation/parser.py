"""From text to network: a parser by recursive descent.

network  = sequence
sequence = item {separator item}         separator: "|", line ends, or both
item     = block | number "*" block | word {argument}
block    = "(" sequence ")" | "residual" "(" sequence [";" sequence] ")"
"""

from __future__ import annotations

from typing import NoReturn

from neocog.errors import NotationError
from neocog.notation.arguments import Arguments
from neocog.notation.hints import foreign, unknown_word
from neocog.notation.nodes import (
    DEEPEST_NESTING,
    MOST_LAYERS,
    Group,
    Network,
    Node,
    Repeat,
    Residual,
    count_layers,
)
from neocog.notation.text import NEWLINE, Token, error_at, tokens
from neocog.notation.words import READERS

RESIDUAL = "residual"


def parse(text: str) -> Network:
    """Read a network from its notation.

    Args:
        text: layers separated by `|` or line ends; `#` starts a comment.

    Raises:
        NotationError: with line, column, the place marked, and what to write instead.
    """
    return Network(_Parser("\n".join(text.splitlines())).sequence(frozenset()))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    def sequence(self, ends: frozenset[str]) -> tuple[Node, ...]:
        """Read items up to one of the symbols in `ends`, or to the end of the text; leave that symbol."""
        nodes: list[Node] = []
        self._skip_newlines()
        while (token := self._peek()) is not None and token.text not in ends:
            if len(nodes) == MOST_LAYERS:
                self._fail(token, f"a network has at most {MOST_LAYERS:,} layers; this is one more.")
            nodes.append(self._item(token))
            self._separator(ends)
        return tuple(nodes)

    def _separator(self, ends: frozenset[str]) -> None:
        before = self._next
        self._skip_newlines()
        bar = self._peek()
        if bar is not None and bar.text == "|":
            self._next += 1
            self._skip_newlines()
            token = self._peek()
            if token is None or token.text in ends:
                self._fail(bar, "nothing follows this '|'; write a layer after it or leave it out.")
            return
        if bar is not None and bar.text not in ends and before == self._next:
            self._unexpected(bar)

    def _item(self, token: Token) -> Node:
        following = self._tokens[self._next + 1].text if self._next + 1 < len(self._tokens) else ""
        if following == "*":
            return self._repeat(token)
        if token.text in ("(", RESIDUAL):
            return self._block()
        if not token.is_word:
            self._unexpected(token)
        if token.text not in READERS:
            rest = self._text[token.start :]
            self._fail(token, foreign(rest) or unknown_word(token.text, [*READERS, RESIDUAL]))
        if following == "(" and self._tokens[self._next + 1].start == token.end:
            rest = self._text[token.start :]
            self._fail(
                token,
                foreign(rest) or f"a layer takes no brackets; its settings follow it: '{token.text} ...'.",
            )
        self._next += 1
        tail = []
        while (argument := self._peek()) is not None and argument.is_word:
            tail.append(argument)
            self._next += 1
        return READERS[token.text](Arguments(self._text, token, tail, READERS))

    def _repeat(self, number: Token) -> Repeat:
        if not (number.text.isascii() and number.text.isdigit()) or len(number.text) > 12:
            self._fail(number, f"before '*' stands how often to repeat, not {number.shown}; for example '3 * (...)'.")
        self._next += 2
        token = self._peek()
        if token is None or token.text not in ("(", RESIDUAL):
            self._fail(token or self._tokens[-1], "'*' repeats a block: put what follows in brackets, '3 * (...)'.")
        child = self._block()
        try:
            repeat = Repeat(int(number.text), child)
        except NotationError as error:
            self._fail(number, str(error))
        layers = count_layers((repeat,))
        if layers > MOST_LAYERS:
            self._fail(number, f"this makes {layers:,} layers; at most {MOST_LAYERS:,} are allowed.")
        return repeat

    def _block(self) -> Group | Residual:
        head = self._tokens[self._next]
        residual = head.text == RESIDUAL
        self._next += 1
        if residual:
            bracket = self._peek()
            if bracket is None or bracket.text != "(":
                self._fail(head, "residual takes its layers in brackets: 'residual(conv 8 3x3 same | relu)'.")
            self._next += 1
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            self._fail(head, f"brackets are nested more than {DEEPEST_NESTING} deep; write the inner ones out.")
        body = self.sequence(frozenset(");") if residual else frozenset(")"))
        shortcut = None
        token = self._peek()
        if residual and token is not None and token.text == ";":
            self._next += 1
            shortcut = self.sequence(frozenset(")"))
        self._close(head)
        self._depth -= 1
        try:
            return Residual(body, shortcut) if residual else Group(body)
        except NotationError as error:
            self._fail(head, str(error))

    def _close(self, head: Token) -> None:
        token = self._peek()
        if token is None:
            self._fail(head, "this bracket is never closed; write ')' after its last layer.")
        self._next += 1

    def _skip_newlines(self) -> None:
        while (token := self._peek()) is not None and token.text == NEWLINE:
            self._next += 1

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _unexpected(self, token: Token) -> NoReturn:
        reasons = {
            "|": "a layer is missing before this '|'.",
            ")": "this ')' closes nothing; leave it out or open a bracket before it.",
            "(": "a bracket starts a block, which stands alone; put '|' before it, or 'residual' or '3 *'.",
            ";": "';' stands only inside 'residual(body ; shortcut)'; layers are separated by '|'.",
            ",": "layers are separated by '|', and settings by blanks; leave out the ','.",
            "*": "'*' stands between a number and a block: '3 * (conv 8 3x3 same | relu)'.",
        }
        if token.is_word:
            self._fail(token, f"{token.shown} follows a block; put '|' before it.")
        previous = self._tokens[self._next - 1] if self._next else None
        if token.text == "*" and previous is not None and previous.text.isdigit():
            self._fail(token, "sizes are written with 'x', as in 'conv 8 3x3'; '*' repeats a block: '3 * (...)'.")
        self._fail(token, reasons[token.text])

    def _fail(self, token: Token, message: str) -> NoReturn:
        raise error_at(self._text, token, message)
