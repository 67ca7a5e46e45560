"""What came out: the figures of every run with the machine, as one file that the tables are made from."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from neocog.errors import RunError
from neocog.files import write_whole

RESULTS = "results.json"


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Stored):
    """The computer that the table was made on: processor, number of cores this process may use, versions."""

    processor: str
    cores: int
    system: str
    python: str
    neocog: str


class Result(_Stored):
    """One finished run: its figures by the keys of `FIGURES`, and how it was trained.

    `valid_images` and `test_images` are how many images the figures were measured on, 0 for none; `macs` are the
    multiply-accumulates of the network for one image; `seconds` are those of training and evaluation together,
    `place` is such as "cpu, float32, channels_last, 2 threads", `torch` the version of PyTorch.
    """

    recipe: str
    seed: int
    figures: dict[str, float]
    valid_images: int
    test_images: int
    validated_on_test: bool
    macs: int
    seconds: float
    place: str
    torch: str

    def images(self, part: str) -> int:
        """Number of images of a part: valid, test; 0 for any other."""
        return {"valid": self.valid_images, "test": self.test_images}.get(part, 0)


class Shifted(_Stored):
    """The accuracy (0 to 1) of one run on test images shifted by 0, 1, 2, … pixels, mean over four directions.

    `weights` is a digest of the weights that were measured.
    """

    recipe: str
    seed: int
    weights: str
    accuracies: list[float]


class Results(_Stored):
    """Everything that the tables and the report are made from."""

    machine: Machine
    runs: list[Result]
    shifted: list[Shifted] = []

    def of(self, recipe: str) -> list[Result]:
        """Give the runs of a recipe, by their seeds."""
        return sorted((run for run in self.runs if run.recipe == recipe), key=lambda run: run.seed)

    def shifted_of(self, recipe: str) -> list[Shifted]:
        """Give the shifted accuracies of a recipe's runs, by their seeds."""
        return sorted((row for row in self.shifted if row.recipe == recipe), key=lambda row: row.seed)

    def shift_tables(self) -> Mapping[str, list[list[float]]]:
        """Give the shifted accuracies by recipe: a list of distances for each seed."""
        names = dict.fromkeys(row.recipe for row in self.shifted)
        return {name: [row.accuracies for row in self.shifted_of(name)] for name in names}

    def save(self, path: Path | str) -> Path:
        """Write the results as JSON, whole or not at all."""
        write_whole(path, self.model_dump_json(indent=2) + "\n")
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Results:
        """Read what `save` wrote; raises `RunError` for anything else."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}. Make it with: neocog reproduce --all") from error
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "the file"
            raise RunError(
                f"{path} does not hold results of neocog reproduce: {where}: {problem['msg']}. "
                "Delete it and run: neocog reproduce --all"
            ) from error


def this_machine() -> Machine:
    """Describe the computer that this process runs on."""
    from neocog import __version__

    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(
        processor=_processor(),
        cores=cores,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        neocog=__version__,
    )


def _processor() -> str:
    # platform.processor() is empty or only the architecture on most Linux systems.
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"
