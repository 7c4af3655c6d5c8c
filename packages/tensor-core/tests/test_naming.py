"""The name of the library in reprs and error messages."""

import pytest

import flambeau as fb
from flambeau import _core, _naming


@pytest.fixture
def named_torch():
    _core._set_library_name("torch")
    yield
    _core._set_library_name("flambeau")


TEXTS = {
    "flambeau.float32": lambda: repr(fb.float32),
    "flambeau.strided": lambda: repr(fb.strided),
    "flambeau.channels_last": lambda: str(fb.channels_last),
    "flambeau.Size([2, 3])": lambda: repr(fb.Size([2, 3])),
    "flambeau.FloatTensor": lambda: fb.ones(1).type(),
    "flambeau.float8_e5m2": lambda: repr(fb.float8_e5m2),
    "flambeau.linalg": lambda: fb.linalg.qr.__module__,
    "flambeau.return_types.max(\nvalues=tensor(1.),\nindices=tensor(0))": lambda: repr(fb.ones(1).max(0)),
}


@pytest.mark.parametrize("text", TEXTS)
def test_repr_and_error_messages_use_the_name_flambeau(text):
    assert TEXTS[text]() == text


@pytest.mark.parametrize("text", TEXTS)
def test_repr_and_error_messages_use_the_imported_name(text, named_torch):
    assert TEXTS[text]() == text.replace("flambeau", "torch")


def test_operators_have_the_texts_of_pytorch_under_the_alias(named_torch):
    assert repr(fb.flatten).startswith("<built-in method flatten of type object at 0x")
    assert repr(fb.Tensor.add) == "<method 'add' of 'torch._C.TensorBase' objects>"


def test_error_messages_and_hints_use_the_name_torch_under_the_alias(named_torch):
    with pytest.raises(TypeError, match=r"must be torch\.dtype, not str; write torch\.float32"):
        fb.ones(1, dtype="float32")
    with pytest.raises(TypeError, match=r"torch\.tensor\(\) converts it"):
        fb.exp([1.0])
    with pytest.raises(TypeError, match=r"must be torch\.dtype, not Tensor"):
        fb.ones(1, dtype=fb.ones(1))


def test_the_library_finds_its_own_modules_under_either_name(named_torch):
    assert _naming.own_name("torch.linalg") == "flambeau.linalg" and _naming.own_module(fb.add) == "flambeau"
    assert _naming.own_name("torchvision.ops") == "torchvision.ops" and _naming.own_module(3) == ""


def test_dtypes_are_known_by_their_names_under_either_name(named_torch):
    assert fb.finfo(fb.float32).dtype == "float32" and "flambeau" not in str(fb.iinfo(fb.int8))
