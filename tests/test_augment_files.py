"""`neocog augment`: pictures of each kind, and copies as files that make a folder to train on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from neocog.augment import Augmentation
from neocog.augment.kinds import KINDS, find_kind, settings_text
from neocog.augment.originals import find_originals, first_images
from neocog.augment.saving import GROUPS, save_copies
from neocog.augment.showing import Grids
from neocog.cli import app
from neocog.commands.augment import augment
from neocog.data import load
from neocog.data.loading import find_source
from neocog.errors import DataError, NeocogError, RecipeError
from neocog.recipe import AugmentSettings, DataSettings

ROTATES = AugmentSettings(rotate=20.0)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs of three classes, one of them with a name that no folder can have, and a loose one."""
    draws = np.random.default_rng(0)

    def photo(path: Path, height: int = 30, width: int = 40, channels: int = 3) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 256, (height, width, channels)).astype(np.uint8)
        Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(path)

    for number in range(6):
        for name in ("cat", "개"):
            photo(tmp_path / "photos" / name / f"{number}.png", 20 + number, 30)
    (tmp_path / "photos" / "cat" / "broken.png").write_bytes(b"no picture")
    for part, count in (("train", 3), ("val", 2), ("test", 2)):
        for number in range(count):
            for name in ("cat", "dog"):
                photo(tmp_path / "parts" / part / name / f"{part}{number}.png", 8, 8)
    lines = [f"photos/cat/{n}.png,T-shirt/top" for n in range(3)] + [f"photos/개/{n}.png,..\\test" for n in range(3)]
    (tmp_path / "odd.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    photo(tmp_path / "loose" / "one.png")
    photo(tmp_path / "large.png", 900, 1200)
    photo(tmp_path / "gray.png", channels=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(world: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Call the command as the command line does."""
    if "augment" not in {command.name for command in app.registered_commands}:
        monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
        app.command("augment")(augment)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["augment", *arguments])

    return call


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_kind_changes_an_image_and_has_a_name_of_its_own() -> None:
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    for kind in KINDS:
        settings = kind.settings(32)
        assert find_kind(kind.name.upper().replace("-", "_")) is kind
        assert settings_text(settings)
        if not (settings.mixup or settings.cutmix):
            changed = Augmentation(settings, channels=3)(images, seed=0)
            assert not torch.equal(changed, images), kind.name
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_the_kinds_of_the_course_have_its_ranges() -> None:
    together = find_kind("all").settings(64)
    published: dict[str, dict[str, Any]] = {
        "rotate45": {"rotate_choices": [45.0, -45.0]},
        "rotate": {"rotate": 360.0},
        "horizontal-shift": {"shift_x": 0.1},
        "vertical-shift": {"shift_y": 0.1},
        "shear": {"shear": 0.5},
        "zoom": {"zoom": (0.7, 1.3)},
        "horizontal-flip": {"horizontal_flip": 0.5},
        "vertical-flip": {"vertical_flip": 0.5},
    }
    for name, values in published.items():
        assert find_kind(name).settings(64) == AugmentSettings(**values)
        if name != "rotate45":
            assert all(getattr(together, key) == value for key, value in values.items())


def test_settings_are_written_as_in_a_recipe() -> None:
    text = settings_text(AugmentSettings(rotate=10.0, zoom=(0.9, 1.1), policy="randaugment", rotate_choices=[45.0]))
    assert text == 'rotate = 10.0, rotate_choices = [45.0], zoom = [0.9, 1.1], policy = "randaugment"'


def test_a_photograph_is_fitted_and_a_small_image_keeps_its_size(world: Path) -> None:
    [large] = first_images(find_originals("large.png"), 9, DataSettings())
    assert large.pixels.shape == (3, 384, 512) and large.label == ""
    [gray] = first_images(find_originals("gray.png"), 9, DataSettings())
    assert np.array_equal(gray.pixels[0], np.asarray(Image.open("gray.png")))
    [squash] = first_images(find_originals("large.png"), 1, DataSettings(image_size=(20, 30), resize="letterbox"))
    assert squash.pixels.shape == (3, 20, 30)
    assert not squash.pixels[:, :, 0].any()


def test_first_images_come_from_all_classes_in_one_size_and_pass_over_broken_ones(world: Path) -> None:
    found = first_images(find_originals("photos"), 9, DataSettings())
    assert [original.label for original in found][:6] == ["cat", "개"] * 3
    assert {original.pixels.shape for original in found} == {(3, 20, 30)}
    assert len(first_images(find_originals("loose"), 9, DataSettings())) == 1
    assert {original.label for original in first_images(find_originals("parts"), 9, DataSettings())} == {"cat", "dog"}


def test_a_grid_shows_the_original_first_and_changes_that_follow_from_the_seed(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = list[tuple[torch.Tensor, list[str]]]()

    def keep(images: torch.Tensor, labels: list[str], path: Path, **_: object) -> Path:
        shown.append((images, labels))
        return path

    monkeypatch.setattr("neocog.augment.showing.plot_samples", keep)
    for seed in (0, 0, 1):
        Grids(find_originals("loose"), seed=seed).draw(ROTATES, "", Path("x.png"))
    (first, labels), (same, _), (other, _) = shown
    assert labels == ["original", *"12345678"]
    assert np.array_equal(first[0].numpy().transpose(1, 2, 0), np.asarray(Image.open("loose/one.png")))
    assert torch.equal(first, same) and not torch.equal(first[1:], other[1:]) and torch.equal(first[0], other[0])
    Grids(find_originals("photos")).draw(AugmentSettings(cutmix=1.0), "", Path("x.png"))
    assert any(re.fullmatch(r"(cat|개) \d+ %\n(cat|개) \d+ %", label) for label in shown[-1][1])


def test_the_command_draws_each_kind_and_says_what_was_left_out(command: object, world: Path) -> None:
    done = command("gray.png", "--out", "kinds")  # type: ignore[operator]
    assert done.exit_code == 0, done.output
    drawn = {path.stem for path in (world / "kinds").iterdir()}
    assert drawn == {kind.name for kind in KINDS} - {"grayscale", "mixup", "cutmix"}
    for name in ("grayscale needs a colour image", "mixup needs several images", "cutmix needs several images"):
        assert f"left out: {name}" in done.output
    assert all(f"{name}.png" in done.stdout for name in drawn)


def test_one_kind_a_recipe_or_settings_give_one_picture(command: object, world: Path) -> None:
    for arguments, file in (
        (["large.png", "--policy", "rotate45"], "large-rotate45.png"),
        (["photos", "--policy", "mixup", "--seed", "3", "--out", "mine.png"], "mine.png"),
        (["gray.png", "--recipe", "default", "--set", "augment.rotate=90"], "gray-default.png"),
        (["gray.png", "--set", "augment.erase=1"], "gray-augmented.png"),
    ):
        done = command(*arguments)  # type: ignore[operator]
        assert done.exit_code == 0, (done.output, done.exception)
        assert done.stdout == f"wrote {file}\n"
        with Image.open(world / file) as picture:
            assert picture.format == "PNG" and min(picture.size) > 300


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gone.jpg"], "there is no image gone.jpg"),
        (["nowhere"], "no data set, folder or CSV file is called 'nowhere'"),
        (["photos/cat/broken.png"], "none of 1 files is an image"),
        (["gray.png", "--policy", "rotat"], "Did you mean rotate?"),
        (["gray.png", "--policy", "mixup"], "needs several images"),
        (["gray.png", "--policy", "grayscale"], "needs a colour image"),
        (["gray.png", "--policy", "blur", "--recipe", "default"], "give one of them"),
        (["gray.png", "--recipe", "mlp"], "the recipe mlp has no augmentation"),
        (["gray.png", "--set", "train.epochs=3"], "expected augment.KEY=VALUE"),
        (["gray.png", "--set", "augment.rotte=3"], "Did you mean 'rotate'"),
        (["gray.png", "--out", "a.png"], "goes into a folder"),
        (["gray.png", "--policy", "blur", "--out", "a.jpg"], "ends in .png"),
        (["gray.png", "--seed", "-1"], "from 0 on"),
        (["gray.png", "--copies", "3"], "--save DIR"),
        (["gray.png", "--save", "new"], "say what to do"),
        (["gray.png", "--save", "photos", "--policy", "blur"], "nothing is overwritten"),
        (["gray.png", "--save", "gray.png", "--policy", "blur"], "nothing is overwritten"),
        (["gray.png", "--save", "new", "--policy", "blur", "--copies", "0"], "at least 1"),
        (["photos", "--save", "new", "--policy", "cutmix"], "two labels"),
        (["photos", "--save", "new", "--set", "augment.rotate=0"], "change nothing"),
    ],
)
def test_what_cannot_be_done_is_said(command: object, world: Path, arguments: list[str], says: str) -> None:
    before = files(world)
    done = command(*arguments)  # type: ignore[operator]
    assert isinstance(done.exception, NeocogError), done.output
    assert re.search(says, str(done.exception))
    assert files(world) == before


def test_copies_make_a_folder_to_train_on_whose_names_keep_copies_together(world: Path) -> None:
    saved = save_copies(find_originals("photos"), world / "new", ROTATES, copies=2, seed=5)
    assert (saved.originals, saved.copies, len(saved.skipped)) == (12, 24, 1)
    names = sorted(path.name for path in (world / "new" / "cat").iterdir())
    assert names[:3] == ["00001-0-copy1.png", "00001-0-copy2.png", "00001-0.png"]
    original, read_back = (np.asarray(Image.open(path)) for path in ("photos/cat/0.png", "new/cat/00001-0.png"))
    assert np.array_equal(original, read_back)
    assert not np.array_equal(np.asarray(Image.open("new/cat/00001-0-copy1.png")), original)

    data = load(DataSettings(source="new", groups=GROUPS, validation=0.3, image_size=(8, 8)))
    assert data.classes == ("cat", "개") and not data.skipped
    assert data.valid is not None
    numbers = [{Path(file).name[:5] for file in part.sources or ()} for part in (data.train, data.valid)]
    assert numbers[0] and numbers[1] and not numbers[0] & numbers[1]
    assert len(data.train) + len(data.valid) == 36


def test_the_same_seed_gives_the_same_files_and_another_seed_others(world: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        save_copies(find_originals("parts"), world / name, ROTATES, copies=1, seed=seed)
    assert files(world / "a") == files(world / "b")
    assert files(world / "a").keys() == files(world / "c").keys() and files(world / "a") != files(world / "c")


def test_only_training_images_are_changed(world: Path, command: object) -> None:
    done = command("parts", "--policy", "rotate45", "--save", "new", "--copies", "3")  # type: ignore[operator]
    assert done.exit_code == 0, done.output
    assert "wrote 14 images and 18 changed copies to new" in done.stdout
    counts = {part: len(list((world / "new" / part).rglob("*.png"))) for part in ("train", "val", "test")}
    assert counts == {"train": 6 * 4, "val": 4, "test": 4}
    for copy in (world / "new" / "test").rglob("*.png"):
        source = world / "parts" / "test" / copy.parent.name / f"{copy.stem.partition('-')[2]}.png"
        assert np.array_equal(np.asarray(Image.open(copy)), np.asarray(Image.open(source)))


def test_classes_that_cannot_be_folders_get_names_that_can(world: Path, command: object) -> None:
    done = command("odd.csv", "--policy", "shear", "--save", "new", "--copies", "1")  # type: ignore[operator]
    assert done.exit_code == 0, done.output
    assert "note: the class T-shirt/top lies in the folder T-shirt-top" in done.stdout
    assert load(DataSettings(source="new", validation=0.5, groups=GROUPS)).classes == ("-test", "T-shirt-top")


def test_loose_pictures_lie_in_the_folder_itself_and_broken_sources_write_nothing(world: Path) -> None:
    save_copies(find_originals("gray.png"), world / "one", ROTATES, copies=1)
    assert sorted(files(world / "one")) == ["00001-gray-copy1.png", "00001-gray.png"]
    with pytest.raises(DataError, match="none of the 1 images can be read"):
        save_copies(find_originals("photos/cat/broken.png"), world / "two", ROTATES, copies=1)
    with pytest.raises(RecipeError, match="change nothing"):
        save_copies(find_originals("gray.png"), world / "two", AugmentSettings(), copies=1)
    assert not (world / "two").exists()


def test_a_name_as_long_as_the_system_allows_is_cut_by_its_bytes(world: Path) -> None:
    name = "🐜" * 62 + ".png"
    (world / "long" / "a").mkdir(parents=True)
    (world / "photos" / "cat" / "0.png").rename(world / "long" / "a" / name)
    saved = save_copies(find_source(str(world / "long"), to_train=False), world / "out", ROTATES, copies=10)
    assert (saved.originals, saved.copies) == (1, 10)


def test_a_disk_that_cannot_be_written_is_said_in_words(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(NeocogError, match=r"cannot write .*No space left on device"):
        save_copies(find_source(str(world / "photos")), world / "out", ROTATES, copies=1)
