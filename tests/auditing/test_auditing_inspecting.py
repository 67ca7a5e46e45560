from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.auditing.inspecting import SIDE, digest_of, look_at, look_at_array, thumbnail
from neocog.data.decoding import UnreadableImage

from .conftest import scene


def test_the_same_pixels_have_the_same_digest_whatever_the_format_mode_and_orientation(tmp_path: Path) -> None:
    picture = scene(0)
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "a.bmp")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be turned by 90 degrees
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    looks = [look_at(tmp_path / name)[0] for name in ("a.png", "a.bmp", "turned.png")]
    assert len({look.digest for look in looks}) == 1
    assert [look.turned for look in looks] == [False, False, True]
    assert {(look.width, look.height) for look in looks} == {(160, 120)}
    gray = picture.convert("L")
    gray.save(tmp_path / "gray.png")
    gray.convert("RGB").save(tmp_path / "rgb.png")
    assert look_at(tmp_path / "gray.png")[0].digest == look_at(tmp_path / "rgb.png")[0].digest


def test_one_pixel_more_or_less_is_another_digest() -> None:
    pixels = np.asarray(scene(1)).transpose(2, 0, 1).copy()
    before = digest_of(pixels)
    assert digest_of(pixels[:, :, ::-1]) != before
    pixels[1, 5, 5] ^= 1
    assert digest_of(pixels) != before
    assert digest_of(np.zeros((1, 2, 6), np.uint8)) != digest_of(np.zeros((1, 3, 4), np.uint8))


def test_a_file_is_described_as_pillow_knows_it(tmp_path: Path) -> None:
    frames = [scene(seed, (20, 10)) for seed in range(3)]
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
    frames[0].convert("CMYK").save(tmp_path / "print.jpg")
    Image.fromarray(np.arange(200, dtype=np.uint16).reshape(10, 20) * 300).save(tmp_path / "deep.png")
    clear = frames[0].convert("RGBA")
    clear.putalpha(100)
    clear.save(tmp_path / "clear.png")
    looks = {path.name: look_at(path)[0] for path in tmp_path.iterdir()}
    assert looks["moves.gif"].animated
    assert (looks["print.jpg"].mode, looks["print.jpg"].format) == ("CMYK", "JPEG")
    assert looks["deep.png"].mode.startswith("I")
    assert looks["clear.png"].mode == "RGBA with transparency"
    assert not any(looks[name].animated for name in ("print.jpg", "deep.png", "clear.png"))


@pytest.mark.parametrize(("suffix", "end", "padding"), [("jpg", 2, 4000), ("png", 12, 0)])
def test_a_file_without_its_end_is_noticed(tmp_path: Path, suffix: str, end: int, padding: int) -> None:
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    scene(2).save(whole)
    cut.write_bytes(whole.read_bytes()[:-end] + bytes(padding))
    assert not look_at(whole)[0].ends_early
    assert look_at(cut)[0].ends_early


def test_a_single_colour_is_flat_and_a_single_pixel_is_not(tmp_path: Path) -> None:
    plain = np.full((3, 30, 40), 77, np.uint8)
    assert look_at_array(plain)[0].flat
    plain[0, 3, 3] = 90
    assert not look_at_array(plain)[0].flat


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableImage, match="not a regular file"):
        look_at(tmp_path / "pipe.jpg")


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image")
    (tmp_path / "b.jpg").write_bytes(b"")
    for name, reason in (("a.jpg", "not an image"), ("b.jpg", "empty"), ("c.jpg", "no such file")):
        with pytest.raises(UnreadableImage, match=reason):
            look_at(tmp_path / name)


def test_a_thumbnail_is_a_small_gray_square() -> None:
    pixels = np.zeros((3, 64, 128), np.uint8)
    pixels[:, :, 64:] = 255
    found = thumbnail(pixels)
    assert found.shape == (SIDE, SIDE)
    assert found[:, :14].max() == 0
    assert found[:, 18:].min() == 255
