"""The path of the layer in exceptions from `forward`."""

import pickle

import pytest

import flambeau as fb
from flambeau import nn


class Failing(nn.Module):
    def forward(self, input):
        raise ValueError("no")


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Identity(), nn.Sequential(nn.ReLU(), layer)])

    def forward(self, input):
        return self.blocks[1](self.blocks[0](input))


def notes_of(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.value.__notes__


def test_the_layer_path_includes_containers_that_are_not_called():
    model = Model(nn.Linear(64, 10))
    expected = "in Model.blocks.1.1 (Linear(in_features=64, out_features=10, bias=True))"
    assert notes_of(lambda: model(fb.ones(2, 3))) == [expected]


def test_the_error_names_a_single_layer():
    assert notes_of(lambda: Failing()(1)) == ["in Failing()"]


def test_the_error_names_the_type_of_a_layer_that_fails_in_the_middle():
    class Outer(Model):
        def forward(self, input):
            raise ValueError("here")

    notes = notes_of(lambda: nn.Sequential(Outer(Failing()))(1))
    assert notes == ["in Sequential.0 (Outer(...))"]


def test_existing_notes_of_an_exception_are_kept():
    class Commenting(nn.Module):
        def forward(self, input):
            error = ValueError("no")
            error.add_note("a hint")
            raise error

    notes = notes_of(lambda: nn.Sequential(Commenting())(1))
    assert notes == ["a hint", "in Sequential.0 (Commenting())"]


def test_the_layer_path_ends_at_unregistered_modules():
    class Hiding(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = [nn.Sequential(Failing())]

        def forward(self, input):
            return self.hidden[0](input)

    assert notes_of(lambda: Hiding()(1)) == ["in Sequential.0 (Failing())"]


def test_a_missing_super_init_call_does_not_hide_the_error():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layers = [Failing()]

        def forward(self, input):
            return self.layers[0](input)

    with pytest.raises(ValueError, match="no"):
        Forgetful()(1)


def test_a_failing_repr_does_not_hide_the_error():
    class Unprintable(Failing):
        def extra_repr(self):
            raise RuntimeError("unprintable")

    assert notes_of(lambda: Unprintable()(1)) == ["in Unprintable(...)"]


def test_errors_with_paths_can_be_pickled():
    with pytest.raises(ValueError, match="no") as caught:
        nn.Sequential(Failing())(1)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.__notes__ == ["in Sequential.0 (Failing())"]


def test_errors_in_hooks_include_the_layer_path():
    layer = nn.Sequential(nn.ReLU())
    layer[0].register_forward_hook(lambda module, args, output: 1 / 0)
    assert notes_of(lambda: layer(fb.ones(1))) == ["in Sequential.0 (ReLU())"]
