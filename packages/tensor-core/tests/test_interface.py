"""Tests of the public interface of the package: names, signatures, documentation, and argument parsing."""

import collections
import contextlib
import doctest
import inspect
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb
from flambeau import _core
from flambeau._operator import OPERATOR_TYPES, operator

FUNCTIONS = [entry["name"] for entry in _core.signatures() if entry["function"]]
ROWS = [
    name
    for row in _core.pointwise_rows()
    for name in (row["name"], *row["aliases"])
    if not name.startswith(("_", "special_"))
]


def test_functions_do_not_bind_to_instances():
    class Layer:
        activation = fb.tanh
        convolve = fb.conv2d
        reshape = fb.reshape
        difference = fb.diff

    layer, x = Layer(), fb.ones(1, 1, 3, 3)
    assert fb.equal(layer.activation(x), x.tanh())
    assert layer.convolve(x, weight=x).item() == 9
    assert layer.reshape(x, (9,)).shape == (9,) and layer.difference(x).sum() == 0
    assert x.tanh.__self__ is x and fb.Tensor.tanh(x).equal(x.tanh())


def test_sizes_can_be_bools_except_for_the_first():
    assert fb.zeros(2, True).shape == fb.rand((2, True)).shape == (2, 1)
    assert fb.ones(6).view(2, True, 3).shape == (2, 1, 3)
    with pytest.raises(TypeError, match="must be"):
        fb.zeros((True, 2))


def test_products_and_quotients_of_two_numbers_are_tensors():
    results = {fb.mul(5, 3): 15, fb.multiply(5.0, 3.0): 15.0, fb.true_divide(3, 2): 1.5, fb.floor_divide(5, 3): 1}
    for result, expected in results.items():
        assert result.shape == () and result.item() == expected and type(result.item()) is type(expected)
    with pytest.raises(TypeError, match=r"must be Tensor, not int"):
        fb.remainder(5, 3)


def test_the_public_names_include_operators_but_no_private_functions():
    assert not [name for name in _core.__all__ if name.startswith("_")]
    assert len(set(_core.__all__)) == len(_core.__all__)
    assert {*FUNCTIONS, *ROWS, "Tensor", "float32", "Generator", "Size", "set_num_threads"} <= set(_core.__all__)
    for private in ("_optimizer_step", "pointwise_rows", "signatures", "_set_grad_enabled", "_gelu_erf"):
        assert private not in _core.__all__
        assert not hasattr(fb, private)
    assert hasattr(_core, "_optimizer_step")
    assert {"nn", "optim", "zeros"} <= set(dir(fb))


def test_operators_are_defined_once():
    places = [
        (entry["module"], place, entry["name"])
        for entry in _core.signatures()
        for place in ("function", "method")
        if entry[place]
    ]
    assert [each for each, times in collections.Counter(places).items() if times > 1] == []


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *ROWS}))
def test_functions_have_docstrings_and_signatures(name):
    function = getattr(fb, name)
    assert function.__name__ == name
    assert function.__module__ == "flambeau"
    assert name in function.__doc__
    assert len(function.__doc__.splitlines()) > 1
    signature = inspect.signature(function)
    assert ("out" in signature.parameters) == (" out=None" in function.__text_signature__)


@pytest.mark.parametrize("name", sorted(n for n in vars(fb.Tensor) if isinstance(vars(fb.Tensor)[n], OPERATOR_TYPES)))
def test_methods_have_docstrings_and_signatures(name):
    method = getattr(fb.Tensor, name)
    assert method.__doc__
    assert next(iter(inspect.signature(method).parameters)) in ("input", "self", "tensor")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (fb.sum, "(input, dim=None, keepdim=False, *, dtype=None, out=None)"),
        (fb.exp, "(input, *, out=None)"),
        (
            fb.zeros,
            "(*size, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, out=None)",
        ),
        (fb.conv2d, "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)"),
        (fb.gelu, "(input, *, approximate='none', out=None)"),
        (fb.amax, "(input, dim=(), keepdim=False, *, out=None)"),
    ],
)
def test_functions_have_the_documented_signatures(function, text):
    assert str(inspect.signature(function)) == text


@pytest.mark.parametrize("entry", [e for e in _core.signatures() if ">>>" in e["doc"]], ids=lambda e: e["name"])
def test_examples_of_operators_run(entry):
    examples = doctest.DocTestParser().get_doctest(entry["doc"], {"flambeau": fb, "fb": fb}, entry["name"], None, None)
    assert doctest.DocTestRunner().run(examples).failed == 0


AN_OPERATOR = """
import inspect
import flambeau as fb
from flambeau import _core
from flambeau._operator import operator

__name__ = "flambeau._operators.temporary"

@operator(method=True, in_place=True, out=True, aliases=("scaled_by",))
def scaled(input: fb.Tensor, *dims: int, factor: float = 2.0) -> fb.Tensor:
    '''input times factor.'''
    assert all(type(d) is int for d in dims)
    return input * factor

x = fb.ones(2)
assert scaled is _core.scaled and scaled.__module__ == "flambeau"
for call in (_core.scaled, _core.scaled_by, fb.Tensor.scaled, fb.Tensor.scaled_by):
    assert call(x, 0, 1).tolist() == call(x, [0, 1], factor=2).tolist() == [2, 2]
    assert str(inspect.signature(call)).startswith("(input")
    assert "input times factor." in call.__doc__ and "factor=2.0" in call.__doc__
assert x.scaled_(factor=3.0) is x and x.tolist() == [3, 3]
out = fb.empty(2)
assert _core.scaled(x, out=out) is out and out.tolist() == [6, 6]
assert {"scaled", "scaled_by"} <= set(_core.__all__)
assert [e["out"] for e in _core.signatures() if e["name"] == "scaled"] == [True]
try:
    _core.scaled(x, factr=1)
except TypeError as error:
    assert "factr" in str(error) and "factor=2.0" in str(error)
"""


def test_an_operator_defined_once_is_a_function_and_a_method():
    subprocess.run([sys.executable, "-c", AN_OPERATOR], check=True)


def test_operators_have_a_maximum_number_of_parameters():
    with pytest.raises(ValueError, match="at most"):
        operator()(eval(f"lambda {', '.join(f'a{i}' for i in range(40))}: 0"))


def test_operators_accept_positional_and_keyword_arguments():
    x = fb.ones(2, 3)
    assert fb.sum(x, 1).shape == fb.sum(input=x, dim=1).shape == x.sum(axis=1).shape == (2,)
    assert x.sum(dim=(0, 1), keepdims=True).shape == (1, 1)
    bound = x.sum
    assert bound(0).shape == (3,)
    assert list(map(fb.Tensor.dim, [x])) == [2]
    assert fb.add(x, other=1).sum().item() == 12
    assert repr(fb.exp) == "<flambeau operator exp>"


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda x: x.split(split_size=2, dim=1), [(2, 2), (2, 1)]),
        (lambda x: x.split(split_size_or_sections=[1, 1]), [(1, 3), (1, 3)]),
        (lambda x: x.tensor_split(sections=2), [(1, 3), (1, 3)]),
        (lambda x: x.tensor_split(indices=(1,), dim=1), [(2, 1), (2, 2)]),
        (lambda x: fb.tensor_split(x, tensor_indices_or_sections=fb.tensor(2)), [(1, 3), (1, 3)]),
        (lambda x: fb.hsplit(x, sections=3), [(2, 1)] * 3),
        (lambda x: fb.vsplit(x, indices=[1]), [(1, 3), (1, 3)]),
        (lambda x: [x.max(other=x), x.min(other=x)], [(2, 3)] * 2),
        (
            lambda x: [x.view(dtype=fb.int32), x.broadcast_to(2, 2, 3), fb.broadcast_to(x, size=(1, 2, 3))],
            [(2, 3), (2, 2, 3), (1, 2, 3)],
        ),
        (lambda x: [fb.add(x1=x, x2=x), fb.exp(a=x), x.copy_(other=x), fb.dropout(x, p=0.0, train=True)], [(2, 3)] * 4),
    ],
)
def test_parameters_have_alternative_names(call, parts):
    assert [tuple(part.shape) for part in call(fb.ones(2, 3))] == parts
    assert fb.result_type(tensor=fb.ones(1), other=1) is fb.float32


def test_errors_use_one_name_for_each_parameter():
    with pytest.raises(TypeError, match=r"its signature is split\(tensor, split_size_or_sections, dim=0\)"):
        fb.split(fb.ones(2), parts=1)
    assert list(inspect.signature(fb.max).parameters) == ["input", "dim", "keepdim", "out"]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x: fb.exp([1.0]), TypeError, r"not list; flambeau\.tensor\(\) converts it"),
        (lambda x: fb.exp(x.numpy()), TypeError, r"not numpy\.ndarray; flambeau\.from_numpy\(\)"),
        (lambda x: fb.ones(2, dtype="float32"), TypeError, r"not str; write flambeau\.float32"),
        (lambda x: fb.ones(2, dtype=np.float64), TypeError, r"not type; write flambeau\.float64"),
        (lambda x: fb.cat([x, 1]), TypeError, "tuple of Tensors, but its element 1 is int"),
        (lambda x: fb.ones((2, 2.5)), TypeError, "tuple of ints, but its element 1 is float"),
        (lambda x: bool(x), RuntimeError, r"\[2, 3\].*\.any\(\) or \.all\(\)"),
        (lambda x: x.item(), RuntimeError, r"6 elements.*\[2, 3\]"),
        (lambda x: -(x > 0), RuntimeError, "Negation.*bool.*`~`"),
        (lambda x: x @ fb.ones(3, 2, dtype=fb.float64), RuntimeError, r"float32 != float64; \.to\(dtype\)"),
        (lambda x: fb.one_hot(fb.tensor([3]), 2), RuntimeError, "Got 3 and num_classes=2"),
        (lambda x: fb._core.cross_entropy(x, fb.ones(2)), RuntimeError, r"float32.*\[2, 3\], got \[2\].*target\.long"),
    ],
)
def test_error_messages_say_how_to_fix_the_call(call, kind, message):
    with pytest.raises(kind, match=message):
        call(fb.ones(2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fb.sum(x, foo=1), r"sum\(\) got an unexpected keyword argument 'foo'.*keepdim"),
        (lambda x: fb.sum(), "missing.*input"),
        (lambda x: fb.sum(x, dim=0, input=x), "multiple values.*input"),
        (lambda x: fb.sum(x, 0, False, fb.float32), "positional"),
        (lambda x: fb.sum(x, "0"), "sum.*'dim'.*str"),
        (lambda x: fb.sum(x, 0, "no"), "'keepdim'.*bool.*str"),
        (lambda x: fb.sum(x, dtype="float32"), "'dtype'.*str"),
        (lambda x: fb.exp(1), "exp.*'input'.*int"),
        (lambda x: fb.exp(x, x), "exp"),
        (lambda x: fb.add(x), "missing.*other"),
        (lambda x: fb.add(x, "a"), "'other'.*str"),
        (lambda x: fb.add(x, [1, 2, 3]), "'other'.*list"),
        (lambda x: fb.exp(x, out=1), "'out'.*int"),
        (lambda x: fb.max(x, 0, out=x), "tuple of 2"),
        (lambda x: x + "a", "unsupported operand"),
        (lambda x: x @ 2, "unsupported operand"),
        (lambda x: fb.conv2d(x, x, stride="a"), "'stride'.*str"),
        (lambda x: fb.sum(x, **{"\ud800": 1}), r"unexpected keyword argument .\ud800"),
        (lambda x: fb.gelu(x, "\ud800"), None),
    ],
)
def test_invalid_calls_raise_with_a_clear_message(call, message):
    with pytest.raises((TypeError, UnicodeEncodeError), match=message):
        call(fb.ones(2, 3))


class Emptying:
    """Object that empties a list when it is converted to a number."""

    def __init__(self, victim):
        self.victim = victim

    def __index__(self):
        self.victim.clear()
        return 1

    def __float__(self):
        return float(self.__index__())


@pytest.mark.parametrize(
    "call",
    [
        lambda x, values: fb.histogram(x, 2, range=values),
        lambda x, values: fb.histogramdd(x, values),
        lambda x, values: _core._adaptive_avg_pool2d(x.reshape(1, 2, 3), values),
        lambda x, values: fb.tensordot(x, x, [values, [0, 1]]),
    ],
)
def test_operators_handle_lists_that_change_while_they_are_read(call):
    values = []
    values += [Emptying(values), Emptying(values)]
    with contextlib.suppress(RuntimeError, ValueError, IndexError):
        call(fb.ones(2, 3), values)
    assert values == []


def test_a_number_whose_conversion_to_complex_fails_raises_type_error():
    kind = type("complex_by_name", (), {"__complex__": lambda self: "1"})
    with pytest.raises(TypeError):
        fb.ones(2) * kind()


def test_operators_write_to_out():
    x = fb.tensor([[1.0, 5.0], [4.0, 2.0]])
    values, indices = fb.empty(0), fb.empty(0, dtype=fb.int64)
    pair = fb.max(x, 1, out=(values, indices))
    assert pair == (values, indices) or pair[0] is values
    assert values.tolist() == [5, 4] and indices.tolist() == [1, 0]
    with pytest.raises(RuntimeError, match=r"float32.*int64"):
        fb.exp(x, out=fb.empty(2, 2, dtype=fb.int64))
    with pytest.raises(RuntimeError, match=r"float32.*int64"):
        fb.logsumexp(x, 1, out=fb.empty(2, dtype=fb.int64))
    wide = fb.empty(2, 2, dtype=fb.float64)
    assert fb.exp(x, out=wide).dtype is fb.float64


def test_failed_calls_change_nothing():
    x = fb.ones(2)
    version = x._version
    for call in (
        lambda: x.add_(fb.ones(3)),
        lambda: x.add_(fb.ones(2, 2)),
        lambda: x.copy_(fb.ones(3)),
        lambda: x.fill_("a"),
        lambda: x.clamp_(),
        lambda: fb.add(fb.ones(2), fb.ones(3), out=x),
        lambda: x.masked_fill_(fb.ones(2), 1),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            call()
    assert x.tolist() == [1, 1] and x.shape == (2,) and x._version == version
    with pytest.raises(RuntimeError, match=r"\[2\].*\[2, 2\]"):
        x.add_(fb.ones(2, 2))
    with pytest.raises(RuntimeError, match=r"\(2\).*\(3\).*\[2\] and \[3\]"):
        x.add_(fb.ones(3))
    with pytest.raises(RuntimeError, match="ZeroDivision"):
        fb.tensor([1]) // 0
    with pytest.raises(RuntimeError, match="ZeroDivision"):
        fb.tensor([1]) % fb.tensor([0])
    for difference in (
        lambda: fb.tensor([True]) - fb.tensor([True]),
        lambda: 1 - fb.tensor([True]),
        lambda: x - fb.tensor([True, False]),
    ):
        with pytest.raises(RuntimeError, match="bool"):
            difference()


def test_errors_name_the_missing_package():
    code = """
import importlib, sys
import flambeau as fb
sys.meta_path.insert(0, sys.meta_path[-1])  # the finder that reports missing packages
uses = {
    "flambeau-nn": [lambda: fb.nn, lambda: importlib.import_module("flambeau.nn.modules")],
    "flambeau-distributions": [lambda: fb.distributions],
    "flambeau-data": [lambda: fb.utils.data, lambda: importlib.import_module("flambeau.utils.data")],
    "flambeau-autograd": [
        lambda: fb.zeros(2, requires_grad=True), lambda: fb.zeros(2).requires_grad_(), lambda: fb.zeros(2).backward(),
        lambda: fb.cuda.make_graphed_callables(len, ()), lambda: fb.vmap
    ],
}
for distribution, use in [(name, use) for name, each in uses.items() for use in each]:
    try:
        use()
    except ImportError as error:
        assert distribution in str(error), error
    else:
        raise AssertionError(distribution)
try:
    fb.nothing
except AttributeError as error:
    assert "nothing" in str(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_devices_have_a_type_and_an_index():
    cpu = fb.device("cpu")
    assert (cpu.type, cpu.index, str(cpu), repr(cpu)) == ("cpu", None, "cpu", "device(type='cpu')")
    assert cpu == fb.device(cpu) and cpu != fb.device("cuda", 1) and hash(cpu) == hash(fb.zeros(1).device)
    assert str(fb.device("cuda:1")) == "cuda:1"
    assert fb.device(device="cuda:1") == fb.device(device=fb.device("cuda:1")) == fb.device(type="cuda", index=1)
    with pytest.raises(TypeError, match="device"):
        fb.device(device="cuda", index=1)
    for wrong in ("gpu", "cuda:", "cuda:x", "cuda:-1"):
        with pytest.raises(RuntimeError, match=wrong):
            fb.device(wrong)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("cuad", "did you mean 'cuda'"),
        ("cup:0", "did you mean 'cpu:0'"),
        ("gpu", "did you mean 'cuda'"),
        ("GPU:1", "did you mean 'cuda:1'"),
        ("nvidia", "did you mean 'cuda'"),
        ("CPU", "did you mean 'cpu'"),
        ("cuda0", "did you mean 'cuda:0'"),
        ("cuda:x", "a device's number follows the colon, as in 'cuda:0'"),
        ("float32", "for a dtype write flambeau.float32"),
        ("", "write 'cpu' or 'cuda:0'"),
    ],
)
def test_errors_for_unknown_devices_suggest_the_closest_match(given, hint):
    for use in (fb.device, fb.zeros(2).to, lambda device: fb.zeros(2, device=device)):
        with pytest.raises(RuntimeError, match=rf"[Dd]evice.* string.*{given}.*{hint}"):
            use(given)


@pytest.mark.parametrize("given", ["quantum", "a" * 100, "cuda:" + "1" * 100, "\u00e9", "0", "::::"])
def test_unknown_devices_have_no_suggestion(given):
    with pytest.raises(RuntimeError, match="device") as caught:
        fb.device(given)
    assert "did you mean" not in str(caught.value)


def test_tensors_with_gradients_are_collected_without_autograd():
    """Run in a separate process, because errors occur in the garbage collector."""
    program = """
import gc, sys, weakref
import flambeau as fb
t = fb.zeros(3)
t.grad = fb.ones(3)
t.itself = t
assert "flambeau.autograd" not in sys.modules
gc.collect()
gone = weakref.ref(t)
del t
gc.collect()
assert gone() is None
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_out_is_unchanged_after_an_error():
    values, indices = fb.zeros(3), fb.zeros(3)
    with pytest.raises(
        RuntimeError, match=r"Expected out tensor to have dtype int64 \(scalar type Long\), but got bool"
    ):
        fb.sort(fb.tensor([2.0, 1.0, 3.0]), out=(values, fb.zeros(3, dtype=fb.bool)))
    assert values.tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match=r"gather\(\): Expected out tensor to have dtype"):
        fb.gather(fb.ones(3), 0, fb.tensor([0, 1, 2]), out=indices.double())


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF file")
def test_static_thread_local_storage_is_small():
    """Test the size of static thread-local storage: glibc has about 1.6 kB for all libraries that load later."""
    (image,) = (pathlib.Path(_core.__file__).parent / "lib").glob("libflambeau.so*")
    data = image.read_bytes()
    assert data[:5] == b"\x7fELF\x02"
    table, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, table + i * size) for i in range(count)]
    thread_local = [segment[6] for segment in segments if segment[0] == 7]
    assert len(thread_local) == 1 and thread_local[0] <= 1152
