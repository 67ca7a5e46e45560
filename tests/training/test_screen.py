"""Progress in a notebook, run by a real kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

CODE = """
import neocog as nc
run = nc.train("digits", model="flatten | linear classes", epochs=2, out="run")
run.finished
"""


def test_a_notebook_shows_one_output_that_holds_the_epochs_and_no_warning(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type == "display_data"]
    others = [output for output in notebook.cells[0].outputs if output.output_type != "display_data"]
    assert len(shown) == 1
    page = shown[0]["data"]["text/html"]
    assert "epoch   1/2" in page and "epoch   2/2" in page and "<progress" not in page
    assert [output.output_type for output in others] == ["execute_result"]
    assert others[0]["data"]["text/plain"] == "True"
