"""Tests of saving and loading safetensors files: round trips, unsupported objects, and devices."""

import collections
import enum
import io
import math
import os
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors_bytes import VALUES, assert_same, header_of, saved, tensor_of

import flambeau


def round_trip(obj):
    return flambeau.load(io.BytesIO(saved(obj)))


# --- round trips ---


@pytest.mark.parametrize("name", VALUES)
def test_tensors_of_every_dtype_can_be_saved(name):
    assert_same(round_trip({"t": tensor_of(name)}), {"t": tensor_of(name)})


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0, 2), (2, 3, 4), (1,) * 7])
@pytest.mark.parametrize("dtype", [flambeau.bool, flambeau.bfloat16, flambeau.float64])
def test_tensors_of_every_shape_can_be_saved(shape, dtype):
    assert_same(round_trip([flambeau.ones(shape, dtype=dtype)]), [flambeau.ones(shape, dtype=dtype)])


@pytest.mark.parametrize("dtype", [flambeau.float32, flambeau.bfloat16, flambeau.int8])
def test_views_are_stored_contiguous_without_the_rest_of_their_storage(dtype):
    base = flambeau.arange(1000).reshape(10, 100).to(dtype)
    views = {"t": base.t(), "step": base[1::3, ::7], "expanded": base[0, :1].expand(5, 3), "one": base[2, 3]}
    data = saved(views)
    assert_same(flambeau.load(io.BytesIO(data)), views)
    stored = sum(view.numel() * view.element_size() for view in views.values())
    assert len(header_of(data)[1]) == stored


def test_plain_dictionary_keeps_its_order():
    state = collections.OrderedDict((name, flambeau.zeros(1, dtype=flambeau.int8)) for name in "zyxab")
    state["wide"] = flambeau.zeros(2)
    assert list(round_trip(state)) == ["z", "y", "x", "a", "b", "wide"]


def test_a_checkpoint_of_nested_values_can_be_saved():
    checkpoint = {
        "model": collections.OrderedDict([("fc.weight", flambeau.randn(3, 2)), ("fc.bias", flambeau.zeros(3))]),
        "optimizer": {
            "state": {0: {"step": flambeau.tensor(3.0), "exp_avg": flambeau.randn(3, 2)}, 1: {}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "nesterov": False, "params": [0, 1], "foreach": None}],
        },
        "epoch": 3,
        "best": -math.inf,
        "history": [math.nan, 1.0, 0.1, -0.0, 2**70],
    }
    assert_same(round_trip(checkpoint), checkpoint)


@pytest.mark.parametrize(
    "obj",
    [
        flambeau.arange(3),
        {},
        [],
        (),
        None,
        7,
        "text",
        {"__metadata__": flambeau.ones(2)},
        {"a.b": flambeau.zeros(1), "a": {"b": flambeau.ones(1)}, "a.b#2": flambeau.ones(2)},
        {1: "int", "1": "str", 1.5: "float", None: "none", (1, "x", None): "tuple", math.inf: "inf"},
        {True: flambeau.ones(1), False: flambeau.zeros(1)},
        {"tensor": "a", "dict": {"tuple": [1]}, "float": {"items": ()}},
        {"": flambeau.ones(1), "слово 🔥\n\x00": flambeau.zeros(1), '"\\': flambeau.zeros(2)},
        {"lone \ud800": flambeau.ones(1)},
        ["lone \udfff", {"\ud800": [flambeau.ones(1)]}],
    ],
    ids=ascii,
)
def test_nested_structures_can_be_saved(obj):
    assert_same(round_trip(obj), obj)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5)


keys = scalars | st.tuples(scalars, scalars)


tensors = st.lists(st.integers(-9, 9), max_size=3).map(lambda values: flambeau.tensor(values, dtype=flambeau.int16))


structures = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(structures)
@settings(max_examples=300, deadline=None)
def test_random_nested_structures_can_be_saved(obj):
    assert_same(round_trip(obj), obj)


def test_loaded_tensors_are_independent_of_the_file_and_writable(tmp_path):
    path = tmp_path / "x.safetensors"
    flambeau.save({"a": flambeau.zeros(3)}, path)
    first, second = flambeau.load(path)["a"], flambeau.load(path)["a"]
    first.add_(1)
    assert second.tolist() == flambeau.load(path)["a"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_save_and_load_accept_paths_of_every_type(tmp_path, kind):
    path = kind(tmp_path / "имя файла")
    flambeau.save([1], path)
    assert flambeau.load(path, map_location="cpu", weights_only=False) == [1]


def test_files_are_used_from_their_current_position(tmp_path):
    with open(tmp_path / "x", "w+b", buffering=0) as file:
        file.write(b"before")
        flambeau.save({"a": flambeau.arange(5)}, file)
        file.seek(6)
        assert flambeau.load(file)["a"].tolist() == [0, 1, 2, 3, 4]


def test_load_accepts_an_object_with_only_a_read_method():
    class Stream:
        def read(self):
            return saved({"a": flambeau.arange(5)})

    assert flambeau.load(Stream())["a"].tolist() == [0, 1, 2, 3, 4]


def test_save_continues_after_a_partial_write():
    class Slow(io.RawIOBase):
        data = b""

        def writable(self):
            return True

        def write(self, part):
            taken = bytes(part[:7])
            self.data += taken
            return len(taken)

    slow = Slow()
    flambeau.save({"a": flambeau.arange(50)}, slow, format="safetensors")
    assert slow.data == saved({"a": flambeau.arange(50)})


# --- objects that cannot be stored ---


class Colour(enum.IntEnum):
    RED = 1


class Net:
    def state_dict(self):
        return {}


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"a": {3: [None, {1}]}}, r"object\['a'\]\[3\]\[1\] is of type set"),
        (Net(), r"object is of type .*Net, .*; store its state_dict\(\)"),
        ({"p": Point(1, 2)}, r"object\['p'\] is of type .*Point, .*; convert it with tuple\(\.\.\.\)"),
        ([np.float32(1)], r"object\[0\] is of type numpy.float32, .*\.item\(\)"),
        ([np.float64(1)], r"object\[0\] is of type numpy.float64, .*\.item\(\)"),
        ([np.ones(2)], r"object\[0\] is of type numpy.ndarray, .*flambeau.from_numpy"),
        ([Colour.RED], r"object\[0\] is of type .*Colour"),
        ([b"x"], r"object\[0\] is of type bytes"),
        ([range(3)], r"object\[0\] is of type range"),
        ({"m": {b"k": 1}}, r"object\['m'\] has a key of type bytes, b'k'"),
        ({frozenset(): 1}, r"object has a key of type frozenset"),
        ({(1, (2,)): 1}, r"object has a key of type tuple"),
    ],
)
def test_other_types_are_rejected(tmp_path, obj, message):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(TypeError, match=message):
        flambeau.save(obj, path, format="safetensors")
    assert path.read_bytes() == b"old"


def test_recursive_structures_are_rejected():
    endless = []
    endless.append({"again": endless})
    with pytest.raises(ValueError, match=r"object\[0\]\['again'\]\[0\]\.\.\.: nested deeper .* contain itself"):
        saved(endless)


@pytest.mark.parametrize("f", [7, None, [b"x"]])
def test_objects_that_are_neither_path_nor_file_are_rejected(f):
    with pytest.raises(AttributeError, match="save: expected 'f' to be string, path, or a file-like object"):
        flambeau.save([], f)
    with pytest.raises(TypeError, match="load: f must be a path or a binary file, got"):
        flambeau.load(f)


@pytest.mark.parametrize("map_location", [None, "cpu", {"cpu": "cpu"}, lambda storage, location: None])
def test_load_accepts_every_form_of_map_location(map_location):
    data = saved({"x": flambeau.arange(3)})
    assert flambeau.load(io.BytesIO(data), map_location=map_location)["x"].tolist() == [0, 1, 2]


def test_a_function_as_map_location_chooses_the_memory():
    asked = []

    def elsewhere(storage, location):
        asked.append((storage.nbytes(), location))
        return storage.clone().fill_(1)

    loaded = flambeau.load(io.BytesIO(saved({"x": flambeau.arange(6, dtype=flambeau.uint8).reshape(2, 3)})), elsewhere)
    assert loaded["x"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert asked == [(6, "cpu")]
    with pytest.raises(TypeError, match="map_location must return a storage or None, got int"):
        flambeau.load(io.BytesIO(saved({"x": flambeau.arange(3)})), map_location=lambda storage, location: 3)


def test_an_open_file_is_complete_once_save_returns(tmp_path):
    path = tmp_path / "x.pt"
    with open(path, "wb") as file:
        flambeau.save(flambeau.arange(3), file)
        assert flambeau.load(path).tolist() == [0, 1, 2]


def test_empty_tensors_of_different_dtypes_are_saved_together():
    empty = [flambeau.tensor([], dtype=dtype) for dtype in (flambeau.float32, flambeau.int8, flambeau.complex64)]
    assert [tensor.dtype for tensor in flambeau.load(io.BytesIO(saved(empty)))] == [tensor.dtype for tensor in empty]
