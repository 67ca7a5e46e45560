"""The command line: each command is one call of the Python API."""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neocog.arguments import whole
from neocog.commands.advise import advise
from neocog.commands.audit import audit
from neocog.commands.augment import augment
from neocog.commands.compare import compare
from neocog.commands.evaluate import evaluate
from neocog.commands.explain import explain
from neocog.commands.predict import predict
from neocog.commands.sizes import conv, pool
from neocog.commands.train import INTERRUPTED, demo, resume, train
from neocog.doctor import doctor
from neocog.errors import NeocogError, RecipeError
from neocog.printing import err, say, table

if TYPE_CHECKING:
    from neocog.models.catalogue import Entry
    from neocog.run import Run

app = typer.Typer(
    name="neocog",
    help="Train, explain and ship convolutional image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_TRAINING = {"train", "resume", "reproduce", "demo"}


def main() -> None:
    """Run the command line: a user's mistake ends in one readable error and exit code 2."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _speak_any_script()
    try:
        # Outside its standalone mode typer gives the exit code back and leaves the errors to us.
        code = app(arguments, prog_name="neocog", standalone_mode=False)
        if code == INTERRUPTED:
            # typer's word for Ctrl-C outside of a training's steps
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        _fail(_interrupted(arguments), INTERRUPTED)
    except Exception as error:
        message = _message(error)
        if debug or message is None:
            raise
        _fail(message, 2)


def _fail(message: str, code: int) -> None:
    sys.stdout.flush()
    if message:
        err.print(f"error: {message}" if code == 2 else message, style="red", markup=False)
    sys.exit(code)


def _interrupted(arguments: Sequence[str]) -> str:
    """Say how to go on where a training can have been stopped; any other command has to begin again."""
    trains = not _TRAINING.isdisjoint(arguments[:1])
    goes_on = " A run that was begun goes on from its last checkpoint with: neocog resume RUN"
    return "interrupted." + (goes_on if trains else "")


def _message(error: Exception) -> str | None:
    """Say what a user can do about an error; None for one that is a fault of neocog's own."""
    if isinstance(error, NeocogError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. Check the path, its permissions and the space on the disk."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "the memory is full. Try a smaller --batch-size, a smaller --set data.image_size=… or cache = disk."
    if hasattr(error, "format_message"):
        return _usage(error)
    return None


def _usage(error: Any) -> str:
    """Put typer's finding about a command line into a sentence, with the help that fits; empty where it is shown."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "neocog"
    kind, message = type(error).__name__, str(error.format_message()).strip().rstrip(".")
    if kind == "NoArgsIsHelpError":
        return ""
    if kind == "NoSuchOption":
        known = [name for option in context.command.params for name in option.opts if name.startswith("--")]
        near = difflib.get_close_matches(error.option_name, known, n=1, cutoff=0.5)
        message = f"there is no option {error.option_name}" + (f"; did you mean {near[0]}?" if near else "")
    elif kind == "BadOptionUsage":
        message = f"{error.option_name} needs a value behind it"
    elif kind == "MissingParameter" and error.param is not None:
        message = f"{error.param.metavar or error.param.name} is missing: {error.param.help}"
    elif kind == "BadParameter" and error.param is not None:
        name = next((name for name in error.param.opts if name.startswith("--")), error.param.metavar)
        message = f"{name}: {error.message}"
    elif "extra argument" in message:
        message += ". A text with blanks, such as a network in the notation, stands in quotes"
    end = "" if message.endswith(("?", ".")) else "."
    return f"{message}{end} More: {command} --help"


def _speak_any_script() -> None:
    """Names of files may hold letters, or bytes, that the terminal's encoding does not know."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a pipe on Windows has an encoding of its own country; ours is UTF-8 as in every file
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; works everywhere.")] = False,
) -> None:
    if version:
        from neocog import __version__

        say(__version__)
        raise typer.Exit


app.command()(train)
app.command()(demo)
app.command()(resume)
app.command()(audit)
app.command()(advise)
app.command()(augment)
app.command()(predict)
app.command()(evaluate)
app.command()(compare)
app.command()(explain)
app.command()(conv)
app.command()(pool)


@app.command()
def summary(
    model: Annotated[
        str, typer.Argument(metavar="NETWORK", help="A network: a name, a text in the notation, a Python path, a run.")
    ],
    input_shape: Annotated[str, typer.Option("--input", metavar="CxHxW", help="Shape of an image.")] = "",
    classes: Annotated[
        int | None,
        typer.Option(parser=whole, metavar="N", help="Number of classes, where the network leaves it."),
    ] = None,
    why: Annotated[
        str | None, typer.Option(metavar="LAYER", help="Write out the arithmetic of this layer, or of all.")
    ] = None,
) -> None:
    """Show a network layer by layer: shapes, parameters, multiplications, receptive fields, memory."""
    from neocog.models.catalogue import Entry
    from neocog.models.reference import resolve
    from neocog.notation import parse_shape
    from neocog.stored_network import stored_network
    from neocog.summary import explain_layer, summarize

    usual: tuple[int, int, int] | None
    stored = stored_network(model)
    if stored is not None:
        model, usual = stored.model, stored.input_shape
        classes = stored.num_classes if classes is None else classes
    else:
        meant = resolve(model)
        usual = meant.input_shape if isinstance(meant, Entry) else None
    if not input_shape and usual is None:
        raise RecipeError("give the shape of an image: --input CxHxW, such as --input 1x28x28.")
    shape = parse_shape(input_shape) if input_shape or usual is None else usual
    if classes is not None and classes < 1:
        raise RecipeError(f"--classes {classes}: expected a number of classes, at least 1.")
    say(str(summarize(model, shape, classes)) if why is None else explain_layer(model, shape, classes, why))


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the runs lie.")] = Path("runs"),
) -> None:
    """List the runs of a folder."""
    from neocog.run import runs_in

    damaged = list[str]()
    rows = [_run_row(run, damaged.append) for run in runs_in(folder)]
    if not rows:
        say(f"There are no runs in {folder}. Begin one with: neocog train mnist")
        return
    heads = ("run", "accuracy", "on", "epochs", "data", "network")
    say(table(heads, rows, right=("accuracy", "epochs")))
    for problem in damaged:
        err.print(problem, markup=False)
    if any(row[2] == "validation" for row in rows):
        say("validation: those images were used to choose the weights, so the figure is a little too good.")


@app.command()
def datasets() -> None:
    """List the data sets known by name."""
    from neocog.data.registry import available

    rows = []
    for entry in available():
        train_images, test_images = (f"{number:,}" for number in entry.images)
        what = f"{entry.description}; {entry.where}"
        rows.append((entry.name, entry.size, str(entry.classes), train_images, test_images, what))
    heads = ("name", "image", "classes", "training", "test", "what, and where it comes from")
    say(table(heads, rows, right=("classes", "training", "test")))
    say("A folder of images works as well: root/<class>/… or root/{train,val,test}/<class>/…")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Say more about this one.")] = None,
) -> None:
    """List the networks known by name, or say more about one."""
    from neocog.models.catalogue import entries, find

    if name:
        say(_about(find(name)))
        return
    rows = [(entry.name, f"{entry.parameters:,}", _shape(entry), entry.description) for entry in entries()]
    say(table(("name", "parameters", "input", "what"), rows, right=("parameters",)))


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this one whole, with every key.")] = None,
) -> None:
    """List the built-in recipes, or print one whole: the beginning of one's own."""
    from neocog.recipe import Recipe, builtin_names

    if name:
        sys.stdout.write(Recipe.load(name).text())
        return
    say(table(("name", "what"), [(known, Recipe.load(known).description) for known in builtin_names()]))


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Built-in recipes; without any, what was published.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every recipe with a figure to compare with.")] = False,
    seeds: Annotated[int, typer.Option(parser=whole, metavar="N", help="Train with the seeds 0 to N - 1.")] = 1,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the runs and the report.")] = Path(
        "runs/reproduce"
    ),
) -> None:
    """Train the course's recipes and compare them with their published figures."""
    from neocog.reproduction.command import reproduce_command

    raise typer.Exit(reproduce_command(names or [], every, seeds, out))


app.command()(doctor)


def _run_row(run: Run, complain: Callable[[str], None]) -> tuple[str, ...]:
    try:
        recipe, metrics, epochs = run.recipe, run.metrics, len(run.history)
    except NeocogError as error:
        # One damaged run must not hide the others.
        complain(str(error))
        return str(run.path), "", "damaged", "", "", ""
    part = "test" if "test" in metrics else "valid"
    accuracy = f"{100 * metrics[part]['accuracy']:.2f} %" if part in metrics else ""
    on = {"test": "test", "valid": "validation"}[part] if metrics else "not finished"
    chooses = metrics.get("validation_chooses", True)
    if on == "validation" and not chooses:
        on = "validation, which chose nothing"
    if metrics and metrics["validation_origin"] == "test" and chooses:
        on = "validation"
    source, network = Path(recipe.data.source).name, " ".join(recipe.model.network.split())
    shown = network if len(network) <= 60 else f"{network[:59]}…"
    return str(run.path), accuracy, on, str(epochs), source, shown


def _about(entry: Entry) -> str:
    lines = [
        f"{entry.name}: {entry.description}",
        f"source      {entry.source}",
        f"usual use   images {_shape(entry)}, {entry.num_classes} classes, {entry.parameters:,} parameters",
        f"smallest    {entry.minimum_size}x{entry.minimum_size} pixels",
    ]
    if entry.notation is not None:
        written = [line.strip() for line in entry.notation.strip().splitlines()]
        lines += ["notation", *(f"  {line}" for line in written)]
    return "\n".join([*lines, f"layers      neocog summary {entry.name}"])


def _shape(entry: Entry) -> str:
    return "x".join(map(str, entry.input_shape))
