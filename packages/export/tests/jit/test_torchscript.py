"""TorchScript archives: `load` runs their code, and rejects code that TorchScript does not generate."""

import copy
import io
import pickle

import numpy as np
import pytest
from torchscript_files import Object, Parameter, Raw, Writer, script_file

import flambeau as fb
from flambeau.jit import load

WEIGHT, BIAS = np.arange(6, dtype="f4").reshape(2, 3) / 4, np.array([1, -2], "f4")

LINEAR = """\
class Linear(Module):
  __parameters__ = ["weight", "bias", ]
  __buffers__ = []
  weight : Tensor
  bias : Tensor
  training : bool
  _is_full_backward_hook : Optional[bool]
  in_features : Final[int] = 3
  def forward(self: __torch__.nn.Linear,
    input: Tensor) -> Tensor:
    weight = self.weight
    bias = self.bias
    return torch.linear(input, weight, bias)
"""
NET = """\
class Net(Module):
  __parameters__ = []
  __buffers__ = ["count", ]
  count : Tensor
  training : bool
  n : int
  __annotations__["0"] = __torch__.nn.Linear
  def forward(self: __torch__.Net,
    x: Tensor,
    scale: Optional[float]=None) -> Tensor:
    _0 = getattr(self, "0")
    y = (_0).forward(x, )
    if torch.__isnot__(scale, None):
      scale0 = unchecked_cast(float, scale)
      y0 = torch.mul(y, scale0)
    else:
      y0 = __torch__.shifted(y, CONSTANTS.c0, )
    return y0
  def bump(self: __torch__.Net,
    by: int=2) -> int:
    n = self.n
    self.n = torch.add(n, by)
    count = self.count
    self.count = torch.add_(count, by)
    return self.n
def shifted(x: Tensor,
    by: Tensor) -> Tensor:
  return torch.add(x, by, alpha=2)
"""


def net():
    layer = Object("__torch__.nn.Linear", weight=Parameter(WEIGHT), bias=Parameter(BIAS), training=True)
    data = Object("__torch__.Net", count=np.array([0], "i8"), training=True, n=5, **{"0": layer})
    sources = {"__torch__.py": NET, "__torch__/nn.py": LINEAR}
    return load(script_file(sources, data, (np.array([10], "f4"),)))


def run(body, *args, parameters="", annotations="", **options):
    """Load a module whose ``forward`` contains the statements in ``body``, and call it."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    fields = "".join(f"  {line}\n" for line in annotations.splitlines())
    forward = f"  def forward(self: __torch__.M{parameters and ', '}{parameters}) -> Any:\n{lines}"
    code = f"class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n{fields}{forward}"
    code += options.pop("more", "")
    state = options.pop("state", {})
    return load(script_file(code, Object("__torch__.M", training=False, **state), **options))(*args)


def test_torchscript_modules_run_their_code():
    x = np.ones((1, 3), "f4")
    expected = x @ WEIGHT.T + BIAS
    module = net()
    np.testing.assert_allclose(module(fb.from_numpy(x)).detach().numpy(), expected + 20, rtol=1e-6)
    np.testing.assert_allclose(module(fb.from_numpy(x), scale=0.5).detach().numpy(), expected / 2, rtol=1e-6)


def test_parameters_buffers_and_submodules_have_their_names():
    module = net()
    assert list(module.state_dict()) == ["count", "0.weight", "0.bias"]
    assert [name for name, _ in module.named_parameters()] == ["0.weight", "0.bias"]
    assert isinstance(module, fb.jit.ScriptModule) and isinstance(module, fb.jit.RecursiveScriptModule)
    assert module.original_name == "Net" and module.get_submodule("0").in_features == 3
    assert module.code.startswith("def forward(self: __torch__.Net,") and "CONSTANTS.c0" in module.code
    assert module.training and not module.eval().get_submodule("0").training
    assert module.to(fb.float64)(fb.ones(1, 3, dtype=fb.float64), 1.0).dtype is fb.float64


def test_methods_change_attributes_and_buffers():
    module = net()
    assert module.bump() == 7 and module.bump(3) == 10 and module.n == 10
    assert module.count.tolist() == [5] and module.state_dict()["count"].tolist() == [5]
    other = copy.deepcopy(module)
    assert other.bump(1) == 11 and module.n == 10


def test_a_parameter_that_is_also_in_a_list_is_loaded_once():
    weight = Raw(Writer().value(Parameter(np.ones(2, "f4"))) + b"q\x01")
    state = {"weight": weight, "all": Raw(b"](h\x01e")}
    code = "class M(Module):\n  __parameters__ = ['weight']\n  weight : Tensor\n  all : List[Tensor]\n"
    code += "  def forward(self: __torch__.M) -> Tensor:\n    return torch.sum((self.all)[0])\n"
    module = load(script_file(code, Object("__torch__.M", **state), files={"data/0": np.ones(2, "f4").tobytes()}))
    module().backward()
    assert module.weight.grad.tolist() == [1, 1]


def test_fork_runs_nested_functions():
    body = "def __forked_function():\n  return torch.add(x, 1)\nf = fork(__forked_function)\nreturn torch.wait(f)"
    assert run(body, fb.ones(1), parameters="x: Tensor").tolist() == [2]


def test_fork_and_wait_can_be_called_by_their_older_names():
    assert fb.jit._wait(fb.jit._fork(lambda x, y: x - y, 5, y=2)) == 3


def test_tracing_a_torchscript_module_makes_a_program_that_can_be_saved():
    module, file, x = net(), io.BytesIO(), fb.ones(2, 3)
    fb.jit.save(fb.jit.trace(module, x), file)
    file.seek(0)
    np.testing.assert_allclose(load(file)(x).detach().numpy(), x.numpy() @ WEIGHT.T + BIAS + 20, rtol=1e-6)


def test_gradients_reach_the_parameters_of_torchscript_modules():
    module = net()
    module(fb.ones(1, 3)).sum().backward()
    assert module.get_parameter("0.weight").grad.tolist() == [[1.0] * 3] * 2


def test_saving_a_loaded_torchscript_module_raises():
    with pytest.raises(NotImplementedError, match="keep that file, or trace the module"):
        fb.jit.save(net(), io.BytesIO())


def test_jit_load_accepts_map_location_and_extra_files():
    extra = {"note.txt": ""}
    data = Object("__torch__.M", training=False)
    code = "class M(Module):\n  training : bool\n  def forward(self: __torch__.M) -> Tensor:\n    return CONSTANTS.c0\n"
    file = script_file(code, data, (np.ones(2, "f4"),), files={"extra/note.txt": b"hello"})
    module = load(file, map_location="meta", _extra_files=extra)
    assert module().device.type == "meta" and extra == {"note.txt": b"hello"}


LOOP = """\
x0 = x
k = 0
_0 = True
while _0:
  x1 = torch.mul(x0, 2)
  k0 = torch.add(k, 1)
  _0, x0, k = torch.lt(k0, 3), x1, k0
for i in range(2):
  x0 = torch.add(x0, i)
return (x0, k)"""
CONTAINERS = """\
out = annotate(Dict[str, List[int]], {})
xs = annotate(List[int], sorted([]))
for i in range(4):
  _0 = torch.append(xs, torch.mul(i, i))
torch._set_item(out, "a", torch.slice(xs, 1))
k, v, = torch.items(out)[0]
_1 = torch.format("{}-{}", torch.upper(k), torch.len(v))
return (_1, out["a"], torch.percentFormat("%d|%s", (3, "b")), torch.__contains__(out, "b"), -inf)"""
TENSORS = """\
a, b, = torch.split(x, 1)
_0 = torch.to(torch.sum(torch.cat([a, b]), dtype=7), 4)
_1 = ops.prim.NumToTensor(torch.size(x, 0))
n = torch.add(torch.size(x), [1])
_2 = torch.arange(0, annotate(number, _1), dtype=6, layout=None, device=torch.device("cpu"), pin_memory=False)
return (_0, n, torch.eq(ops.prim.dtype(x), 6), _2, torch.select(torch.slice(x, 0, 0, 9223372036854775807), 1, 0))"""


def test_torchscript_supports_control_flow_containers_and_conversions():
    x, k = run(LOOP, fb.tensor([1.0]), parameters="x: Tensor")
    assert x.tolist() == [9.0] and k == 3
    assert run(CONTAINERS) == ("A-3", [1, 4, 9], "3|b", False, -np.inf)
    total, sizes, is_float, counted, column = run(TENSORS, fb.ones(2, 1), parameters="x: Tensor")
    assert (total.item(), total.dtype) == (2, fb.int64) and sizes == [2, 1, 1] and is_float
    assert counted.tolist() == [0.0, 1.0] and column.tolist() == [1.0, 1.0]


CLASSES = """\
class Pair(NamedTuple):
  a : Tensor
  n : int
class Colour(Enum):
  RED = 1
  BLUE = 2
class Sum:
  n : int
  def __init__(self: __torch__.Sum,
    n: int) -> NoneType:
    self.n = n
    return None
  def push(self: __torch__.Sum,
    k: int) -> int:
    n = self.n
    self.n = torch.add(n, k)
    return self.n
"""
USE = """\
s = __torch__.Sum.__new__(__torch__.Sum)
_0 = (s).__init__(4, )
_1 = (s).push(3, )
colour = self.colour
f = __torch__.Sum.__new__(__torch__.Sum)
if torch.eq(colour, __torch__.Colour.BLUE):
  _2 = __torch__.Pair(x, (colour).value)
else:
  _2 = __torch__.Pair(x, _1)
return (_2, (s).n, (_2).n, isinstance(s, __torch__.Sum), isinstance(x, int))"""


def test_torchscript_supports_classes_enumerations_and_named_tuples():
    state = {"colour": Raw(b"c__torch__\nColour\nK\x02R")}
    pair, total, n, is_sum, is_int = run(
        USE, fb.ones(1), parameters="x: Tensor", annotations="colour : __torch__.Colour", more=CLASSES, state=state
    )
    assert type(pair).__name__ == "Pair" and pair.a.tolist() == [1.0] and (pair.n, n) == (2, 2)
    assert total == 7 and is_sum and not is_int


GRAD_MODE = """\
class no_grad:
  prev : bool
  def __enter__(self: __torch__.no_grad) -> NoneType:
    self.prev = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    return None
  def __exit__(self: __torch__.no_grad,
    kind: Any,
    value: Any,
    traceback: Any) -> NoneType:
    torch.set_grad_enabled(self.prev)
    return None
"""


def test_torchscript_supports_no_grad_blocks():
    body = "_0 = __torch__.no_grad.__new__(__torch__.no_grad)\nwith _0:\n  y = torch.mul(x, 2)\n"
    body += "return (y, torch.mul(x, 2))"
    without, with_gradient = run(body, fb.ones(1, requires_grad=True), parameters="x: Tensor", more=GRAD_MODE)
    assert not without.requires_grad and with_gradient.requires_grad and fb.is_grad_enabled()


def test_exceptions_raised_by_torchscript_code_propagate():
    body = 'ops.prim.RaiseException(torch.format("k is {}", k), "builtins.ValueError")\nreturn k'
    with pytest.raises(ValueError, match="k is 3"):
        run(body, 3, parameters="k: int")
    with pytest.raises(RuntimeError, match="AssertionError"):
        run('ops.prim.RaiseException("AssertionError: ")\nreturn 1')


@pytest.mark.parametrize(("version", "expected"), [("3", [2]), ("4", [2.5])])
def test_integer_division_follows_the_version_of_the_file(version, expected):
    result = run("return torch.div(x, 2)", fb.tensor([5]), parameters="x: Tensor", version=version)
    assert result.tolist() == expected


def test_an_unknown_operator_raises_when_it_is_called():
    body = "if x:\n  _0 = torch.frobnicate(1)\nelse:\n  _0 = 2\nreturn _0"
    assert run(body, False, parameters="x: bool") == 2
    with pytest.raises(NotImplementedError, match="no operator 'aten::frobnicate'"):
        run(body, True, parameters="x: bool")
    with pytest.raises(NotImplementedError, match="no operator 'torchvision::nms'"):
        run("return ops.torchvision.nms(1)")


# Attacks in the code and in the pickles

ATTACKS = {
    "import": "import os",
    "import from": "from os import system\nreturn 1",
    "unknown name": "return open",
    "call of a builtin": "return eval('1')",
    "dunder import": "return __import__('os')",
    "comprehension": "return [i for i in range(3)]",
    "lambda": "f = lambda: 1\nreturn 1",
    "global": "global x\nreturn 1",
    "deletion": "del x",
    "unpacked arguments": "return torch.add(*[1, 2])",
    "unpacked keywords": "return torch.add(1, **{'a': 1})",
    "f-string": "return f'{x}'",
    "walrus": "return (y := 1)",
    "dunder variable": "__builtins__ = 1\nreturn 1",
    "dunder keyword": "return torch.add(1, __class__=2)",
    "dunder attribute": "return (x).__class__",
    "dunder by getattr": "return getattr(x, '__class__')",
    "dunder target": "x.__class__ = 1\nreturn 1",
    "yield": "yield 1",
    "bytes": "return b'1'",
    "nested dunder": "def __getattr__():\n  return 1\nreturn 1",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_that_torchscript_never_generates_is_rejected_before_it_runs(attack):
    with pytest.raises(RuntimeError, match="which TorchScript does not generate"):
        run(ATTACKS[attack], fb.ones(1), parameters="x: Tensor")


ESCAPES = {
    "attribute of a tensor": ("return (x).grad_fn", "reads the attribute 'grad_fn' of a value of type 'Tensor'"),
    "method of a tensor": ("return (x).numpy()", "calls the method 'numpy' of a value of type 'Tensor'"),
    "method of the module": ("return (self).register_forward_hook(x)", "has no method 'register_forward_hook'"),
    "attribute of the module": ("return self.forward", "reads the attribute 'forward'"),
    "undeclared attribute": ("self.forward = x\nreturn 1", "sets the attribute 'forward'"),
    "tensor as context manager": (
        "with x as y:\n  pass\nreturn 1",
        "calls the method '__enter__' of a value of type 'Tensor'",
    ),
    "call of a value": ("return x(1, )", "calls a value of type 'Tensor'"),
    "method of a string": ("return torch.format_map('{a.__class__}', {'a': 1})", "no operator 'aten::format_map'"),
    "field of a format string": ("return torch.format('{0.__class__}', x)", None),
    "private operator": ("return torch.__class__(x)", "no operator 'aten::__class__'"),
    "function of the library": ("return torch.save(x, 'f')", "no operator 'aten::save'"),
    "append to a tensor": ("return torch.append(x, 1)", "calls the method 'append' of a value of type 'Tensor'"),
    "undefined function": ("return __torch__.os.system('true')", "uses '__torch__.os.system'"),
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_torchscript_code_cannot_access_python_objects(escape):
    body, message = ESCAPES[escape]
    if message is None:
        assert run(body, fb.ones(1), parameters="x: Tensor") == "{0.__class__}"
        return
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        run(body, fb.ones(1), parameters="x: Tensor")


PICKLES = {
    "a function": (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", pickle.UnpicklingError, "os.system"),
    "an operator": (b"\x80\x02ctorch\nsave\n)R.", pickle.UnpicklingError, "torch.save"),
    "an unknown class": (b"\x80\x02c__torch__\nOther\n)\x81.", pickle.UnpicklingError, "not a class in its code"),
    "a function of the code": (b"\x80\x02c__torch__\nf\n)R.", pickle.UnpicklingError, "not a class in its code"),
    "no module": (b"\x80\x02N.", RuntimeError, "holds NoneType, not a module"),
    "truncated pickle": (b"\x80\x02c__torch__\nM\n)\x81", RuntimeError, "damaged"),
    "hooks": (b"\x80\x02c__torch__\nM\n)\x81}X\x0e\x00\x00\x00_forward_hooks]sb.", RuntimeError, "'_forward_hooks'"),
    "a torchbind class": (b"\x80\x02c__torch__.torch.classes.q\nP\n)\x81.", NotImplementedError, "torch.classes.q.P"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_torchscript_pickles_create_only_plain_values(name):
    data, kind, message = PICKLES[name]
    with pytest.raises(kind, match=message):
        load(script_file("class M(Module):\n  training : bool\ndef f() -> int:\n  return 1\n", data))


def test_damaged_torchscript_archives_are_rejected():
    code = "class M(Module):\n  x : Tensor\n  training : bool\n"
    data = Object("__torch__.M", x=np.ones(100, "f4"), training=False)
    whole = script_file(code, data).getvalue()
    for count in (4, 100, len(whole) // 2, len(whole) - 10):
        with pytest.raises(RuntimeError, match="truncated or damaged"):
            load(io.BytesIO(whole[:count]))
    with pytest.raises(RuntimeError, match="no entry 'data/0'"):
        load(script_file(code, data, files={"data/0": None}))
    with pytest.raises(RuntimeError, match="its storage should have 400"):
        load(script_file(code, data, files={"data/0": b"1234"}))
    with pytest.raises(RuntimeError, match=r"has no file 'constants\.pkl'"):
        load(script_file(code, data, files={"constants.pkl": None}))
    with pytest.raises(RuntimeError, match=r"'code/__torch__\.py' cannot be parsed"):
        load(script_file("class M(Module:\n", data))
    with pytest.raises(RuntimeError, match="is not text"):
        load(script_file(code, data, files={"code/__torch__/a.py": b"\xff"}))
    with pytest.raises(RuntimeError, match="does not hold a number"):
        load(script_file(code, data, version="x"))


def test_load_of_a_torchscript_file_suggests_jit_load():
    data = Object("__torch__.M", training=False)
    code = "class M(Module):\n  training : bool\n  def forward(self: __torch__.M) -> int:\n    return 3\n"
    with pytest.raises(RuntimeError, match="Cannot use ``weights_only=True`` with TorchScript archives"):
        fb.load(script_file(code, data))
    with pytest.warns(UserWarning, match="looks like a TorchScript archive"):
        assert fb.load(script_file(code, data), weights_only=False)() == 3
