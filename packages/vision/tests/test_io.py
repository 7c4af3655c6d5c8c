from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau import vision
from flambeau.vision import io

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 9), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path: Path, channels: int) -> None:
    image = fb.from_numpy(PIXELS[:channels])
    io.write_png(image, tmp_path / "image.png")
    assert (io.read_image(tmp_path / "image.png") == image).all()
    assert (io.decode_image(str(tmp_path / "image.png")) == image).all()
    assert (io.decode_png(io.encode_png(image, compression_level=9)) == image).all()
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "image.png")), PIXELS[:channels].transpose(1, 2, 0).squeeze()
    )


def test_jpeg_images_decode_as_in_pillow(tmp_path: Path) -> None:
    smooth = fb.from_numpy(np.full((3, 8, 9), 77, dtype=np.uint8))
    io.write_jpeg(smooth, tmp_path / "image.jpg", quality=95)
    decoded = io.read_image(tmp_path / "image.jpg")
    assert (decoded.int() - 77).abs().max() <= 1
    np.testing.assert_array_equal(decoded.permute(1, 2, 0).numpy(), np.asarray(Image.open(tmp_path / "image.jpg")))
    assert len(io.encode_jpeg(fb.from_numpy(PIXELS), 10)) < len(io.encode_jpeg(fb.from_numpy(PIXELS), 95))
    assert io.decode_jpeg(io.encode_jpeg(smooth)).shape[0] == 3


@pytest.mark.parametrize(
    ("mode", "channels"), [("UNCHANGED", 4), ("GRAY", 1), ("GRAY_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4)]
)
def test_images_decode_in_every_read_mode(tmp_path: Path, mode: str, channels: int) -> None:
    rgba = np.dstack([PIXELS.transpose(1, 2, 0), PIXELS[0]])
    Image.fromarray(rgba).save(tmp_path / "image.png")
    for wanted in (mode, io.ImageReadMode[mode]):
        image = io.read_image(tmp_path / "image.png", wanted)
        assert tuple(image.shape) == (channels, 8, 9) and image.dtype is fb.uint8
    Image.fromarray(rgba[..., 0]).convert("P").save(tmp_path / "palette.png")
    assert io.read_image(tmp_path / "palette.png").shape[0] == 3


def test_decoding_a_damaged_image_raises_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    io.write_png(fb.from_numpy(PIXELS), path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RuntimeError, match=r"image.png cannot be decoded as an image: "):
        io.read_image(path)
    path.write_bytes(b"no image")
    with pytest.raises(RuntimeError, match=r"image.png cannot be decoded as an image: cannot identify"):
        io.read_image(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere.png"):
        io.read_image(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: io.decode_image(fb.zeros(3)),
            RuntimeError,
            r"1-dimensional tensor of uint8 .* got flambeau.float32, \[3\]",
        ),
        (lambda: io.decode_image(fb.zeros(0, dtype=fb.uint8)), RuntimeError, r"non empty .* \[0\]"),
        (lambda: io.encode_png(fb.zeros(3, 2, 2)), RuntimeError, r"tensor of uint8 .* got flambeau.float32"),
        (lambda: io.encode_png(fb.zeros(2, 2, 2, dtype=fb.uint8)), RuntimeError, r"got flambeau.uint8, \[2, 2, 2\]"),
        (lambda: io.encode_png(fb.zeros(1, 2, 2, dtype=fb.uint8), 10), RuntimeError, "between 0 and 9, got 10"),
        (lambda: io.encode_jpeg(fb.zeros(1, 2, 2, dtype=fb.uint8), 0), ValueError, "between 1 and 100, got 0"),
        (lambda: io.write_file("unused", fb.zeros(3)), RuntimeError, "should be uint8, got flambeau.float32"),
    ],
)
def test_invalid_arguments_are_rejected(call, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_pillow_is_the_only_image_backend() -> None:
    vision.set_image_backend("PIL")
    assert vision.get_image_backend() == "PIL"
    with pytest.raises(ValueError, match="'accimage'"):
        vision.set_image_backend("accimage")
