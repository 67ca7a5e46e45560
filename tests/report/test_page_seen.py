"""What a report shows of the way from the file to the network."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neocog.data import Geometry, ImageSet, decode
from neocog.report.page.seen import geometry_text, seen, told
from neocog.report.samples import label_texts


@pytest.mark.parametrize(
    ("resize", "size", "frame", "says"),
    [
        ("crop", (100, 200), (50, 50), "50 % of it is cut off"),
        ("crop", (64, 64), (32, 32), "all of it is seen"),
        ("letterbox", (100, 200), (50, 50), "all of it is seen, 50 % of the frame is black"),
        ("squash", (100, 200), (50, 50), "made 2.00 times as tall as it is"),
        ("squash", (200, 100), (50, 50), "made 2.00 times as wide as it is"),
        ("squash", (60, 30), (20, 10), "its shape stays"),
        ("pad", (20, 20), (40, 40), "all of it is seen, 75 % of the frame is black"),
        ("pad", (80, 40), (40, 40), "all of it is seen, 50 % of the frame is black"),
        ("center", (80, 20), (40, 40), "50 % of it is cut off, 50 % of the frame is black"),
        ("imagenet", (100, 100), (224, 224), "23 % of it is cut off"),
    ],
)
def test_what_a_picture_loses(resize: str, size: tuple[int, int], frame: tuple[int, int], says: str) -> None:
    assert told(size, Geometry(frame, 3, resize)) == says  # type: ignore[arg-type]


@pytest.mark.parametrize("resize", ["crop", "letterbox", "squash", "pad", "center"])
def test_black_and_cut_off_shares_are_those_of_the_decoded_image(resize: str, tmp_path: Path) -> None:
    Image.fromarray(np.full((90, 150, 3), 255, np.uint8)).save(tmp_path / "white.png")
    geometry = Geometry((60, 48), 3, resize)  # type: ignore[arg-type]
    black = float((decode(tmp_path / "white.png", geometry)[0] == 0).mean())
    found = re.search(r"(\d+) % of the frame is black", told((90, 150), geometry))
    assert (int(found[1]) if found else 0) == round(100 * black)


def test_every_way_has_words() -> None:
    for resize in ("crop", "letterbox", "squash", "pad", "center", "imagenet"):
        assert f"({resize})" in geometry_text(Geometry((32, 48), 3, resize))
        assert "48x32" in geometry_text(Geometry((32, 48), 1, resize))


def image_set(folder: Path, sizes: list[tuple[int, int]], geometry: Geometry) -> ImageSet:
    paths = []
    for number, (height, width) in enumerate(sizes):
        paths.append(folder / "cat" / f"{number}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((height, width), 10 * number, np.uint8)).save(paths[-1])
    images = torch.from_numpy(np.stack([decode(path, geometry) for path in paths]))
    return ImageSet(images, torch.zeros(len(paths), dtype=torch.int64), ("cat",), tuple(map(str, paths)))


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"))


def test_files_are_shown_from_the_tallest_to_the_widest_beside_what_the_network_sees(tmp_path: Path) -> None:
    geometry = Geometry((20, 20), 1, "crop")
    sizes = [(40, 40), (40, 20), (30, 40), (20, 60), (40, 30)]
    found = seen(image_set(tmp_path, sizes, geometry), geometry)
    assert [item.source for item in found] == ["cat/1.png", "cat/4.png", "cat/2.png", "cat/3.png"]
    assert found[0].told == "20x40 pixels; 50 % of it is cut off"
    assert (pixels(found[0].network) == 10).all() and pixels(found[0].network).shape == (20, 20)
    original = pixels(found[0].original)
    assert original.shape == (40, 20)
    # the middle half as it is, the rest faded to a light gray
    assert (original[10:30] == 10).all() and (original[:10] > 100).all() and (original[30:] > 100).all()


def test_files_that_are_gone_and_images_without_files_are_passed_over(tmp_path: Path) -> None:
    geometry = Geometry((8, 8), 1)
    images = image_set(tmp_path, [(8, 8), (9, 8)], geometry)
    (tmp_path / "cat" / "0.png").unlink()
    assert [item.source for item in seen(images, geometry)] == ["cat/1.png"]
    assert seen(ImageSet(images.images, images.labels, ("cat",)), geometry) == ()


def test_labels_of_samples_are_classes_or_their_shares() -> None:
    classes = ("ant", "bee", "a name that is too long")
    assert label_texts(torch.tensor([1, 0]), classes) == ["bee", "ant"]
    mixtures = torch.tensor([[0.3, 0.7, 0.0], [1.0, 0.0, 0.0], [0.0, 0.4, 0.6], [0.999, 0.001, 0.0]])
    assert label_texts(mixtures, classes) == ["bee 70 %\nant 30 %", "ant", "a name th… 60 %\nbee 40 %", "ant"]
    assert label_texts(torch.ones(1, 1), ("only",)) == ["only"]
