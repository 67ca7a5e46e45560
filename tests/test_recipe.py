import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neocog.errors import RecipeError
from neocog.recipe import (
    AugmentSettings,
    DataSettings,
    ModelSettings,
    Recipe,
    TrainSettings,
    builtin_names,
    default_recipe,
    parse_assignment,
    settings_by_name,
)

# TOML has no lone surrogates; a carriage return and the like must survive as escapes.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
unit = st.floats(0, 1)
positive = st.floats(1e-12, 1e6)
span = st.tuples(st.floats(0, 10), st.floats(0, 10)).map(sorted)
channels = st.one_of(st.floats(-10, 10).map(lambda x: [x]), st.lists(st.floats(-10, 10), min_size=3, max_size=3))

TABLES = {
    "data": st.fixed_dictionaries(
        {},
        optional={
            "source": text,
            "image_size": st.one_of(st.integers(1, 8192), st.lists(st.integers(1, 8192), min_size=2, max_size=2)),
            "channels": st.sampled_from([1, 3]),
            "resize": st.sampled_from(["crop", "letterbox", "squash"]),
            "validation": st.one_of(st.floats(0.001, 0.999), st.integers(1, 10**6), st.just("test")),
            "groups": text,
            "strict": st.booleans(),
            "mean": st.one_of(st.just("auto"), channels),
        },
    ),
    "model": st.fixed_dictionaries({}, optional={"network": text, "num_classes": st.integers(1, 10**6)}),
    "augment": st.fixed_dictionaries(
        {},
        optional={
            "horizontal_flip": unit,
            "zoom": span,
            "rotate_choices": st.lists(st.floats(-360, 360), max_size=3),
            "policy": st.sampled_from(["none", "randaugment"]),
        },
    ),
    "train": st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 10**9),
            "lr": positive,
            "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
            "betas": st.lists(st.floats(0, 0.999), min_size=2, max_size=2),
            "class_weights": st.one_of(
                st.sampled_from(["none", "balanced"]), st.lists(positive, min_size=1, max_size=4)
            ),
            "clip_norm": positive,
            "ema": st.floats(0.01, 0.99),
            "patience": st.integers(1, 99),
            "seed": st.integers(0, 2**63 - 1),
            "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:3", "mps"]),
        },
    ),
    "stage": st.lists(
        st.fixed_dictionaries(
            {"name": text},
            optional={
                "freeze": st.lists(text, max_size=3),
                "train": st.fixed_dictionaries({}, optional={"epochs": st.integers(1, 9), "lr": positive}),
            },
        ),
        max_size=3,
    ),
    "description": text,
}


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=TABLES))
def test_written_and_read_again_it_is_the_same(values: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(values)
    again = Recipe.from_text(recipe.text())
    assert again == recipe
    assert again.text() == recipe.text()
    assert Recipe.model_validate(recipe.model_dump()) == recipe


def test_saved_it_is_read_from_a_file_and_from_its_folder(tmp_path: Path) -> None:
    recipe = Recipe.load("mnist").with_values({"train.lr": 0.125, "data.source": "꽃 사진"})
    assert recipe.save(tmp_path / "recipe.toml") == tmp_path / "recipe.toml"
    assert Recipe.load(tmp_path / "recipe.toml") == Recipe.load(tmp_path) == recipe


def test_what_is_written_holds_every_key_that_has_a_value() -> None:
    written = Recipe().text()
    for model in (DataSettings, ModelSettings, AugmentSettings, TrainSettings):
        for name, value in model():
            assert (f"\n{name} = " in written) == (value is not None), name


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_recipes_are_sound_and_say_what_they_are(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.description and recipe.model.network
    assert Recipe.from_text(recipe.text()) == recipe


def test_a_data_set_has_the_recipe_of_its_name_or_the_default_one() -> None:
    assert default_recipe("mnist") == Recipe.load("mnist")
    other = default_recipe("photos/꽃")
    assert other.data.source == "photos/꽃"
    assert other.train == Recipe.load("default").train
    assert default_recipe("default").data.source == "default"


WRONG = [
    ("[train]\nepochs = 0", "train.epochs = 0: expected a number of at least 1"),
    ("[train]\nepochs = 2.5", "train.epochs = 2.5: expected a whole number (passes over the training images)."),
    ("[train]\nepochs = true", "train.epochs = True: expected a whole number"),
    ('[train]\nlr = "fast"', "train.lr = 'fast': expected a number"),
    ("[train]\nlr = nan", "train.lr = nan: expected"),
    ("[train]\nlr = inf", "train.lr = inf: expected"),
    ('[train]\noptimizer = "adamm"', "Did you mean 'adam'?"),
    ('[train]\ndevice = "gpu"', 'train.device = \'gpu\': expected "auto", "cpu", "cuda", "cuda:1" or "mps".'),
    ("[train]\nnesterov = true", 'nesterov needs optimizer = "sgd" and a momentum such as 0.9.'),
    ("[train]\nmomentum = 0.9", 'momentum belongs to optimizer = "sgd"; adam has betas.'),
    ("[train]\nclass_weights = [0, 0]", "give one weight of at least 0 for each class, not all of them 0."),
    ('[train]\nclass_weights = "equal"', "train.class_weights = 'equal': expected"),
    ("[train]\nepoch = 3", "train.epoch: there is no such key. Did you mean 'epochs'?"),
    ("[train]\nnetwork = 'lenet5'", "train.network: there is no such key. It belongs to [model]."),
    ("epochs = 3", "epochs: there is no such key. It belongs to a table: train.epochs."),
    ("[trian]\nepochs = 3", "trian: there is no such key. Did you mean 'train'?"),
    ("train = 3", "train = 3: expected"),
    ("[data]\nimage_size = [0, 28]", "each side must lie between 1 and 8192 pixels."),
    ("[data]\nvalidation = 1.5", "a fraction must lie between 0 and 1"),
    ("[data]\nvalidation = 0", "a number of images must be at least 1."),
    ("[data]\nstd = [0.0]", "every value must be greater than 0."),
    ("[data]\nmean = [0.1, 0.2]", "give one number, or three for colour images."),
    ("[data]\nchannels = 2", "data.channels = 2: expected"),
    ("[augment]\nzoom = [1.3, 0.7]", "give [smallest, largest]"),
    ("[augment]\nhorizontal_flip = 2", "augment.horizontal_flip = 2: expected a number of at most 1"),
    ("[[stage]]\nfreeze = ['conv1']", "stage.name: this key is needed."),
    ("[[stage]]\nname = 'a'\n[stage.train]\nepoch = 1", "stage 'a': train.epoch: there is no such key."),
    ("[[stage]]\nname = 'a'\n[stage.train]\nlr = -1.0", "stage 'a': train.lr = -1.0: expected a number above 0"),
    ("[[stage]]\nname = 'a'\n[stage.train]\nseed = 1\ndevice = 'cpu'", "device, seed cannot differ between stages."),
    ("[train\n", "is not valid TOML"),
]


@pytest.mark.parametrize(("written", "says"), WRONG)
def test_what_cannot_be_used_is_refused_with_the_key_and_what_would_do(written: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_text(written, source="mine.toml")
    assert says in str(raised.value)
    assert "pydantic" not in str(raised.value) and "http" not in str(raised.value)


def test_every_wrong_key_has_a_line_of_its_own() -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.from_text("[train]\nepochs = 0\nlr = 0\nclass_weights = 'x'\n", source="mine.toml")
    lines = str(raised.value).splitlines()
    assert [line.split(" = ")[0] for line in lines] == [
        "mine.toml: train.epochs", "mine.toml: train.lr", "mine.toml: train.class_weights"
    ]  # fmt: skip


def test_values_do_not_change_after_validation() -> None:
    with pytest.raises(ValidationError):
        Recipe().train.epochs = 3  # type: ignore[misc]


def test_with_values_gives_a_copy() -> None:
    recipe = Recipe()
    changed = recipe.with_values(
        {"train.epochs": 9, "data.image_size": 32, "augment.zoom": (0.5, 2), "train.patience": 2}
    )
    assert (changed.train.epochs, changed.data.image_size, changed.augment.zoom) == (9, (32, 32), (0.5, 2.0))
    assert recipe == Recipe()
    assert changed.with_values({"train.patience": None}).train.patience is None


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("epochs", "expected table.key such as train.epochs"),
        ("trainer.epochs", "Did you mean 'train.epochs'?"),
        ("train.", "expected table.key"),
        ("description.x", "expected table.key"),
        ("stage.name", "expected table.key"),
        ("train.epoch", "there is no such key. Did you mean 'epochs'?"),
    ],
)
def test_with_values_refuses_keys_that_are_not_there(key: str, says: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe().with_values({key: 1})
    assert says in str(raised.value)


def test_plain_training_is_one_stage() -> None:
    (stage,) = Recipe.load("mnist").stages()
    assert (stage.name, stage.freeze, stage.train) == ("train", (), Recipe.load("mnist").train)


def test_a_stage_changes_what_it_names_and_keeps_the_rest() -> None:
    recipe = Recipe.from_text(
        "[train]\nepochs = 7\nlr = 0.5\npatience = 3\n"
        "[[stage]]\nname = 'head'\nfreeze = ['conv*']\ntrain = { optimizer = 'sgd', momentum = 0.9 }\n"
        "[[stage]]\nname = 'all'\ntrain = { lr = 0.1 }\n"
    )
    head, everything = recipe.stages()
    assert (head.name, head.freeze) == ("head", ("conv*",))
    assert (head.train.lr, head.train.epochs, head.train.momentum, head.train.patience) == (0.5, 7, 0.9, 3)
    assert (everything.train.lr, everything.train.optimizer, everything.freeze) == (0.1, "adam", ())


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("train.lr=0.01", ("train.lr", 0.01)),
        (" train.epochs = 3 ", ("train.epochs", 3)),
        ("augment.zoom=[0.7, 1.3]", ("augment.zoom", [0.7, 1.3])),
        ("data.strict=true", ("data.strict", True)),
        ("data.resize=letterbox", ("data.resize", "letterbox")),
        ('data.source="a=b"', ("data.source", "a=b")),
        ("data.source=a=b", ("data.source", "a=b")),
        ("model.network=conv 8 3x3 | relu", ("model.network", "conv 8 3x3 | relu")),
        ("data.groups=(\\d+)_", ("data.groups", "(\\d+)_")),
        ("data.source=", ("data.source", "")),
    ],
)
def test_assignments(assignment: str, expected: tuple[str, object]) -> None:
    assert parse_assignment(assignment) == expected


@pytest.mark.parametrize("assignment", ["train.lr", "=3", "", " = 3"])
def test_what_is_no_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(RecipeError, match=r"expected table\.key=value"):
        parse_assignment(assignment)


def test_settings_find_their_table() -> None:
    named = settings_by_name({"epochs": 3, "network": "lenet5", "train.seed": 1, "zoom": [1, 2]})
    assert named == {"train.epochs": 3, "model.network": "lenet5", "train.seed": 1, "augment.zoom": [1, 2]}
    with pytest.raises(RecipeError, match=r"no setting 'ephocs'\. Did you mean 'epochs'"):
        settings_by_name({"ephocs": 3})


def test_no_name_belongs_to_two_tables() -> None:
    names = [
        name for model in (DataSettings, ModelSettings, AugmentSettings, TrainSettings) for name in model.model_fields
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["mnits", "missing.toml", ""])
def test_a_recipe_that_is_not_there(name: str) -> None:
    with pytest.raises(RecipeError, match="there is no recipe"):
        Recipe.load(name)


def test_a_recipe_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="is not UTF-8 text"):
        Recipe.load(tmp_path / "r.toml")


def test_its_json_schema_has_every_key_with_its_default() -> None:
    schema = json.loads(json.dumps(Recipe.model_json_schema()))
    for model in (DataSettings, ModelSettings, AugmentSettings, TrainSettings):
        properties = schema["$defs"][model.__name__]["properties"]
        assert set(properties) == set(model.model_fields)
        assert schema["$defs"][model.__name__]["additionalProperties"] is False
    assert schema["$defs"]["TrainSettings"]["properties"]["epochs"]["default"] == 5


def test_every_key_but_the_plainest_says_what_it_is() -> None:
    for model in (DataSettings, ModelSettings, AugmentSettings, TrainSettings):
        for name, field in model.model_fields.items():
            plain = {
                "optimizer",
                "weight_decay",
                "schedule",
                "label_smoothing",
                "precision",
                "memory_format",
                "mode",
                "seed",
            }
            assert field.description or name in plain, name


def test_recipes_need_no_torch() -> None:
    code = "import sys, neocog.recipe; neocog.recipe.Recipe.load('mnist').text(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
