from __future__ import annotations

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision.transforms import RandomErasing
from flambeau.vision.transforms.functional import erase


def test_erase_overwrites_a_rectangle() -> None:
    image = fb.zeros(3, 5, 6)
    result = erase(image, 1, 2, 3, 2, fb.tensor([1.0, 2.0, 3.0])[:, None, None])
    expected = np.zeros((3, 5, 6))
    expected[:, 1:4, 2:4] = np.array([1, 2, 3])[:, None, None]
    assert (result.numpy() == expected).all() and not image.any()
    assert (
        erase(np.zeros((5, 6, 3)), 1, 2, 3, 2, fb.tensor([1.0, 2.0, 3.0], dtype=fb.float64)[:, None, None])
        == expected.transpose(1, 2, 0)
    ).all()
    assert erase(image, 0, 0, 1, 1, 9, inplace=True) is image and image.sum() == 27
    with pytest.raises(
        TypeError, match=r"should be a tensor or an array. Got <class 'str'>; put ToTensor\(\) before it"
    ):
        erase("image", 0, 0, 1, 1, 0)


def test_random_erasing_respects_scale_and_ratio() -> None:
    fb.manual_seed(0)
    image = fb.zeros(3, 40, 50)
    for _ in range(100):
        i, j, h, w, content = RandomErasing.get_params(image, (0.05, 0.3), (0.5, 2.0), [7.0])
        assert i >= 0 and j >= 0 and i + h <= 40 and j + w <= 50 and content.item() == 7
        assert 0.04 < h * w / 2000 < 0.33 and 0.4 < h / w < 2.3


@pytest.mark.parametrize("value", [5, (1.0, 2.0, 3.0), "random"])
def test_random_erasing_fills_with_its_value(value) -> None:
    fb.manual_seed(0)
    image = fb.full((3, 20, 30), 9.0)
    result = RandomErasing(1.0, value=value)(image)
    changed = (result != 9).any(0)
    assert 0.01 < changed.float().mean() < 0.4
    inside = result[:, changed]
    if value == "random":
        assert abs(inside.mean().item()) < 0.5 and 0.7 < inside.std().item() < 1.3
    else:
        expected = fb.tensor(value if isinstance(value, tuple) else (value,), dtype=fb.float32)[:, None]
        assert (inside == expected).all()


def test_random_erasing_respects_its_probability() -> None:
    fb.manual_seed(0)
    image = fb.ones(1, 10, 10)
    assert 60 < sum((RandomErasing(0.3)(image) == 0).any().item() for _ in range(300)) < 120
    assert repr(RandomErasing()) == (
        "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)"
    )


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"value": "zeros"}, ValueError, "it should be 'random', got 'zeros'"),
        ({"value": None}, TypeError, "either a number or str or a sequence"),
        ({"scale": (0.5, 0.2)}, ValueError, r"Scale should be of kind \(min, max\)"),
        ({"scale": (0.5, 2)}, ValueError, "Scale should be between 0 and 1"),
        ({"ratio": 3}, TypeError, "Ratio should be a sequence"),
        ({"p": 2}, ValueError, "p should be a number from 0 to 1, got 2"),
    ],
)
def test_random_erasing_rejects_invalid_arguments(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        RandomErasing(**options)


def test_random_erasing_rejects_values_of_the_wrong_size() -> None:
    with pytest.raises(ValueError, match="a sequence of 3 numbers, one per channel"):
        RandomErasing(1.0, value=(1, 2))(fb.zeros(3, 10, 10))
