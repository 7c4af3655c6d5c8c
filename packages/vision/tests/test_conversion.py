from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau.vision import transforms
from flambeau.vision.transforms import functional

GRAY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 51
COLOUR = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
TO_TENSOR = transforms.ToTensor()


def test_to_tensor_scales_bytes_to_0_to_1_with_channels_first() -> None:
    gray, colour = TO_TENSOR(GRAY), TO_TENSOR(COLOUR)
    assert gray.dtype == colour.dtype == fb.float32
    np.testing.assert_array_equal(gray.numpy(), (GRAY / np.float32(255))[None])
    np.testing.assert_array_equal(colour.numpy(), np.moveaxis(COLOUR, 2, 0) / np.float32(255))
    assert colour.is_contiguous()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_to_tensor_keeps_the_values_of_other_dtypes(dtype: type) -> None:
    image = COLOUR.astype(dtype)
    tensor = TO_TENSOR(image)
    assert tensor.numpy().dtype == dtype and (tensor.numpy() == np.moveaxis(image, 2, 0)).all()
    assert tensor.is_contiguous()
    image[:] = 0
    assert tensor.numpy().any()  # the tensor is a copy


def test_to_tensor_accepts_arrays_with_negative_strides() -> None:
    np.testing.assert_array_equal(TO_TENSOR(GRAY[:, ::-1]).numpy()[0], GRAY[:, ::-1] / np.float32(255))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_uint8_images_convert_to_tensors_and_back(mode: str) -> None:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels), dtype=np.uint8)
    image = Image.frombytes(mode, (4, 5), pixels.tobytes())
    expected = pixels.transpose(2, 0, 1)
    np.testing.assert_array_equal(TO_TENSOR(image).numpy(), expected / np.float32(255))
    numbers = transforms.PILToTensor()(image)
    assert numbers.dtype is fb.uint8 and (numbers.numpy() == expected).all()
    numbers.zero_()  # separate memory, which is writable
    assert (np.asarray(image) == pixels.squeeze()).all()


@pytest.mark.parametrize(("mode", "dtype"), [("I", np.int32), ("I;16", np.uint16), ("F", np.float32)])
def test_integer_and_float_images_keep_their_values(mode: str, dtype: type) -> None:
    pixels = np.array([[1, 300, 7000]], dtype=dtype)
    image = Image.fromarray(pixels)
    assert image.mode == mode
    tensor = TO_TENSOR(image)
    assert tensor.numpy().dtype == dtype and tensor.tolist() == [pixels.tolist()]
    again = transforms.ToPILImage("F" if mode == "F" else None)(tensor)
    assert again.mode == mode and (np.asarray(again) == pixels).all()


def test_one_bit_images_convert_to_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert TO_TENSOR(image).tolist() == [[[0, 1]]]
    numbers = functional.pil_to_tensor(image)
    assert numbers.dtype is fb.bool and numbers.tolist() == [[[False, True]]]


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4)])
def test_to_tensor_rejects_other_inputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"2/3 dimensional. Got . dimensions, shape \["):
        TO_TENSOR(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(TypeError, match=r"PIL Image or ndarray. Got <class 'list'>"):
        TO_TENSOR([[1]])
    with pytest.raises(TypeError, match=r"pic should be PIL Image. Got <class 'numpy.ndarray'>"):
        functional.pil_to_tensor(GRAY)


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 4), "L"), ((1, 5, 4), "L"), ((2, 5, 4), "LA"), ((3, 5, 4), "RGB"), ((4, 5, 4), "RGBA")]
)
def test_to_pil_image_converts_tensors(shape: tuple[int, ...], mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = functional.to_pil_image(fb.from_numpy(pixels))
    assert image.mode == mode and image.size == (4, 5)
    expected = pixels if len(shape) == 2 else pixels.transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(image), expected.squeeze())
    floats = fb.from_numpy(pixels.astype(np.float32)) / 255
    np.testing.assert_array_equal(np.asarray(functional.to_pil_image(floats)), expected.squeeze())
    np.testing.assert_array_equal(np.asarray(functional.to_pil_image(expected)), expected.squeeze())


def test_to_pil_image_accepts_a_mode() -> None:
    assert transforms.ToPILImage("YCbCr")(COLOUR).mode == "YCbCr"
    assert repr(transforms.ToPILImage("YCbCr")) == "ToPILImage(mode=YCbCr)"
    with pytest.raises(ValueError, match=r"\['RGB', 'YCbCr', 'HSV'\] are supported for 3-channel inputs, got L"):
        functional.to_pil_image(COLOUR, "L")
    with pytest.raises(ValueError, match=r"Incorrect mode \(RGB\) supplied for input type uint8. Should be L"):
        functional.to_pil_image(GRAY, "RGB")


def test_to_pil_image_rejects_other_inputs() -> None:
    with pytest.raises(TypeError, match=r"pic should be Tensor or ndarray. Got <class 'list'>"):
        functional.to_pil_image([1])
    with pytest.raises(ValueError, match=r"1 to 4 channels. Got 5"):
        functional.to_pil_image(fb.zeros(5, 2, 2))
    with pytest.raises(ValueError, match=r"2/3 dimensional. Got 4"):
        functional.to_pil_image(fb.zeros(1, 1, 2, 2))
    with pytest.raises(TypeError, match="Input type float32 is not supported"):
        functional.to_pil_image(COLOUR.astype(np.float32))


def test_convert_image_dtype_maps_white_to_white() -> None:
    convert = functional.convert_image_dtype
    byte = fb.tensor([0, 1, 128, 255], dtype=fb.uint8)
    assert convert(byte, fb.uint8) is byte
    np.testing.assert_array_equal(convert(byte, fb.float64).numpy(), byte.numpy() / 255)
    assert convert(byte, fb.int16).tolist() == [0, 128, 16384, 32640]
    assert convert(convert(byte, fb.int32), fb.uint8).tolist() == byte.tolist()
    assert convert(fb.tensor([0.0, 0.5, 1.0]), fb.uint8).tolist() == [0, 127, 255]
    every = fb.arange(256).to(fb.uint8)
    assert (convert(convert(every, fb.float32), fb.uint8) == every).all()
    module = transforms.ConvertImageDtype(fb.float32)
    assert module(byte).max() == 1 and repr(module) == "ConvertImageDtype(dtype=flambeau.float32)"


def test_convert_image_dtype_rejects_conversions_that_overflow() -> None:
    with pytest.raises(
        RuntimeError, match=r"The cast from flambeau.float32 to flambeau.int32 cannot be performed safely"
    ):
        functional.convert_image_dtype(fb.ones(1), fb.int32)
    assert functional.convert_image_dtype(fb.ones(1, dtype=fb.float64), fb.int32) == 2**31 - 1


def test_get_dimensions_accepts_every_type_of_image() -> None:
    for image in (Image.new("RGB", (4, 5)), np.zeros((5, 4, 3)), fb.zeros(3, 5, 4), fb.zeros(2, 3, 5, 4)):
        assert functional.get_dimensions(image) == [3, 5, 4]
        assert functional.get_image_size(image) == [4, 5]
        assert functional.get_image_num_channels(image) == 3
    assert functional.get_dimensions(fb.zeros(5, 4)) == functional.get_dimensions(np.zeros((5, 4))) == [1, 5, 4]
    with pytest.raises(TypeError, match=r"img should be .* Got shape \[3\]"):
        functional.get_dimensions(fb.zeros(3))
    with pytest.raises(TypeError, match="Got <class 'str'>"):
        functional.get_dimensions("cat.png")


def test_images_are_converted_to_and_from_bool():
    """Compare with torchvision's formulas, in which the largest value of bool is 1."""
    convert = functional.convert_image_dtype
    image = fb.tensor([0, 127, 128, 255], dtype=fb.uint8)
    assert convert(image, fb.bool).tolist() == [False, False, True, True]
    assert convert(fb.tensor([0.0, 0.2, 1.0]), fb.bool).tolist() == [False, True, True]
    assert convert(fb.tensor([False, True]), fb.float32).tolist() == [0, 1]
    assert convert(fb.tensor([False, True]), fb.uint8).tolist() == [0, 128]
