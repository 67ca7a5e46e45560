"""Listeners that show a training: the progress bar, and the log."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from neocog.files import write_error
from neocog.training.events import EpochDone, Event, StageStarted, StepDone, Stopped, Validating
from neocog.training.screen import screen_for

_REDRAW_SECONDS = 0.1


class ProgressBar:
    """A bar per step and a line per epoch, in a terminal or a notebook; only the lines where neither is there."""

    def __init__(self, console: Console | None = None) -> None:
        self._screen = screen_for(console or Console(stderr=True))
        self._pace = _Pace()
        self._drawn = 0.0

    def data(self, what: str, done: int, total: int) -> None:
        """Show how far the reading of images is."""
        self._screen.bar(what, done, total, "", "")
        if done >= total:
            self.close()

    def __call__(self, event: Event) -> None:
        """Take in an event of the loop."""
        match event:
            case StageStarted():
                self._pace.begin(event)
                if event.name != "train":
                    epochs = "1 epoch" if event.epochs == 1 else f"{event.epochs} epochs"
                    self._screen.line(f"stage {event.name}: {epochs}")
            case StepDone():
                self._step(event)
            case Validating():
                self._screen.bar("validating", event.done, event.total, "", "")
            case EpochDone():
                self.close()
                self._screen.line(epoch_line(event) + self._pace.left_text())
            case Stopped():
                self.close()

    def say(self, text: str) -> None:
        """Show a line of text."""
        self.close()
        self._screen.line(text)

    def close(self) -> None:
        """Take the bar off the screen."""
        self._screen.close()

    def _step(self, event: StepDone) -> None:
        self._pace.step(event)
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS and event.step < event.steps:
            return
        self._drawn = now
        figures = f"loss {event.loss:.4f}  accuracy {100 * event.accuracy:.2f} %  {self._pace.rate:,.0f} images/s"
        self._screen.bar(f"epoch {event.epoch + 1}", event.step, event.steps, figures, self._pace.left_text())


class Log:
    """Appends a line per event to `log.txt`: what happened when, and how fast."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: Event) -> None:
        """Take in an event of the loop."""
        match event:
            case StageStarted():
                self.write(f"stage {event.name}: from epoch {event.epoch + 1}, step {event.step} of {event.steps}")
            case EpochDone():
                self.write(epoch_line(event))
            case Stopped():
                self.write(f"stopped: {event.reason}")

    def write(self, text: str) -> None:
        """Append a line with the time of day."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now().isoformat(' ', 'seconds')}  {text}\n")
        except OSError as error:
            raise write_error(self.path, error) from error


def epoch_line(event: EpochDone) -> str:
    """Put an epoch's figures into one line."""
    row = event.row
    parts = [
        f"epoch {row['epoch']:>3}/{event.epochs}",
        f"loss {row['train_loss']:.4f}",
        f"accuracy {100 * row['train_accuracy']:.2f} %",
    ]
    if "valid_loss" in row:
        parts += [f"valid loss {row['valid_loss']:.4f}", f"valid accuracy {100 * row['valid_accuracy']:.2f} %"]
    parts += [f"lr {row['learning_rate']:.2g}", f"{event.images / max(event.seconds, 1e-9):,.0f} images/s"]
    return "  ".join(parts) + ("  *best" if event.best else "")


class _Pace:
    """Images per second and seconds left, over what this process has done itself."""

    def __init__(self) -> None:
        self.rate, self._started, self._first, self._done, self._all = 0.0, 0.0, -1, 0, 0
        self._epochs = self._steps = 0

    def begin(self, event: StageStarted) -> None:
        self._started, self._first = time.monotonic(), event.epoch * event.steps + event.step
        self._epochs, self._steps = event.epochs, event.steps
        self._done, self._all = self._first, event.epochs * event.steps

    def step(self, event: StepDone) -> None:
        self._done = event.epoch * event.steps + event.step
        seconds = max(time.monotonic() - self._started, 1e-9)
        self.rate = (self._done - self._first) * event.images / max(event.step, 1) / seconds

    def left_text(self) -> str:
        done = self._done - self._first
        if not done or self._done >= self._all:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._all - self._done)
        return f"  {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Write seconds as a person would: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
