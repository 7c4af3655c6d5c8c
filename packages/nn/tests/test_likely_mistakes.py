"""Mistakes that beginners make with layers: the message names the argument or the corrected call."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(3.0, 2), r"Linear: in_features must be an int, got 3\.0 of type float; a // b"),
        (lambda: nn.Linear(3, "2"), "Linear: out_features must be an int, got '2' of type str"),
        (lambda: nn.Bilinear(1, 2.0, 3), "Bilinear: in2_features must be an int"),
        (lambda: nn.Conv2d(3.0, 8, 3), "Conv2d: in_channels must be an int"),
        (lambda: nn.Embedding(5, 2.0), "Embedding: embedding_dim must be an int"),
        (lambda: nn.BatchNorm1d("3"), "BatchNorm1d: num_features must be an int"),
        (lambda: nn.LSTM(3.5, 2), "LSTM: input_size must be an int"),
    ],
)
def test_errors_name_sizes_that_are_not_integers(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_sizes_accept_objects_with_dunder_index():
    assert nn.Linear(np.int64(3), fb.tensor(2))(fb.ones(1, 3)).shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MSELoss(fb.ones(2), fb.ones(2)), TypeError, r"write nn\.MSELoss\(\)\(input, target\)"),
        (lambda: nn.CrossEntropyLoss(fb.ones(2, 3), fb.tensor([0, 1])), TypeError, r"nn\.CrossEntropyLoss\(\)\("),
        (lambda: nn.BatchNorm2d(3)(fb.ones(3, 4, 4)), ValueError, r"shape \[3, 4, 4\]; input.unsqueeze\(0\)"),
        (
            lambda: nn.MultiMarginLoss()(fb.tensor([[0, 1]]), fb.zeros(1)),
            NotImplementedError,
            "input and target look swapped",
        ),
        (lambda: nn.GRU(3, 4)(fb.ones(5, 3), (fb.ones(1, 4),) * 2), RuntimeError, "GRU expects one hidden state"),
        (lambda: nn.Linear(4, 2)(nn.LSTM(3, 4)(fb.ones(5, 3))), TypeError, "not tuple; unpack it first"),
        (lambda: nn.Linear(4, 2)([fb.ones(4)]), TypeError, r"not list; flambeau\.stack\(\) joins several tensors"),
        (lambda: nn.Conv2d(3, 8, 3)(fb.ones(1, 9, 9, 3)), RuntimeError, r"channels are last, write input\.movedim"),
        (lambda: nn.Conv2d(3, 8, 3)(fb.ones(1, 3, 9, 9).byte()), RuntimeError, r"should be the same; \.to\(dtype\)"),
        (
            lambda: nn.CrossEntropyLoss()(fb.ones(2, 3), fb.tensor([[0], [1]])),
            RuntimeError,
            r"got \[2, 1\]; write target\.squeeze\(1\)",
        ),
    ],
)
def test_errors_suggest_the_corrected_call(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "option"),
    [
        ("ReLU", "inplace"),
        ("LeakyReLU", "negative_slope"),
        ("GELU", "approximate"),
        ("Dropout", "p"),
        ("Flatten", "start_dim"),
        ("MaxPool2d", "kernel_size"),
        ("AdaptiveAvgPool2d", "output_size"),
        ("Upsample", "size"),
    ],
)
def test_an_input_given_to_a_constructor_suggests_the_correct_call(layer, option):
    required = "..." if layer in ("MaxPool2d", "AdaptiveAvgPool2d") else ""
    with pytest.raises(TypeError) as caught:
        getattr(nn, layer)(fb.ones(2, 3))
    assert str(caught.value) == (
        f"{layer}: {option} cannot be a Tensor of shape [2, 3]; create the layer first, then call it: "
        f"nn.{layer}({required})(input)"
    )


def test_layers_without_options_suggest_the_correct_call():
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 2 were given; .*: nn\.Sigmoid\(\)\(input\)$"):
        nn.Sigmoid(fb.ones(2))
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 3 were given$"):
        nn.Tanh(1, 2)


def test_softmax_given_an_input_suggests_to_pass_the_dimension():
    with pytest.raises(TypeError, match=r"nn\.Softmax\(dim=\.\.\.\)\(input\)$"):
        nn.Softmax(fb.ones(2, 3))


def test_tensors_of_one_element_are_accepted_as_numbers():
    assert nn.LeakyReLU(fb.tensor(0.5))(fb.tensor([-2.0])).tolist() == [-1.0]
    assert nn.Dropout(fb.tensor(0.25)).p == 0.25


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: nn.ModuleList(nn.Linear(2, 2)),
            TypeError,
            r"extend should be called with an iterable, but got Linear; write ModuleList\(\[module\]\)$",
        ),
        (lambda: nn.ModuleList(3), TypeError, "extend should be called with an iterable, but got int$"),
        (lambda: nn.ModuleList(fb.ones(2)), TypeError, r"FloatTensor is not a Module subclass; .* nn\.ParameterList"),
        (lambda: nn.ModuleDict(nn.ReLU()), TypeError, r"key/value pairs, but got ReLU; write ModuleDict\(\{"),
        (lambda: nn.ModuleDict([nn.ReLU()]), TypeError, "element #0 should be Iterable, but is ReLU"),
        (lambda: nn.ModuleDict([("a", nn.ReLU(), 2)]), ValueError, "element #0 has length 3; 2 is required"),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.functional.relu),
            TypeError,
            r"Module subclass; write nn\.ReLU\(\)$",
        ),
        (lambda: nn.Sequential(fb.ones(2)), TypeError, "pass the tensor when the module is called"),
    ],
)
def test_containers_of_other_objects_suggest_the_corrected_call(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (nn, "Liner", "Linear"),
        (nn, "relu", "ReLU"),
        (nn.init, "kaming_normal_", "kaiming_normal_"),
        (nn.utils, "clip_grad_nrom_", "clip_grad_norm_"),
        (fb.func, "vmapp", "vmap"),
    ],
)
def test_unknown_names_suggest_the_closest_match(owner, name, meant):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean '{meant}'\\?$"):
        getattr(owner, name)


class Misspelt(nn.Module):
    """A module whose forward() reads a misspelt attribute."""

    def __init__(self, read):
        super().__init__()
        self.read, self.fc1 = read, nn.Linear(2, 2)

    def forward(self, input):
        return self.read(self, input)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda model, _: model.fcc1, "'Misspelt' object has no attribute 'fcc1'; did you mean 'fc1'?"),
        (lambda _, tensor: tensor.realu(), "'Tensor' object has no attribute 'realu'; did you mean 'relu'?"),
    ],
)
def test_unknown_attributes_in_forward_suggest_the_closest_match(read, message):
    with pytest.raises(AttributeError) as caught:
        nn.Sequential(Misspelt(read))(fb.ones(1, 2))
    assert str(caught.value) == message
