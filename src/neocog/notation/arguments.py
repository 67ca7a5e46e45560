"""What stands after a layer word: numbers, pairs and options, read one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NoReturn, TypeAlias, TypeVar

from neocog.errors import NotationError
from neocog.notation.hints import misplaced, near
from neocog.notation.text import Token, error_at

_INTEGER = re.compile(r"[0-9]+")
_PAIR = re.compile(r"([0-9]+)(?:x([0-9]+))?")
_ENTRY = re.compile(r"[0-9]+(\+[0-9]+)*")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?(e-?[0-9]+)?|\.[0-9]+(e-?[0-9]+)?")
# Longer runs of digits are refused here: int() itself rejects thousands of them with a message of its own.
_MOST_DIGITS = 12
_ENTRY_STARTS = "0123456789+-"

OptionKind: TypeAlias = Literal["flag", "integer", "pair", "table"]
Entries: TypeAlias = tuple[tuple[int, ...], ...]
T = TypeVar("T")


class Options:
    """The options of one layer, each written at most once and in any order."""

    def __init__(self, values: Mapping[str, tuple[int, int]], tables: Mapping[str, Entries]) -> None:
        self._values = values
        self._tables = tables

    def has(self, name: str) -> bool:
        """Whether the option was written."""
        return name in self._values or name in self._tables

    def pair(self, name: str, default: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) of an option."""
        return self._values.get(name, default)

    def integer(self, name: str, default: int) -> int:
        """The number of an option."""
        return self._values.get(name, (default, default))[0]

    def table(self, name: str) -> Entries | None:
        """The entries of an option, each the numbers that were joined by `+`."""
        return self._tables.get(name)


class Arguments:
    """The tokens after a layer word, taken from left to right.

    Every mistake is a NotationError that points at its place.
    """

    def __init__(self, text: str, head: Token, tail: list[Token], words: Collection[str]) -> None:
        self._text = text
        self._head = head
        self._tail = tail
        self._words = words
        self._next = 0

    @property
    def word(self) -> str:
        """The layer word itself."""
        return self._head.text

    def integer(self, what: str, example: str) -> int:
        """Take a whole number."""
        token = self._take(what, example)
        if not _INTEGER.fullmatch(token.text):
            self._fail(token, f"{what} is a whole number, not {token.shown}; for example '{example}'.")
        return self._int(token, token.text)

    def integer_or(self, word: str, what: str, example: str) -> int | None:
        """Take a whole number, or the given word, for which None is returned."""
        token = self._take(what, example)
        if token.text == word:
            return None
        if not _INTEGER.fullmatch(token.text):
            hint = near(token.text, [word])
            self._fail(token, f"{what} is a whole number or '{word}', not {token.shown}{hint}")
        return self._int(token, token.text)

    def pair(self, what: str, example: str) -> tuple[int, int]:
        """Take `HxW`, or `N` for `NxN`."""
        token = self._take(what, example)
        match = _PAIR.fullmatch(token.text)
        if match is None:
            lower = re.sub("[X×]", "x", token.text)
            hint = f"write '{lower}'" if _PAIR.fullmatch(lower) else f"for example '{example}'"
            self._fail(token, f"{what} is written 3 or 3x3, not {token.shown}; {hint}.")
        height = self._int(token, match[1])
        return height, self._int(token, match[2]) if match[2] else height

    def decimal(self, what: str, example: str) -> float:
        """Take a decimal number."""
        token = self._take(what, example)
        if not _DECIMAL.fullmatch(token.text) or len(token.text) > 40:
            self._fail(token, f"{what} is a number, not {token.shown}; for example '{example}'.")
        return float(token.text)

    def options(self, kinds: Mapping[str, OptionKind], example: str) -> Options:
        """Take all options that are left."""
        values: dict[str, tuple[int, int]] = {}
        tables: dict[str, Entries] = {}
        while self._next < len(self._tail):
            token = self._tail[self._next]
            kind = kinds.get(token.text)
            if kind is None:
                self._fail(token, misplaced(self.word, token.text, kinds, self._words))
            if token.text in values or token.text in tables:
                self._fail(token, f"'{token.text}' stands twice; keep one of the two.")
            self._next += 1
            if kind == "table":
                tables[token.text] = self._entries(token)
            else:
                values[token.text] = self._option(token.text, kind, example)
        return Options(values, tables)

    def finish(self, make: Callable[[], T]) -> T:
        """Make the layer once nothing is left; an error of its own gets the layer's place."""
        self.options({}, "")
        try:
            return make()
        except NotationError as error:
            last = self._tail[-1] if self._tail else self._head
            layer = Token(self._text[self._head.start : last.end], self._head.start)
            raise error_at(self._text, layer, str(error)) from None

    def _option(self, name: str, kind: OptionKind, example: str) -> tuple[int, int]:
        if kind == "flag":
            return 1, 1
        if kind == "pair":
            return self.pair(f"the number for '{name}'", example)
        number = self.integer(f"the number for '{name}'", example)
        return number, number

    def _entries(self, option: Token) -> Entries:
        entries: list[tuple[int, ...]] = []
        while self._next < len(self._tail) and (token := self._tail[self._next]).text[0] in _ENTRY_STARTS:
            if not _ENTRY.fullmatch(token.text):
                self._fail(
                    token, f"an entry of the table is input maps joined by '+', such as '0+1+2', not {token.shown}."
                )
            entries.append(tuple(self._int(token, digits) for digits in token.text.split("+")))
            self._next += 1
        if not entries:
            self._fail(
                option,
                "the table is missing after 'table': write for each channel the input maps that it sees; "
                "for example 'conv 2 5x5 table 0+1 1+2'.",
            )
        return tuple(entries)

    def _take(self, what: str, example: str) -> Token:
        if self._next >= len(self._tail):
            last = self._tail[-1] if self._tail else self._head
            self._fail(last, f"{self.word}: {what} is missing after '{last.text}'; for example '{example}'.")
        self._next += 1
        return self._tail[self._next - 1]

    def _int(self, token: Token, digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            self._fail(token, f"a number of {len(digits)} digits is too large for any network.")
        return int(digits)

    def _fail(self, token: Token, message: str) -> NoReturn:
        raise error_at(self._text, token, message)
