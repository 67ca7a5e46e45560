"""What is odd about single files: findings from what is known of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

import numpy as np
from PIL import Image

from neocog.auditing.findings import Finding, Item
from neocog.auditing.inspecting import Look

_TINY = 32  # pixels of the shorter side
_HUGE = 50_000_000  # pixels
_LONG = 4.0  # times as long as wide
_PLAIN = {"", "L", "RGB", "1"}
# formats that bear each other's endings rightly
_SAME = {"MPO": "JPEG", "DIB": "BMP"}


def odd_files(looks: Sequence[Look], items: Sequence[Item]) -> Iterator[Finding]:
    """Findings about single readable files; `items` belong to `looks` one by one.

    Small pictures are odd only among larger ones: not where half of all are small.
    """
    if not looks:
        return
    usual = float(np.median([min(look.width, look.height) for look in looks]))
    for look, item in zip(looks, items, strict=True):
        size = f"{look.width} x {look.height} pixels"
        told = _lying_name(look, item.name)
        if told:
            yield Finding("suffix", (item,), told)
        if look.ends_early:
            yield Finding("truncated", (item,), f"the mark at the end of the {look.format} file is missing")
        if look.flat:
            yield Finding("single-colour", (item,), f"{size} of one colour")
        if min(look.width, look.height) < _TINY <= usual / 2:
            yield Finding("tiny", (item,), f"{size}; half of all are at least {usual:.0f} on the shorter side",
                          -float(min(look.width, look.height)))  # fmt: skip
        if look.width * look.height > _HUGE:
            yield Finding("huge", (item,), f"{size}, {look.width * look.height / 1e6:,.0f} million in all",
                          float(look.width * look.height))  # fmt: skip
        times = max(look.width, look.height) / min(look.width, look.height)
        if times > _LONG:
            yield Finding("aspect", (item,), f"{size}: one side is {times:.1f} times the other", times)
        if look.animated:
            yield Finding("animated", (item,), f"a {look.format} file with several pictures")


def other_modes(looks: Sequence[Look], items: Sequence[Item]) -> Iterator[Finding]:
    """One finding for each mode that has to be converted, and one for turned photographs."""
    modes = dict[str, list[Item]]()
    turned = list[Item]()
    for look, item in zip(looks, items, strict=True):
        if look.mode not in _PLAIN:
            modes.setdefault(look.mode, []).append(item)
        if look.turned:
            turned.append(item)
    for mode, found in sorted(modes.items()):
        yield Finding("mode", tuple(found), f"{_mode(mode)} ({mode})", float(len(found)))
    if turned:
        yield Finding("rotated", tuple(turned), "the camera was held upright or upside down", float(len(turned)))


def class_sizes(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Findings about classes, from the number of training images of each."""
    for name, count in counts.items():
        item = Item(-1, name, name, "train")
        if count < 2:
            yield Finding("small-class", (item,), f"{_images(count)} for training: training leaves it out", 2.0)
        elif count < 10:
            yield Finding("small-class", (item,), f"{_images(count)} for training", 1 / count)
    known = {name: count for name, count in counts.items() if count}
    if known and max(known.values()) >= 10 * min(known.values()):
        large, small = max(known, key=lambda name: known[name]), min(known, key=lambda name: known[name])
        reason = (
            f"{large} has {_images(known[large])} for training, {small} {known[small]:,}: "
            f"{known[large] / known[small]:.0f} times as many"
        )
        yield Finding("imbalance", tuple(Item(-1, name, name, "train") for name in (large, small)), reason)


def summary_rows(looks: Sequence[Look]) -> list[tuple[str, str]]:
    """What sizes, formats and modes there are, as (what, in words)."""
    if not looks:
        return []
    sides = np.array([(look.width, look.height) for look in looks])
    sizes = Counter((look.width, look.height) for look in looks)
    (width, height), often = sizes.most_common(1)[0]
    rows = []
    if len(sizes) == 1:
        rows.append(("size", f"all {width} x {height}"))
    else:
        low, middle, high = (np.percentile(sides, share, axis=0) for share in (0, 50, 100))
        rows.append(("width", f"{low[0]:,.0f} to {high[0]:,.0f}, half of them at most {middle[0]:,.0f}"))
        rows.append(("height", f"{low[1]:,.0f} to {high[1]:,.0f}, half of them at most {middle[1]:,.0f}"))
        rows.append(("most often", f"{width} x {height} ({often:,})"))
    wide, tall = int((sides[:, 0] > sides[:, 1]).sum()), int((sides[:, 0] < sides[:, 1]).sum())
    rows.append(("shape", _counted({"wide": wide, "tall": tall, "square": len(looks) - wide - tall})))
    rows.append(("format", _counted(Counter(look.format for look in looks if look.format))))
    rows.append(("mode", _counted(Counter(look.mode for look in looks if look.mode))))
    return [(what, told) for what, told in rows if told]


def _lying_name(look: Look, name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    said = Image.registered_extensions().get(suffix, "")
    if not look.format or not said or _SAME.get(said, said) == _SAME.get(look.format, look.format):
        return ""
    return f"the name ends in {suffix}, the content is {look.format}"


def _mode(mode: str) -> str:
    if "transparency" in mode:
        return "transparent parts are laid over white"
    if mode.startswith(("I", "F")):
        return "more than 8 bits a value: scaled to 0..255"
    return {"CMYK": "colours for print", "P": "a palette of colours"}.get(mode, "converted to RGB")


def _images(count: int) -> str:
    return "no image" if count == 0 else "1 image" if count == 1 else f"{count:,} images"


def _counted(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {count:,}" for name, count in ranked if count)
