import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import WeightsError
from neocog.metadata import FORMAT, Metadata

GOOD = Metadata(
    "flatten | linear classes", "notation", ("고양이", "dog"), (28, 20), 1, "crop", (0.1,), (0.3,),
    "[train]\nepochs = 3\n", {"valid_loss": 0.25, "epoch": 2}, "0.1.0",
)  # fmt: skip

text = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Metadata,
        text,
        st.sampled_from(["notation", "name", "python"]),
        st.lists(text, min_size=1).map(tuple),
        st.tuples(st.integers(1, 999), st.integers(1, 999)),
        st.sampled_from([1, 3]),
        st.sampled_from(["crop", "letterbox", "squash"]),
        st.lists(finite, min_size=1, max_size=3).map(tuple),
        st.lists(finite, min_size=1, max_size=3).map(tuple),
        text,
        st.dictionaries(text, finite),
        text,
    )
)
def test_through_json_and_back(metadata: Metadata) -> None:
    assert Metadata.parse(json.dumps(metadata.values()), "w") == metadata


def test_keys_of_the_same_format_that_are_not_known_are_passed_over() -> None:
    assert Metadata.parse(json.dumps(GOOD.values() | {"later": [1]}), "w") == GOOD


def test_what_may_be_missing() -> None:
    values = {key: value for key, value in GOOD.values().items() if key not in ("recipe", "figures", "version")}
    assert Metadata.parse(json.dumps(values), "w") == replace(GOOD, recipe="", figures={}, version="")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, r"w\.safetensors has weights, but not what neocog stores beside them"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        (json.dumps({"format": FORMAT + 1, "version": "9.9"}), r"newer neocog \(9\.9\)"),
        (json.dumps({"format": "one"}), "cannot be read"),
        (json.dumps({"format": FORMAT, "network": "lenet5"}), "channels, classes, .* is missing or of another kind"),
    ],
)
def test_what_is_no_metadata_is_refused(text: str | None, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        Metadata.parse(text, "w.safetensors")


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 5}, {"classes": [1, 2]}, {"image_size": [28]}, {"image_size": "28x28"}, {"channels": "many"},
        {"mean": 0.5}, {"std": ["a"]}, {"network": None}, {"figures": []}, {"recipe": 3},
    ],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=f"{next(iter(wrong))} is missing or of another kind"):
        Metadata.parse(json.dumps(GOOD.values() | wrong), "w")
