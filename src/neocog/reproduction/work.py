"""Train what is missing, resume what was interrupted, keep what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neocog.errors import NeocogError, RecipeError, RunError
from neocog.recipe import Recipe
from neocog.reproduction.gathering import gather, run_path
from neocog.reproduction.published import check_names, reproducible
from neocog.reproduction.report import write_report
from neocog.reproduction.results import RESULTS, Results
from neocog.reproduction.sameness import differences
from neocog.run import RECIPE, Run
from neocog.training.session import resume, train

Tell = Callable[[str], None]
DEFAULT_OUT = Path("runs") / "reproduce"


@dataclass(frozen=True)
class Reproduced:
    """What a call of `reproduce` came to.

    `results` are those of every finished run in the folder; `failures` say in a sentence each what could not be
    trained or read. `interrupted` says that it was stopped; then nothing was gathered and `results` is None.
    """

    results: Results | None
    failures: tuple[str, ...] = ()
    interrupted: bool = False


def reproduce(
    names: Sequence[str] = (),
    *,
    seeds: int = 1,
    out: Path | str = DEFAULT_OUT,
    progress: bool = True,
    tell: Tell = lambda text: None,
    recipes: Mapping[str, Recipe] | None = None,
) -> Reproduced:
    """Train recipes with the seeds 0 … `seeds` - 1 and write `results.json` and `reproduction.md` into `out`.

    `names` are built-in recipes with claims, all of them where left out. A run lies in `out`/NAME/seed-K; a
    finished one is kept, an unfinished one resumed. `tell` hears in a sentence what is being done, `progress` draws
    the bars of the trainings. `recipes` gives other recipes by their names, in place of the built-in ones.

    A run that fails stops no other. Ctrl-C leaves everything such that the same call goes on. Raises `RecipeError`
    for a name or a number of seeds that cannot be meant, `RunError` where a run of another recipe is in the way.
    """
    known = recipes if recipes is not None else {name: Recipe.load(name) for name in reproducible()}
    chosen = check_names(names, known) if names else list(known)
    if seeds < 1:
        raise RecipeError(f"seeds = {seeds}: expected the number of seeds, at least 1.")
    folder = Path(out)
    tasks = [Task(name, known[name], seed, folder) for name in chosen for seed in range(seeds)]
    _refuse_others(tasks)
    failures: dict[Path, str] = {}
    for number, task in enumerate(tasks, start=1):
        try:
            finished = task.carry_out(_numbered(tell, number, len(tasks)), progress)
        except (NeocogError, OSError) as error:
            failures[task.path] = str(error)
            tell(f"failed: {error}")
            continue
        if not finished:
            return Reproduced(None, _sentences(failures), interrupted=True)
    gathered = gather(folder, known, tell)
    gathered.results.save(folder / RESULTS)
    write_report(folder, gathered.results, gathered.histories)
    return Reproduced(gathered.results, _sentences(gathered.failures | failures))


@dataclass(frozen=True)
class Task:
    """One training: a recipe with a seed, in a folder of its own under `parent`."""

    name: str
    recipe: Recipe
    seed: int
    parent: Path

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return run_path(self.parent, self.name, self.seed)

    @property
    def seeded(self) -> Recipe:
        """The recipe with the seed of this run."""
        return self.recipe.with_values({"train.seed": self.seed})

    def carry_out(self, tell: Tell, progress: bool) -> bool:
        """Bring the run to its end, from wherever it stands; False where it was interrupted."""
        title = f"{self.name}, seed {self.seed}"
        if not (self.path / RECIPE).is_file():
            tell(f"{title}: training")
            return train(self.seeded, out=self.path, progress=progress).finished
        run = Run(self.path)
        if run.finished:
            tell(f"{title}: finished already")
            return True
        tell(f"{title}: going on")
        return resume(run, progress=progress).finished


def _numbered(tell: Tell, number: int, total: int) -> Tell:
    return lambda text: tell(f"[{number}/{total}] {text}")


def _sentences(failures: Mapping[Path, str]) -> tuple[str, ...]:
    return tuple(f"{path}: {message}" for path, message in failures.items())


def _refuse_others(tasks: Sequence[Task]) -> None:
    """Raise `RunError` for runs of another recipe, before hours are spent on the runs before them."""
    for task in tasks:
        if not (task.path / RECIPE).is_file():
            continue
        found = differences(task.seeded, Run(task.path).recipe)
        if found:
            raise RunError(
                f"{task.path} is a run of another recipe than {task.name} is now: {'; '.join(found)}. "
                f"Give another --out, or delete {task.path}."
            )
