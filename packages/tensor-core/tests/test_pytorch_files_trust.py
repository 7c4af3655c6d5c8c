"""Tests of the functions and classes that PyTorch files may use: trusted ones, and harmful ones."""

import argparse
import fractions
import io
import pickle

import numpy as np
import pytest
from pytorch_bytes import THEIRS, file_of, load, saved

import flambeau as fb
from flambeau import serialization


class Settings:
    def __init__(self, rate):
        self.rate = rate


class Tagged(fb.Tensor):
    pass


def test_other_classes_load_only_if_they_are_trusted():
    data = saved({"settings": Settings(0.5)})
    with pytest.raises(
        pickle.UnpicklingError, match=r"refers to .*test_pytorch_files_trust\.Settings, .*safe_globals\(\[Settings"
    ):
        load(data)
    assert load(data, weights_only=False)["settings"].rate == 0.5
    with serialization.safe_globals([Settings]):
        assert load(data)["settings"].rate == 0.5
    with pytest.raises(pickle.UnpicklingError):
        load(data)


def test_tensor_subclasses_load_if_they_are_allowed():
    tagged = Tagged(fb.ones(2))
    tagged.tag = "kept"
    data = saved(tagged)
    with pytest.raises(pickle.UnpicklingError, match="Tagged"):
        load(data)
    assert type(load(data, weights_only=False)) is Tagged
    with serialization.safe_globals([Tagged]):
        loaded = load(data)
    assert type(loaded) is Tagged
    assert loaded.tag == "kept"
    assert loaded.tolist() == [1, 1]


def test_add_safe_globals_allows_classes():
    data = saved([fractions.Fraction(1, 3)])
    assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)) == ["fractions.Fraction"]
    try:
        serialization.add_safe_globals([fractions.Fraction])
        assert serialization.get_safe_globals() == [fractions.Fraction]
        assert load(data) == [fractions.Fraction(1, 3)]
    finally:
        serialization.clear_safe_globals()
    with (
        serialization.safe_globals([(fractions.Fraction, "elsewhere.Fraction")]),
        pytest.raises(pickle.UnpicklingError),
    ):
        load(data)
    assert serialization.get_safe_globals() == []
    with pytest.raises(TypeError, match="a safe global is a function, a class or a pair"):
        serialization.add_safe_globals([3])


def test_argparse_namespaces_load_with_weights_only():
    loaded = load(saved(argparse.Namespace(rate=0.5, layers=[1, 2])))
    assert loaded == argparse.Namespace(rate=0.5, layers=[1, 2])


class Call:
    """Object that is pickled as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def harmful(protocol=2):
    return pickle.dumps([Call(print, "this was run")], protocol=protocol)


HARM = {
    "call": (pickle.dumps([Call(print, "run")], protocol=2), "refers to builtins.print"),
    "call in a new protocol": (pickle.dumps([Call(print, "run")], protocol=4), "refers to builtins.print"),
    "import": (b"\x80\x02cos\nsystem\n(X\x04\0\0\0true\x85R.", "refers to os.system"),
    "evaluation": (pickle.dumps(Call(eval, "1"), protocol=2), "refers to builtins.eval"),
    "attribute": (b"\x80\x02cbuiltins\ngetattr\n.", "refers to builtins.getattr"),
    "instruction INST": (b"(X\x04\0\0\0truei__builtin__\neval\n.", "uses the instruction INST"),
    "instruction OBJ": (b"(c__builtin__\nlist\no.", "uses the instruction OBJ"),
    "instruction EXT1": (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
    "calling a number": (b"\x80\x02K\x01)R.", "calls 1, which is not allowed"),
    "calling a list": (b"\x80\x02c__builtin__\nlist\n)R.", "calls <class 'list'>, which is not allowed"),
    "calling a dtype": (b"\x80\x02ctorch\nfloat32\n)R.", "calls flambeau.float32, which is not allowed"),
    "state of a class": (
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\0\0\0aK\x01sb.",
        "sets the state of type, which has no state",
    ),
    "state of a function": (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\0\0\0aK\x01sb.",
        "sets the state of function, which has no state",
    ),
    "method of a module": (b"\x80\x04\x8c\x05torch\x8c\x0cTensor.numpy\x93.", "refers to torch.Tensor.numpy"),
    "objects in arrays": (
        pickle.dumps(np.array([Call(print, "run")], object), protocol=2),
        "the NumPy dtype 'O8' is not supported|print",
    ),
}


@pytest.mark.parametrize("what", HARM)
def test_harmful_pickles_are_rejected_without_running_code(what, capfd):
    program, message = HARM[what]
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match=message):
        load(file_of(program))
    assert capfd.readouterr().out == ""


def test_harmful_pickles_in_legacy_files_are_rejected(capfd):
    data = THEIRS["legacy"]
    start = data.index(b"\x80\x02}q\x00(X\x06\0\0\0dtypes")
    with pytest.raises(pickle.UnpicklingError, match=r"refers to builtins\.print"):
        load(data[:start] + harmful() + data[start:])
    assert capfd.readouterr().out == ""


def test_weights_only_false_runs_code(capfd):
    load(file_of(harmful()), weights_only=False)
    assert capfd.readouterr().out == "this was run\n"


def test_environment_variables_change_weights_only(monkeypatch):
    data = saved({"settings": Settings(0.5)})
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.warns(UserWarning, match="forcing weights_only=False"):
        assert load(data)["settings"].rate == 0.5
    with pytest.raises(pickle.UnpicklingError):
        load(data, weights_only=True)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "true")
    with pytest.raises(RuntimeError, match="Only one of"):
        load(data)
    monkeypatch.delenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    with pytest.raises(pickle.UnpicklingError):
        load(data, weights_only=False)


def test_whole_modules_are_rejected_with_advice():
    with pytest.raises(
        pickle.UnpicklingError, match=r"torch\.nn\.modules\..*whole module; a file with its state_dict\(\)"
    ):
        load(THEIRS["module"])


def test_whole_modules_load_with_weights_only_false():
    nn = pytest.importorskip("flambeau.nn")
    model = load(THEIRS["module"], weights_only=False)
    assert type(model) is nn.Sequential
    assert repr(model) == repr(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))
    assert model(fb.tensor([[1.0], [0.25]])).tolist() == [[1.0], [0.0]]
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
