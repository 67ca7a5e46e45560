"""The text of a network: its tokens, and errors that point at the place they speak of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from neocog.errors import NotationError

_TOKEN = re.compile(r"\n|[|();*,]|[^\s|();*,#]+|(?P<skipped>#[^\n]*|[^\S\n]+)")
# Beyond this a caret would be printed far from what it points at.
_SHOWN = 100

NEWLINE = "\n"
SYMBOLS = frozenset("|();*,")


@dataclass(frozen=True)
class Token:
    """A word, a number, a symbol or the end of a line, and where it starts in the text."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """The place just after the token."""
        return self.start + len(self.text)

    @property
    def is_word(self) -> bool:
        """Whether this is a word or a number: neither a symbol nor the end of a line."""
        return self.text not in SYMBOLS and self.text != NEWLINE

    @property
    def shown(self) -> str:
        """The token as an error quotes it."""
        if self.text == NEWLINE:
            return "the end of the line"
        return f"'{self.text if len(self.text) <= 40 else self.text[:37] + '...'}'"


def tokens(text: str) -> list[Token]:
    """Split a text into tokens. Blanks and comments (`#` to the end of the line) are dropped."""
    return [Token(match[0], match.start()) for match in _TOKEN.finditer(text) if not match["skipped"]]


def error_at(text: str, token: Token, message: str) -> NotationError:
    """Make an error that names line and column and shows the line with carets under the token.

    Lines and columns count from 1.
    """
    line_start = text.rfind("\n", 0, token.start) + 1
    line_end = text.find("\n", token.start)
    line = text[line_start : len(text) if line_end < 0 else line_end]
    number = text.count("\n", 0, token.start) + 1
    column = token.start - line_start
    where = f"line {number}, column {column + 1}: "
    skipped = max(0, column - _SHOWN // 2)
    lead = "..." if skipped else ""
    shown = lead + line[skipped : skipped + _SHOWN].rstrip().replace("\t", " ")
    width = 1 if token.text == NEWLINE else min(len(token.text), _SHOWN // 2)
    caret = " " * (len(lead) + column - skipped) + "^" * max(1, width)
    first, _, rest = message.partition("\n")
    return NotationError("\n".join([where + first, f"    {shown}", f"    {caret}", *rest.splitlines()]))
