"""Where progress is drawn: a terminal, a notebook's cell, or a plain stream of lines."""

from __future__ import annotations

import html
import time
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_REDRAW_SECONDS = 0.2


class Screen(Protocol):
    """A place for one bar, and lines that stay."""

    def bar(self, what: str, done: int, total: int, figures: str, left: str) -> None:
        """Show or move the bar."""
        ...

    def line(self, text: str) -> None:
        """Add a line that stays."""
        ...

    def close(self) -> None:
        """Take the bar away."""
        ...


def screen_for(console: Console) -> Screen:
    """Choose the screen that fits where a console prints to."""
    if console.is_jupyter:
        return NotebookScreen()
    return TerminalScreen(console)


class TerminalScreen:
    """Rich's bar on a terminal; lines alone where the console is none, such as a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            refresh_per_second=8,
        )
        self._task: TaskID | None = None

    def bar(self, what: str, done: int, total: int, figures: str, left: str) -> None:
        """Show or move the bar."""
        if not self._console.is_terminal:
            return
        if self._task is None:
            self._task = self._bar.add_task(what, total=total, figures=figures, left=left)
            self._bar.start()
        self._bar.update(self._task, description=what, completed=done, total=total, figures=figures, left=left)

    def line(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None


class NotebookScreen:
    """One output of a notebook's cell that is updated in place; it needs IPython alone, no widgets."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._handle: Any = None
        self._drawn = 0.0

    def bar(self, what: str, done: int, total: int, figures: str, left: str) -> None:
        """Show or move the bar."""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            text = html.escape(f" {what} {done}/{total}  {figures} {left}")
            self._draw(f'<progress value="{done}" max="{total}"></progress>{text}', f"{what} {done}/{total}")

    def line(self, text: str) -> None:
        """Add a line that stays."""
        self._lines.append(text)
        self._draw("", "")

    def close(self) -> None:
        """Take the bar away."""
        if self._lines:
            self._draw("", "")

    def _draw(self, bar: str, plain: str) -> None:
        from IPython.display import display

        content = "\n".join([*map(html.escape, self._lines), bar]).rstrip("\n")
        shown = {
            "text/html": f'<pre style="white-space: pre-wrap">{content}</pre>',
            "text/plain": "\n".join([*self._lines, plain]).rstrip("\n"),
        }
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
