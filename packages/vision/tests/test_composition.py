from __future__ import annotations

from collections import Counter

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import transforms as T
from flambeau.vision.transforms import (
    Compose,
    Lambda,
    RandomApply,
    RandomChoice,
    RandomOrder,
    RandomTransforms,
    ToTensor,
)

ADD, DOUBLE = Lambda(lambda x: x + 1), Lambda(lambda x: x * 2)


def test_compose_applies_from_left_to_right() -> None:
    assert Compose([DOUBLE, ADD])(3) == 7
    assert repr(Compose([ToTensor(), DOUBLE])) == "Compose(\n    ToTensor()\n    Lambda()\n)"


def test_lambda_requires_a_callable() -> None:
    with pytest.raises(TypeError, match="lambd should be callable, got 'int'"):
        Lambda(3)


def test_random_apply_applies_all_or_none() -> None:
    fb.manual_seed(0)
    counts = Counter(RandomApply([ADD, DOUBLE], p=0.3)(1) for _ in range(1000))
    assert set(counts) == {1, 4} and 250 < counts[4] < 350
    assert RandomApply([ADD], p=0)(1) == 1 and RandomApply([ADD], p=1)(1) == 2
    assert RandomApply(nn.ModuleList([nn.Identity()]), p=1)(5) == 5
    assert repr(RandomApply([ADD])) == "RandomApply(\n    p=0.5\n    Lambda()\n)"


def test_random_order_applies_every_transform_once() -> None:
    fb.manual_seed(0)
    counts = Counter(RandomOrder([ADD, DOUBLE])(1) for _ in range(1000))
    assert set(counts) == {3, 4} and 400 < counts[3] < 600


def test_random_choice_applies_one_transform() -> None:
    fb.manual_seed(0)
    counts = Counter(RandomChoice([ADD, DOUBLE])(5) for _ in range(1000))
    assert set(counts) == {6, 10} and 400 < counts[6] < 600
    counts = Counter(RandomChoice([ADD, DOUBLE], p=[3, 1])(5) for _ in range(1000))
    assert 700 < counts[6] < 800
    assert repr(RandomChoice([ADD])) == "RandomChoice(\n    Lambda()\n)(p=None)"


def test_random_compositions_depend_only_on_the_seed() -> None:
    transform = Compose([RandomApply([ADD]), RandomOrder([ADD, DOUBLE]), RandomChoice([ADD, DOUBLE])])
    runs = []
    for _ in range(2):
        fb.manual_seed(3)
        runs.append([transform(1) for _ in range(20)])
    assert runs[0] == runs[1]


def test_compositions_require_lists_of_transforms() -> None:
    with pytest.raises(TypeError, match="transforms should be a sequence"):
        RandomOrder(ADD)
    with pytest.raises(TypeError, match="p should be a sequence"):
        RandomChoice([ADD], p=1)
    with pytest.raises(ValueError, match="for each of the 1 transforms, got 2"):
        RandomChoice([ADD], p=[0.5, 0.5])
    with pytest.raises(NotImplementedError, match="RandomTransforms must define __call__"):
        RandomTransforms([ADD])(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: T.ToTensor()(fb.rand(3, 2, 2)), "Tensor'>, which needs no conversion"),
        (lambda: T.ToTensor()("a.png"), r"open the file first: PIL\.Image\.open\('a\.png'\)"),
        (lambda: T.Resize("4"), "Size should be int or sequence"),
        (lambda: T.Compose(T.ToTensor()), r"Compose takes a list of transforms, got ToTensor\(\)"),
        (lambda: T.Compose(3), "Compose takes a list of transforms, got 3"),
        (lambda: T.Compose([T.ToTensor]), r"Compose got the class ToTensor; write ToTensor\(\.\.\.\)"),
    ],
)
def test_errors_suggest_the_corrected_call(call, message):
    with pytest.raises(TypeError, match=message):
        call()
