import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from neocog.errors import NeocogError
from neocog.training.events import EpochDone, StageStarted, StepDone, Stopped, Validating
from neocog.training.progress import Log, ProgressBar, duration, epoch_line

ROW = {"stage": "train", "epoch": 2, "train_loss": 0.5, "train_accuracy": 0.875, "learning_rate": 0.001}
VALID = {"valid_loss": 0.25, "valid_accuracy": 0.9}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (8.4, "8 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_of_an_epoch() -> None:
    assert epoch_line(EpochDone(ROW | VALID, 10, True, True, 500, 2.0)) == (
        "epoch   2/10  loss 0.5000  accuracy 87.50 %  valid loss 0.2500  valid accuracy 90.00 %  lr 0.001  "
        "250 images/s  *best"
    )
    assert epoch_line(EpochDone(ROW, 10, False, False, 500, 2.0)).endswith("lr 0.001  250 images/s")


def events(bar: ProgressBar) -> None:
    bar.data("decoding", 1, 2)
    bar.data("decoding", 2, 2)
    bar(StageStarted(0, "head [/b]", 2, 4, 0, 0))
    for step in range(1, 5):
        bar(StepDone(0, step, 4, 8 * step, 0.5, 0.5))
    bar(Validating(1, 1))
    bar(EpochDone(ROW | VALID, 2, True, True, 32, 1.0))
    bar(Stopped("finished", True))


def test_where_there_is_no_terminal_only_lines_are_printed() -> None:
    text = io.StringIO()
    events(ProgressBar(Console(file=text, width=200)))
    assert re.fullmatch(r"stage head \[/b\]: 2 epochs\nepoch   2/2  loss .*\*best  \d+ s left\n", text.getvalue())


def test_in_a_terminal_there_is_a_bar_and_it_goes_away() -> None:
    text = io.StringIO()
    bar = ProgressBar(Console(file=text, width=200, force_terminal=True))
    events(bar)
    assert "decoding" in text.getvalue() and "epoch 1" in text.getvalue() and "images/s" in text.getvalue()
    shown = len(text.getvalue())
    bar.close()
    assert len(text.getvalue()) == shown


def test_the_log_appends_lines_with_the_time(tmp_path: Path) -> None:
    for reason in ("interrupted", "finished"):
        log = Log(tmp_path / "log.txt")
        log(StageStarted(0, "train", 2, 4, 1, 3))
        log(EpochDone(ROW, 2, False, False, 1, 1.0))
        log(Stopped(reason, True))
    lines = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    assert lines[0].endswith("stage train: from epoch 2, step 3 of 4")
    assert lines[2].endswith("stopped: interrupted") and lines[5].endswith("stopped: finished")


def test_a_log_that_cannot_be_written_is_a_readable_error(tmp_path: Path) -> None:
    with pytest.raises(NeocogError, match="cannot write"):
        Log(tmp_path / "missing" / "log.txt").write("x")
