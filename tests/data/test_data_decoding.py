from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from neocog.data import Geometry, UnreadableImage, decode
from neocog.data.decoding import image_suffixes, probe, to_picture
from neocog.errors import DataError

from .data_pictures import noise

COLOUR = Geometry((10, 12), 3)
GRAY = Geometry((10, 12), 1)


def as_file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_colour_pixels_are_kept_exactly() -> None:
    image = noise(1)
    expected = np.asarray(image).transpose(2, 0, 1)
    for source in (image, as_file(image, "PNG"), io.BytesIO(as_file(image, "PNG"))):
        array = decode(source, COLOUR)
        assert array.dtype == np.uint8 and array.flags.c_contiguous
        assert np.array_equal(array, expected)


def test_gray_is_the_weighted_sum_of_itu_r_601() -> None:
    image = noise(2)
    weighted = np.asarray(image).astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(decode(image, GRAY)[0] - weighted).max() <= 0.51


def test_gray_becomes_three_equal_channels() -> None:
    image = noise(3, channels=1)
    assert all(np.array_equal(channel, np.asarray(image)) for channel in decode(image, COLOUR))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_lies_over_white(channels: int) -> None:
    rgba = np.asarray(noise(4, channels=4)).copy()
    rgba[:5, :, 3] = 0
    rgba[5:, :, 3] = 255
    array = decode(Image.fromarray(rgba), Geometry((10, 12), channels))
    assert (array[:, :5] == 255).all()
    opaque = decode(Image.fromarray(rgba[..., :3].copy()), Geometry((10, 12), channels))
    assert np.array_equal(array[:, 5:], opaque[:, 5:])


def test_gray_with_alpha_and_palettes_with_a_transparent_colour() -> None:
    image = Image.merge("LA", (noise(5, channels=1), Image.new("L", (12, 10), 0)))
    assert (decode(image, GRAY) == 255).all()
    palette = Image.new("P", (12, 10), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    content = as_file(palette, "PNG", transparency=1)
    assert (decode(content, COLOUR) == 255).all()
    assert decode(as_file(palette, "PNG"), COLOUR)[:, 0, 0].tolist() == [40, 50, 60]


def test_one_bit_is_black_and_white() -> None:
    image = noise(6, channels=1).point(lambda value: 255 if value > 99 else 0).convert("1")
    assert np.array_equal(decode(image, GRAY)[0], np.asarray(image) * np.uint8(255))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 120).astype(np.uint16).reshape(10, 12)
    expected = np.rint(values / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode(as_file(Image.fromarray(values), kind), GRAY)[0], expected)
    assert np.array_equal(decode(Image.fromarray(values.astype(np.int32)), GRAY)[0], expected)


@pytest.mark.parametrize(
    ("values", "corner"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (np.array([[0.0, 100.4, 255.0]]), [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]]), [0, 128, 255]),
        (np.array([[0.0, np.nan, np.inf]]), [0, 0, 0]),
    ],
)
def test_floats_by_their_range(values: np.ndarray, corner: list[int]) -> None:
    array = decode(Image.fromarray(values.astype(np.float32)), Geometry((1, 3), 1))
    assert array[0, 0].tolist() == corner


def test_cmyk_becomes_colour() -> None:
    cmyk = Image.new("CMYK", (12, 10), (0, 255, 255, 0))
    assert np.abs(decode(as_file(cmyk, "TIFF"), COLOUR)[:, 0, 0].astype(int) - [255, 0, 0]).max() <= 1
    photograph = as_file(cmyk, "JPEG", quality=95)
    assert np.abs(decode(photograph, COLOUR)[:, 5, 5].astype(int) - [255, 0, 0]).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_exif_orientation_is_honoured(orientation: int, kind: str, tmp_path: Path) -> None:
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32] = (255, 0, 0)
    upright[20:, 32:] = (0, 0, 255)
    # what a camera that was turned would have stored: the inverse of what a viewer does
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = inverse
    turned = Image.fromarray(upright)
    turned.getexif()[0x0112] = inverse
    stored = ImageOps.exif_transpose(turned)
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{kind.lower()}"
    stored.save(path, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))
    array = decode(path, Geometry((40, 64), 3)).astype(int)
    assert np.abs(array - upright.transpose(2, 0, 1))[:, ::39, ::63].max() <= 12
    assert probe(path) == ((40, 64), 3)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "lime")]
    content = as_file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, COLOUR)[:, 0, 0].tolist() == [255, 0, 0]


def test_the_callers_image_stays_as_it_was(tmp_path: Path) -> None:
    noise(7, (800, 600)).save(tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as image:
        decode(image, Geometry((16, 16), 3))
        assert image.size == (800, 600) and image.mode == "RGB"
        image.load()


def test_a_large_jpeg_decoded_small_looks_the_same(tmp_path: Path) -> None:
    smooth = noise(8, (8, 6)).resize((1600, 1200), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "large.jpg", quality=95)
    with Image.open(tmp_path / "large.jpg") as image:
        whole = decode(image, Geometry((32, 32), 3)).astype(int)
    assert np.abs(decode(tmp_path / "large.jpg", Geometry((32, 32), 3)) - whole).max() <= 4


@pytest.mark.parametrize("resize", ["crop", "letterbox", "squash"])
@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 60), st.integers(1, 60)), target=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_every_size_fits_every_geometry(resize: str, size: tuple[int, int], target: tuple[int, int]) -> None:
    array = decode(Image.new("L", size, 200), Geometry(target, 1, resize))  # type: ignore[arg-type]
    assert array.shape == (1, *target)
    if resize == "letterbox":
        # the picture itself, and bars that are black: nothing in between
        assert set(np.unique(array)) <= {0, 200} and (array == 200).any()
    else:
        assert (array == 200).all()


def test_crop_cuts_both_sides_equally() -> None:
    image = np.zeros((10, 30), np.uint8)
    image[:, 10:20] = 255
    assert (decode(Image.fromarray(image), Geometry((10, 10), 1, "crop")) == 255).all()
    upright = decode(Image.fromarray(image.T.copy()), Geometry((10, 10), 1, "crop"))
    assert (upright == 255).all()


def test_letterbox_shows_everything_in_the_middle() -> None:
    array = decode(Image.new("L", (30, 10), 255), Geometry((30, 30), 1, "letterbox"))[0]
    assert (array[10:20] == 255).all() and not array[:10].any() and not array[20:].any()


def test_squash_stretches() -> None:
    image = np.zeros((10, 30), np.uint8)
    image[:, :15] = 255
    array = decode(Image.fromarray(image), Geometry((10, 10), 1, "squash"))[0]
    assert (array[:, :4] == 255).all() and not array[:, 6:].any()


def landscape(width: int, height: int) -> Image.Image:
    """Noise whose spectrum falls as that of photographs, amplitude 1/f, with most of it common to the three colours."""
    draws = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    planes = [np.fft.irfft2(np.fft.rfft2(draws.normal(size=(height, width))) / frequency) for _ in range(4)]
    common, *own = (plane / plane.std() for plane in planes)
    pixels = np.stack([118 + 50 * (0.9 * common + 0.35 * plane) for plane in own], axis=-1)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("resize", ["crop", "letterbox", "squash"])
@pytest.mark.parametrize("shrinking", [3.1, 3.9, 6.2, 11, 12.2, 20, 40])
def test_a_jpeg_decoded_at_a_smaller_scale_has_the_pixels_of_the_whole_one(shrinking: float, resize: str) -> None:
    content = as_file(landscape(960, 720), "JPEG", quality=90)
    side = round(720 / shrinking)
    geometry = Geometry((side, side + 2), 3, resize)  # type: ignore[arg-type]
    whole = decode(Image.open(io.BytesIO(content)).copy(), geometry).astype(float)
    error = decode(content, geometry) - whole
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40
    assert np.abs(error).max() <= 20


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some 70 bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just text", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (as_file(noise(1, (200, 200)), "JPEG")[:3000], "truncated"),
        (as_file(noise(1, (200, 200)), "PNG")[:3000], "truncated|damaged"),
        (as_file(noise(1), "PNG")[:20], "damaged|not an image"),
        (bomb(), "bomb"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "그림.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(UnreadableImage, match=reason) as caught:
            decode(source, COLOUR)
        assert isinstance(caught.value, DataError)
        assert "그림.jpg" not in caught.value.reason
    with pytest.raises(UnreadableImage, match=r"그림\.jpg"):
        decode(path, COLOUR)


def test_missing_files_and_folders_say_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        decode(tmp_path / "none.png", COLOUR)
    with pytest.raises(UnreadableImage, match="folder"):
        decode(tmp_path, COLOUR)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    for name in ("pipe.png", "link.png"):
        with pytest.raises(UnreadableImage, match=r"it is a pipe.*Save what it gives"):
            decode(tmp_path / name, COLOUR)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_itself_says_so(tmp_path: Path) -> None:
    (tmp_path / "self.png").symlink_to("self.png")
    with pytest.raises(UnreadableImage, match="cannot be opened"):
        decode(tmp_path / "self.png", COLOUR)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_a_damaged_file_is_an_image_or_an_unreadable_image(kind: str, data: st.DataObject) -> None:
    content = bytearray(as_file(noise(1), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = decode(bytes(content), COLOUR)
        except UnreadableImage as error:
            assert error.reason
        else:
            assert array.shape == (3, 10, 12)


def test_broken_exif_does_not_spoil_a_sound_picture() -> None:
    image = noise(9)
    content = as_file(image, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(decode(content, COLOUR), decode(image, COLOUR))


def test_an_array_and_its_picture_are_the_same() -> None:
    for channels in (1, 3):
        array = decode(noise(10), Geometry((10, 12), channels))
        assert np.array_equal(decode(to_picture(array), Geometry((10, 12), channels)), array)


def test_common_endings_are_known_and_documents_are_not() -> None:
    assert {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"} <= image_suffixes()
    assert not {".pdf", ".eps", ".ps", ".txt", ".mpg"} & image_suffixes()


@pytest.mark.parametrize(("size", "channels", "resize"), [((0, 5), 3, "crop"), ((5, 5), 2, "crop"), ((5, 5), 3, "fit")])
def test_impossible_geometries_are_refused(size: tuple[int, int], channels: int, resize: str) -> None:
    with pytest.raises(DataError, match="got"):
        Geometry(size, channels, resize)  # type: ignore[arg-type]
