"""What is wrong with a recipe, in sentences: the key, the value and what would do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from neocog.settings import TABLES, all_keys


def nearest(word: str, known: Iterable[str]) -> str:
    """Ask whether the known word that is nearest was meant; empty where none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


def explain_all(error: ValidationError, source: str, table: str = "") -> str:
    """Give each wrong key one line, whatever the number of alternatives that it failed to be."""
    lines: dict[str, str] = {}
    for problem in error.errors():
        key, line = _explain(problem, source, table)
        lines.setdefault(key, line)
    return "\n".join(lines.values())


def _explain(problem: Any, source: str, table: str) -> tuple[str, str]:
    """Put one of pydantic's findings into a sentence with the key, the value and what would do."""
    location = [table, *problem["loc"]] if table else list(problem["loc"])
    names = [str(part) for part in location if not isinstance(part, int)]
    key = ".".join(names[:2]) if names and names[0] in TABLES else ".".join(names[:1])
    if problem["type"] == "extra_forbidden":
        return key, f"{prefix(source)}{key}: there is no such key.{_key_advice(names)}"
    if problem["type"] == "missing":
        return key, f"{prefix(source)}{key}: this key is needed."
    value = f"{key} = {_shown(problem['input'])}: " if key else ""
    if key in TABLES and problem["type"] == "value_error":
        # What does not go together has its keys in the reason; the whole table would bury it.
        value = f"[{key}]: "
    return key, f"{prefix(source)}{value}{_reason(problem, names)}"


def prefix(source: str) -> str:
    """Begin a message with where the recipe comes from, where that is known."""
    return f"{source}: " if source else ""


def setting_advice(name: str) -> str:
    """Ask whether a key that exists was meant by `name`, which does not."""
    table, _, key = name.partition(".")
    own = [full for full in all_keys() if full.startswith(f"{table}.")]
    homes = [full for full in all_keys() if full.partition(".")[2] in (key, table) and not own]
    if homes:
        return f" Did you mean {homes[0]!r}?"
    return nearest(name, own or [*all_keys(), *(full.partition(".")[2] for full in all_keys())])


def _key_advice(location: list[str]) -> str:
    if len(location) == 1:
        tables = ["description", *TABLES]
        advice = nearest(location[0], [*tables, *(key.partition(".")[2] for key in all_keys())])
        homes = [full for full in all_keys() if full.partition(".")[2] == location[0]]
        if homes:
            return f" It belongs to a table: {' or '.join(homes)}."
        return f"{advice} A recipe has the tables {', '.join(f'[{name}]' for name in TABLES)}."
    fields = list(TABLES[location[0]].model_fields) if location[0] in TABLES else []
    wanted = location[-1]
    elsewhere = [full for full in all_keys() if full.partition(".")[2] == wanted]
    if elsewhere:
        return f" It belongs to [{elsewhere[0].partition('.')[0]}]."
    return nearest(wanted, fields) or f" The keys of [{location[0]}] are: {', '.join(fields)}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
}


_LIMITS = {
    "greater_than_equal": "of at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "of at most {le:g}",
    "less_than": "below {lt:g}",
    "finite_number": "that is finite",
}


def _reason(problem: Any, names: list[str]) -> str:
    if problem["type"] == "value_error":
        return f"{problem['ctx']['error']}."
    field = TABLES[names[0]].model_fields.get(names[1]) if len(names) > 1 and names[0] in TABLES else None
    if field and field.description and (len(names) > 2 or problem["type"].endswith("_type")):
        kind = _KINDS.get(problem["type"]) if len(names) == 2 else None
        return f"expected {kind} ({field.description})." if kind else f"expected: {field.description}."
    if problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"expected {problem['ctx']['expected']}.{nearest(str(problem['input']), choices)}"
    limit = _LIMITS.get(problem["type"])
    if limit is not None:
        meaning = f": {field.description}" if field and field.description else ""
        return f"expected a number {limit.format(**problem.get('ctx', {}))}{meaning}."
    if field and field.description:
        return f"expected: {field.description}."
    message = str(problem["msg"])
    if problem["type"].endswith("_type") and len(names) == 1:
        message = "Input should be a table"
    return f"expected {message.removeprefix('Input should be ').removeprefix('a valid ')}."
