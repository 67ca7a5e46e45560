"""What the writer probably meant: the nearest word, and what other notations call it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from types import MappingProxyType

# What Keras, PyTorch, papers and haste call the words; lower case, without "_" and "2d".
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "convolution": "conv",
        "dense": "linear",
        "fc": "linear",
        "fullyconnected": "linear",
        "pool": "maxpool",
        "pooling": "maxpool",
        "maxpooling": "maxpool",
        "subsampling": "subsample",
        "averagepooling": "avgpool",
        "meanpool": "avgpool",
        "averagepool": "avgpool",
        "gap": "globalavgpool",
        "globalaveragepooling": "globalavgpool",
        "adaptiveavgpool": "globalavgpool",
        "bn": "batchnorm",
        "batchnormalization": "batchnorm",
        "drop": "dropout",
        "swish": "silu",
        "view": "flatten",
        "reshape": "flatten",
        "res": "residual",
        "skip": "residual",
        "radialbasis": "rbf",
        "rbfunits": "rbf",
        "euclidean": "rbf",
        "euclideanrbf": "rbf",
        "gaussian": "rbf",
        "padding": "pad",
        "strides": "stride",
        "dilationrate": "dilation",
        "connections": "table",
        "connectiontable": "table",
    }
)
_CALL = re.compile(r"(?:torch\.)?(?:nn\.)?(?P<name>[A-Za-z][A-Za-z0-9_]*)\((?P<arguments>[^()\n]{0,200})\)")


def near(written: str, words: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean 'conv'?` where a word is near, else a full stop."""
    word = nearest(written, words)
    return f"; did you mean '{word}'?" if word else "."


def nearest(written: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant, or None."""
    known = sorted(words)
    plain = _plain(written)
    if plain in known:
        return plain
    if _ALIASES.get(plain) in known:
        return _ALIASES[plain]
    close = difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    return close[0] if close else None


def unknown_word(written: str, words: Collection[str]) -> str:
    """The message for a layer word that does not exist."""
    shown = written if len(written) <= 40 else written[:37] + "..."
    if written.lower() != written and written.lower() in words:
        return f"words are written in lower case: '{written.lower()}', not '{shown}'."
    glued = re.fullmatch(r"([a-z]+)([0-9].*)", written)
    if glued and glued[1] in words:
        return f"a blank stands between a word and its number: '{glued[1]} {glued[2]}', not '{shown}'."
    if written[0].isdigit():
        return f"a layer starts with a word, not '{shown}'; a repeat is written '3 * (...)'."
    hint = near(written, words)
    end = "" if hint != "." else f"\nThe words are {', '.join(sorted(words))}."
    return f"there is no word '{shown}'{hint}{end}"


def misplaced(word: str, written: str, options: Collection[str], words: Collection[str]) -> str:
    """The message for something after a layer word that does not belong there."""
    shown = written if len(written) <= 40 else written[:37] + "..."
    if written in words or written == "residual":
        return f"'{written}' is a layer of its own; put '|' before it."
    name, equals, value = shown.partition("=")
    option = nearest(name, options)
    if option and equals:
        return f"settings are written with a blank: '{option} {value}', not '{shown}'."
    if option:
        return f"{word} does not take '{shown}'; did you mean '{option}'?"
    if not options:
        return f"'{shown}' is one too many: nothing more can stand here. The next layer starts after '|'."
    takes = ", ".join(options)
    return f"{word} does not take '{shown}' here; it takes {takes}. The next layer starts after '|'."


def foreign(text: str) -> str | None:
    """The message for a call as PyTorch or Keras write it, with its translation; None for anything else."""
    match = _CALL.match(text)
    if match is None:
        return None
    word = _ALIASES.get(_plain(match["name"]), _plain(match["name"]))
    call = _Call(match["name"], match["arguments"])
    if word in _TRANSLATIONS:
        translated = _TRANSLATIONS[word](call)
    elif word in _PLAIN_WORDS:
        translated = word
    else:
        return None
    return f"a layer is a word and its numbers, not a call; here '{match[0]}' is written '{translated}'."


def _plain(written: str) -> str:
    return re.sub(r"[_-]|[12]d$", "", written.lower().removeprefix("nn."))


class _Call:
    """The arguments of a call, as text."""

    def __init__(self, name: str, arguments: str) -> None:
        self.positional: list[str] = []
        self.named: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in arguments.split(","))):
            key, equals, value = part.partition("=")
            if equals:
                self.named[key.strip()] = value.strip(" \"'")
            else:
                self.positional.append(part.strip(" \"'"))
        # PyTorch's Conv2d and Linear name their inputs first; Keras and this notation infer them.
        if name.endswith(("Conv2D", "Dense")) or name in ("conv", "linear"):
            self.positional.insert(0, "")

    def number(self, place: int, names: tuple[str, ...], default: str) -> str:
        """A whole number by its place or one of its names."""
        named = next((self.named[name] for name in names if name in self.named), None)
        value = named or (self.positional[place] if place < len(self.positional) else default)
        return value if re.fullmatch(r"[0-9]{1,6}", value) else default


def _conv(call: _Call) -> str:
    kernel = call.number(2, ("kernel_size",), "3")
    text = f"conv {call.number(1, ('out_channels', 'filters'), '8')} {kernel}x{kernel}"
    stride = call.number(3, ("stride", "strides"), "1")
    padding = call.number(4, ("padding",), "0")
    if "same" in (call.named.get("padding"), *call.positional) and stride == "1":
        return f"{text} same"
    return text + (f" stride {stride}" if stride != "1" else "") + (f" pad {padding}" if padding != "0" else "")


def _pool(word: str, call: _Call) -> str:
    kernel = call.number(0, ("kernel_size", "pool_size"), "2")
    stride = call.number(1, ("stride", "strides"), kernel)
    padding = call.number(2, ("padding",), "0")
    text = f"{word} {kernel}" + (f" stride {stride}" if stride != kernel else "")
    return text + (f" pad {padding}" if padding != "0" else "")


def _linear(call: _Call) -> str:
    return f"linear {call.number(1, ('out_features', 'units'), 'classes')}"


def _dropout(call: _Call) -> str:
    p = call.named.get("p", call.positional[0] if call.positional else "")
    return f"dropout {p if re.fullmatch('0?[.][0-9]{1,9}', p) else '0.5'}"


_PLAIN_WORDS = frozenset(
    ("globalavgpool", "relu", "tanh", "sigmoid", "softmax", "gelu", "silu", "batchnorm", "flatten")
)
_TRANSLATIONS: Mapping[str, Callable[[_Call], str]] = MappingProxyType(
    {
        "conv": _conv,
        "maxpool": partial(_pool, "maxpool"),
        "avgpool": partial(_pool, "avgpool"),
        "linear": _linear,
        "dropout": _dropout,
    }
)
