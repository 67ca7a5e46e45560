"""Bring results into the documents of this repository: `python -m neocog.reproduction.document OUT REPOSITORY`.

OUT is a folder that `neocog reproduce` wrote. Its results become `docs/reproduction.json`, its pictures
`docs/images/reproduction/`, and the tables in `docs/reproduction.md`, `README.md` and `README.ko.md` are written anew
between their markers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from neocog.errors import NeocogError
from neocog.files import write_whole
from neocog.reproduction.report import PICTURES, body
from neocog.reproduction.results import RESULTS, Results
from neocog.reproduction.tables import ASSUMED_MARK, TEST_MARK, short_table
from neocog.reproduction.wording import Language

BEGIN, END = "<!-- reproduction: begin -->", "<!-- reproduction: end -->"
DOCUMENTED, LINKED = Path("docs") / "reproduction.json", Path("images") / "reproduction"

_SHORT_LEGEND: dict[Language, str] = {
    "en": (
        f"{TEST_MARK} Validated on the test set, as in the source: the best of several epochs is then a little too "
        f"good. {ASSUMED_MARK} What the source leaves open was assumed. "
        "[docs/reproduction.md](docs/reproduction.md) has the whole table and the curves."
    ),
    "ko": (
        f"{TEST_MARK} 출처와 같이 테스트셋으로 검증했습니다. 여러 에포크 가운데 가장 좋은 수치는 "
        f"실제보다 조금 좋게 나옵니다. {ASSUMED_MARK} 출처에 나와 있지 않은 설정은 가정했습니다. "
        "전체 표와 곡선은 [docs/reproduction.md](docs/reproduction.md)에 있습니다."
    ),
}


def document(out: Path, repository: Path) -> list[Path]:
    """Bring the results in `out` into the documents of `repository`; gives the documents that were written.

    A document without the markers is left as it is. Raises `NeocogError` where the results cannot be read or a
    document cannot be written.
    """
    results = Results.load(out / RESULTS)
    results.save(repository / DOCUMENTED)
    folder = repository / "docs" / LINKED
    folder.mkdir(parents=True, exist_ok=True)
    pictures = sorted((out / PICTURES).glob("*.png"))
    for picture in pictures:
        write_whole(folder / picture.name, picture.read_bytes())
    for old in set(folder.glob("*.png")) - {folder / picture.name for picture in pictures}:
        old.unlink()
    written = []
    for name, text in generated(results).items():
        page = repository / name
        if page.is_file() and BEGIN in page.read_text(encoding="utf-8"):
            write_whole(page, replaced(page.read_text(encoding="utf-8"), text))
            written.append(page)
    return written


def generated(results: Results) -> dict[str, str]:
    """Give what stands between the markers of each document, by its path in the repository."""
    return {
        "docs/reproduction.md": body(results, LINKED.as_posix()),
        "README.md": f"{short_table(results)}\n\n{_SHORT_LEGEND['en']}",
        "README.ko.md": f"{short_table(results, 'ko')}\n\n{_SHORT_LEGEND['ko']}",
    }


def between(text: str) -> str:
    """Give what stands between the markers of a document, without the blank lines around it.

    Raises `NeocogError` where they are not there once each, the beginning first.
    """
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise NeocogError(f"expected {BEGIN} and, after it, {END} in the document, each once.")
    return inside.strip("\n")


def replaced(text: str, inside: str) -> str:
    """Give a document with something else between its markers; raises `NeocogError` as `between` does."""
    between(text)
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{inside}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m neocog.reproduction.document OUT REPOSITORY")
    try:
        for page in document(Path(sys.argv[1]), Path(sys.argv[2])):
            print(page)
    except NeocogError as error:
        sys.exit(f"error: {error}")
