"""The documents hold what the results say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.reproduction.small import result, results

from neocog.errors import NeocogError
from neocog.reproduction.document import BEGIN, DOCUMENTED, END, between, document, generated, replaced
from neocog.reproduction.results import Results

ROOT = Path(__file__).resolve().parents[2]
PAGE = f"# 제목\n\nbefore\n\n{BEGIN}\nold\n{END}\n\nafter\n"


@pytest.mark.parametrize("name", ["docs/reproduction.md", "README.md", "README.ko.md"])
def test_the_documents_are_those_of_the_results(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert between(text) == generated(Results.load(ROOT / DOCUMENTED))[name]


def test_results_are_brought_into_the_documents(tmp_path: Path) -> None:
    out, repository = tmp_path / "out", tmp_path / "repository"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "mnist.png").write_bytes(b"picture")
    old = repository / "docs" / "images" / "reproduction"
    old.mkdir(parents=True)
    (old / "gone.png").write_bytes(b"old")
    found = results(result("mnist", test_accuracy=0.997))
    found.save(out / "results.json")
    for name in ("README.md", "docs/reproduction.md"):
        (repository / name).write_text(PAGE, encoding="utf-8")
    (repository / "README.ko.md").write_text("no markers", encoding="utf-8")
    for _ in range(2):
        assert document(out, repository) == [repository / "docs" / "reproduction.md", repository / "README.md"]
        assert Results.load(repository / DOCUMENTED) == found
        assert [path.name for path in old.iterdir()] == ["mnist.png"]
        for name in ("README.md", "docs/reproduction.md"):
            text = (repository / name).read_text(encoding="utf-8")
            assert text.startswith("# 제목\n\nbefore\n") and text.endswith("\nafter\n")
            assert between(text) == generated(found)[name]
        assert (repository / "README.ko.md").read_text(encoding="utf-8") == "no markers"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_document_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(NeocogError, match="expected <!-- reproduction: begin -->"):
        replaced(text, "new")


def test_nothing_to_report_is_said(tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match="there is no finished run to report"):
        generated(results())
