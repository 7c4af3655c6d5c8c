"""Classes that override torch functions, as in the notes on extending PyTorch.

One class does not derive from Tensor, two do, and one is a mode.
"""

import copy
import functools
import pickle

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, is_tensor_like, resolve_name

HANDLED = {}


def implements(function):
    def register(implementation):
        HANDLED[function] = functools.wraps(function)(implementation)
        return implementation

    return register


class ScalarTensor:
    """Multiple of the identity matrix, stored as two numbers."""

    def __init__(self, size, value):
        self.size, self.value = size, value

    def __repr__(self):
        return f"ScalarTensor(size={self.size}, value={self.value})"

    def tensor(self):
        return self.value * torch.eye(self.size)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func not in HANDLED or not all(issubclass(t, (torch.Tensor, ScalarTensor)) for t in types):
            return NotImplemented
        return HANDLED[func](*args, **(kwargs or {}))


def plain(value):
    return value.tensor() if isinstance(value, ScalarTensor) else value


@implements(torch.mean)
def mean(input):
    return float(input.value) / input.size


@implements(torch.add)
def add(input, other):
    if isinstance(input, ScalarTensor) and isinstance(other, ScalarTensor):
        return ScalarTensor(input.size, input.value + other.value)
    return torch.add(plain(input), plain(other))


@implements(torch.matmul)
def matmul(input, other):
    return input.value * other if isinstance(input, ScalarTensor) else input * other.value


@implements(torch.stack)
def stack(tensors, dim=0):
    return torch.stack([plain(tensor) for tensor in tensors], dim)


d = ScalarTensor(4, 2.0)
assert is_tensor_like(d) and not isinstance(d, torch.Tensor)
assert torch.mean(d) == 0.5
assert repr(torch.add(d, ScalarTensor(4, 3.0))) == "ScalarTensor(size=4, value=5.0)"
assert torch.equal(torch.add(d, torch.ones(4, 4)), torch.ones(4, 4) + 2 * torch.eye(4))
assert torch.equal(torch.matmul(d, torch.ones(4)), torch.full((4,), 2.0))
assert torch.stack([d, torch.zeros(4, 4)]).shape == (2, 4, 4)
try:
    torch.mul(d, 2)
except TypeError as error:
    print(error)
else:
    raise AssertionError("nothing answers for mul")


class Metered(torch.Tensor):
    """Tensor with a unit. A result has the unit if all operands with a unit agree."""

    @staticmethod
    def __new__(cls, data, unit):
        made = torch.as_tensor(data, dtype=torch.float32).as_subclass(cls)
        made.unit = unit
        return made

    def __repr__(self):
        with torch._C.DisableTorchFunctionSubclass():
            return f"{super().__repr__()} {self.unit}"

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        units = {a.unit for a in args if isinstance(a, cls) and hasattr(a, "unit")}
        result = super().__torch_function__(func, types, args, kwargs or {})
        if len(units) > 1:
            raise ValueError(f"{resolve_name(func)}: units {sorted(units)}")
        for part in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(part, cls) and units and not hasattr(part, "unit"):
                part.unit = next(iter(units))
        return result


lengths = Metered([1.0, 2.0, 3.0], "m")
assert (lengths + lengths).unit == (2 * lengths).unit == lengths[1:].unit == "m"
assert [row.unit for row in lengths] == ["m"] * 3 and all(isinstance(row, Metered) for row in lengths)
assert lengths.max(0).values.unit == "m" and lengths.sum().item() == 6.0
assert repr(lengths).endswith(" m")
try:
    lengths + Metered([1.0, 1.0, 1.0], "s")
except ValueError as error:
    assert "units ['m', 's']" in str(error)
else:
    raise AssertionError("metres and seconds were added")
assert pickle.loads(pickle.dumps(lengths)).unit == "m"


class Counted(torch.Tensor):
    calls = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        cls.calls.append(func.__name__)
        return result


x = torch.ones(2, 3).as_subclass(Counted)
y = nn.Linear(3, 1)(torch.relu(x))
assert type(y) is torch.Tensor and y.shape == (2, 1)
assert Counted.calls == ["relu"], Counted.calls  # whose result is a plain tensor


class Profile(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


with Profile() as profile:
    torch.ones(3).exp().sum()
assert profile.names == ["ones", "exp", "sum"], profile.names

# deepcopy() copies memory that several tensors share only once.
table = torch.zeros(2, 3)
rows = copy.deepcopy({"table": table, "first": table[0], "turned": table.T})
rows["table"][0, 1] = 7
assert rows["first"][1] == 7 and rows["turned"][1, 0] == 7 and table.sum() == 0
assert rows["turned"].stride() == table.T.stride()
print(d, lengths, profile.names)
