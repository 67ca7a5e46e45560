"""The list of what is better left out of training, as `data.skip_list` reads it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from neocog.auditing.findings import KIND, Finding
from neocog.errors import DataError
from neocog.files import write_whole

if TYPE_CHECKING:
    from neocog.auditing.result import Audit

_RULES = """\
# Images that neocog audit would leave out of {name}. Paths are relative to the folder of the data.
# - files that cannot be read
# - of training images with the same pixels and label: all but one
# - of an image that is also in the validation or test part, the same or nearly the same: the training copies
# - of an image under two labels: all training copies
{more}# Validation and test images that can be read stay, so that figures can still be compared.
# Take out the lines that you do not agree with. Use it so: neocog train FOLDER --skip-list THIS_FILE
"""


def write_list(path: Path | str, found: Audit, *, include_label_errors: bool = False) -> int:
    """Write the list of `found` to `path` as CSV (path, reason), whole or not at all; gives the number of images.

    Likely label errors are on it only where `include_label_errors` asks for them, and only those of the training part.
    Names that are no UTF-8 are written as their bytes. Raises `DataError` for a set without files.
    """
    if found.paths is None or found.root is None:
        raise DataError(
            f"{found.source} has no files, so there is no list to write: its images are in the package. A list is for "
            "a folder or a CSV file."
        )
    reasons = left_out(found.findings, include_label_errors=include_label_errors)
    text = io.StringIO()
    more = "# - likely label errors among the training images, as --include-label-errors asks for\n"
    text.write(_RULES.format(name=found.name, more=more if include_label_errors else ""))
    text.write("path,reason\n")
    # all in quotes, so that no name looks like a comment
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row, reason in sorted(reasons.items()):
        writer.writerow([_relative(found.paths[row], found.root), reason])
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))
    return len(reasons)


def left_out(findings: Iterable[Finding], *, include_label_errors: bool = False) -> dict[int, str]:
    """The rows that are better left out, with the reason of the first finding that says so."""
    reasons = dict[int, str]()
    for finding in findings:
        rows: Iterable[int] = finding.leave_out
        if include_label_errors and finding.kind == "label":
            rows = (item.row for item in finding.items if item.part == "train")
        for row in rows:
            reasons.setdefault(row, f"{KIND[finding.kind].short}: {finding.reason}{_others(finding, row)}")
    return reasons


def _others(finding: Finding, row: int) -> str:
    others = [item.name for item in finding.items if item.row != row]
    if not others:
        return ""
    return f" (as {others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''})"


def _relative(path: Path, root: Path) -> str:
    relative = os.path.relpath(path, root)
    return str(path.absolute()) if relative.startswith("..") else Path(relative).as_posix()
