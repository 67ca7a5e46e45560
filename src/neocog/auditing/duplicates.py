"""Groups of the same image, and what it means where its copies lie."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from neocog.auditing.findings import Finding, Item, KindName
from neocog.auditing.near import Pair

_WORDS = {"train": "training", "valid": "validation", "test": "test"}


def exact_groups(digests: Sequence[Hashable]) -> list[tuple[int, ...]]:
    """Give the places of equal digests, two and more, in the order in which they come first."""
    places = dict[Hashable, list[int]]()
    for place, digest in enumerate(digests):
        places.setdefault(digest, []).append(place)
    return [tuple(group) for group in places.values() if len(group) > 1]


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Give for each of `count` places the first place that `pairs` connect it with, over any number of steps."""
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for one, other in pairs:
        first, second = sorted((find(one), find(other)))
        root[second] = first
    return [find(place) for place in range(count)]


def exact_findings(groups: Sequence[Sequence[int]], items: Sequence[Item]) -> Iterator[Finding]:
    """A finding for each group of exact copies (places in `items`): a conflict, a leak or a plain duplicate."""
    for group in groups:
        members = tuple(items[place] for place in group)
        kind = _kind(members)
        yield Finding(
            kind, members, _reason(members, "the same pixels"), float(len(members)), (), _left_out(kind, members)
        )


def near_findings(pairs: Sequence[Pair], items: Sequence[Item]) -> Iterator[Finding]:
    """A finding for each group of images that `pairs` (of places in `items`) connect."""
    root = joined(len(items), ((pair.one, pair.other) for pair in pairs))
    groups, told = dict[int, list[int]](), dict[int, Pair]()
    for place in sorted({end for pair in pairs for end in (pair.one, pair.other)}):
        groups.setdefault(root[place], []).append(place)
    for pair in pairs:
        best = told.get(root[pair.one])
        if best is None or pair.score > best.score:
            told[root[pair.one]] = pair
    for first, group in groups.items():
        members = tuple(items[place] for place in group)
        kind = _kind(members)
        near: KindName = {"leak": "near-leak", "conflict": "near-conflict"}.get(kind, "near-duplicate")  # type: ignore[assignment]
        left_out = _training(members) if near == "near-leak" else ()
        yield Finding(near, members, _reason(members, told[first].told), told[first].score, (), left_out)


def _kind(members: Sequence[Item]) -> KindName:
    if len({item.label for item in members}) > 1:
        return "conflict"
    return "leak" if len({item.part for item in members}) > 1 else "duplicate"


def _left_out(kind: KindName, members: Sequence[Item]) -> tuple[int, ...]:
    """What is better left out: training images alone, so that what judges stays as it is."""
    training = _training(members)
    if kind == "duplicate":
        return training[1:]
    return training


def _training(members: Sequence[Item]) -> tuple[int, ...]:
    return tuple(item.row for item in members if item.part == "train")


def _reason(members: Sequence[Item], how: str) -> str:
    labels = list(dict.fromkeys(item.label for item in members))
    parts = list(dict.fromkeys(_WORDS[item.part] for item in members))
    told = [how]
    if len(labels) > 1:
        told.append(f"labelled {_listed(labels)}")
    if len(parts) > 1:
        told.append(f"in the {_listed(parts)} images")
    if len(members) > 2:
        told.append(f"{len(members)} files")
    return "; ".join(told)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"
