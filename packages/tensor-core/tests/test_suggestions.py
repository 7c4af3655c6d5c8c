"""Errors about unknown names suggest the most similar one in their own text."""

import copy
import pickle
import subprocess
import sys
import traceback

import pytest

import flambeau as fb
from flambeau import _suggestions


def error_of(owner, name):
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    return caught.value


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (fb, "zeroes", "zeros"),
        (fb, "Zeros", "zeros"),
        (fb.linalg, "sdv", "svd"),
        (fb.fft, "fft_freq", "fftfreq"),
        (fb.special, "erfcc", "erfc"),
        (fb.cuda, "is_availabel", "is_available"),
        (fb.backends, "cudn", "cudnn"),
    ],
)
def test_attribute_errors_suggest_the_most_similar_name(owner, name, meant):
    error = error_of(owner, name)
    assert str(error) == f"module {owner.__name__!r} has no attribute {name!r}; did you mean {meant!r}?"


def test_dissimilar_names_get_no_suggestion():
    assert str(error_of(fb, "qwxyzqwxyz")) == "module 'flambeau' has no attribute 'qwxyzqwxyz'"


def test_private_names_are_not_suggested_for_public_ones():
    assert "did you mean" not in str(error_of(fb, "suggestion_"))


def test_args_and_name_equal_those_of_an_ordinary_attribute_error():
    error = error_of(fb, "zeroes")
    assert error.args == ("module 'flambeau' has no attribute 'zeroes'",) and error.name == "zeroes"


@pytest.mark.parametrize("duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_copies_of_the_error_keep_the_text_and_the_name(duplicate):
    error = error_of(fb, "zeroes")
    copied = duplicate(error)
    assert type(copied) is AttributeError
    assert (str(copied), copied.name) == (str(error), "zeroes")


@pytest.mark.parametrize(("typed", "meant"), [("zeross", "zeros"), ("Tesnor", "Tensor"), ("flot32", "float32")])
def test_the_interpreter_prints_the_suggestion_once(typed, meant):
    done = subprocess.run(
        [sys.executable, "-c", f"import flambeau; flambeau.{typed}"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        f"AttributeError: module 'flambeau' has no attribute '{typed}'; did you mean '{meant}'?"
    )


def test_suggestions_are_computed_when_the_message_is_read(monkeypatch):
    sought = []
    monkeypatch.setattr(_suggestions, "nearest", lambda *given: sought.append(given))
    assert not hasattr(fb, "zeroes") and getattr(fb, "zeroes", None) is None
    assert not sought
    str(error_of(fb, "zeroes"))
    assert len(sought) == 1


def test_objects_whose_names_cannot_be_listed_get_no_suggestion():
    class Unlisted:
        def __dir__(self):
            raise RuntimeError("no names")

    assert str(_suggestions.unknown_attribute(Unlisted(), "a")) == "'Unlisted' object has no attribute 'a'"


def test_an_error_raised_by_python_gets_one_suggestion():
    error = error_of(fb.ones(1), "realu")
    _suggestions.complete(error)
    _suggestions.complete(error)
    assert str(error) == "'Tensor' object has no attribute 'realu'; did you mean 'relu'?"
    assert traceback.format_exception(error)[-1].count("id you mean") == 1


def test_errors_about_strings_suggest_attributes_of_strings():
    error = error_of("flambeau", "uper")
    _suggestions.complete(error)
    assert str(error) == "'str' object has no attribute 'uper'; did you mean 'upper'?"


def test_other_attribute_errors_are_unchanged():
    error = AttributeError("no weights yet", name="weigth", obj=sys)
    _suggestions.complete(error)
    assert str(error) == "no weights yet"


def test_an_error_of_broadcasting_names_the_last_dimension_that_differs():
    text = (
        r"size of tensor a \(3\) must match the size of tensor b \(4\) at non-singleton dimension 2: shapes \[5, 2, 3\]"
    )
    with pytest.raises(RuntimeError, match=text):
        fb.ones(5, 2, 3) + fb.ones(4, 3, 4)


def test_python_names_the_type_of_tensors_without_its_module():
    with pytest.raises(TypeError, match="'Tensor' and 'str'"):
        fb.ones(2) + "a"
    assert repr(fb.Tensor) == "<class 'flambeau.Tensor'>"
