"""Parameters that are functions of other parameters.

Note [Parametrization]: a parametrized module gets a new class, derived from its previous class. In the new class, the
name of the parameter is a property. Reading the property computes the value, and assigning to the property calls
``right_inverse``. The trained parameter is ``module.parametrizations.<name>.original``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from flambeau import Tensor, no_grad

from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_SEQUENCE = "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...)."

_depth_of_cached = 0
_cache: dict[tuple[int, str], Tensor] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized value only once inside the ``with`` block.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> with parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _depth_of_cached
    _depth_of_cached += 1
    try:
        yield
    finally:
        _depth_of_cached -= 1
        if not _depth_of_cached:
            _cache.clear()


class ParametrizationList(ModuleList):
    """Parametrizations of one parameter, which are applied one after the other to the original tensor or tensors.

    Args:
        modules: the parametrizations.
        original: the parameter or buffer.
        unsafe: if True, do not check that the parametrization preserves shape and dtype.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> type(layer.parametrizations.weight).__name__, len(layer.parametrizations.weight)
    ('ParametrizationList', 1)
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        value = original
        with no_grad():
            for module in reversed(list(modules)):
                value = _inverse(module, value)
        self.is_tensor = isinstance(value, Tensor)
        if not isinstance(value, Tensor | Sequence):
            raise ValueError(f"{_SEQUENCE} Got {type(value).__name__}.")
        values = [value] if self.is_tensor else list(value)
        self.ntensors = len(values)
        before = original.detach()
        for index, each in enumerate(values):
            if not isinstance(each, Tensor):
                raise ValueError(f"{_SEQUENCE} Got element {index} of the sequence with type {type(each).__name__}.")
            self._store(self._name(index), each.detach(), original)
        if not unsafe:
            _check_unchanged(self(), before, "Registering a parametrization may not change")

    def _store(self, name: str, value: Tensor, original: Tensor) -> None:
        """Store ``value`` as a trained tensor.

        A single value is stored in the existing tensor, because an optimizer may refer to this tensor.
        """
        if not isinstance(original, Parameter):
            self.register_buffer(name, value)
        elif not self.is_tensor:
            self.register_parameter(name, Parameter(value, original.requires_grad))
        else:
            if original.dtype != value.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype: it was "
                    f"{original.dtype}, and became {value.dtype}"
                )
            original.data = value
            self.register_parameter(name, original)

    def _name(self, index: int) -> str:
        return "original" if self.is_tensor else f"original{index}"

    def originals(self) -> list[Tensor]:
        """Return the trained tensors."""
        return [getattr(self, self._name(index)) for index in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the trained tensors so that the parametrized value is ``value``.

        Raises: RuntimeError for a parametrization without ``right_inverse``; ValueError if ``right_inverse`` returns a
            wrong number of tensors.
        """
        with no_grad():
            inverted: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                inverted = module.right_inverse(inverted)
            values = [inverted] if isinstance(inverted, Tensor) else list(inverted)
            if len(values) != self.ntensors:
                raise ValueError(f"right_inverse must return {self.ntensors} tensors, got {len(values)}")
            for original, new in zip(self.originals(), values, strict=True):
                _check_unchanged(new, original, "right_inverse may not change")
                original.data = new.detach()

    def forward(self) -> Tensor:
        modules = iter(self)
        value = next(modules)(*self.originals())
        for module in modules:
            value = module(value)
        return value  # type: ignore[no-any-return]


def _inverse(module: Module, value: Any) -> Any:
    """Return ``module.right_inverse(value)``, or ``value`` if the method is missing or raises NotImplementedError."""
    if not hasattr(module, "right_inverse"):
        return value
    try:
        return module.right_inverse(value)
    except NotImplementedError:
        return value


def _check_unchanged(value: Tensor, original: Tensor, rule: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what in ("dtype", "shape"):
        before, after = getattr(original, what), getattr(value, what)
        if before != after:
            raise ValueError(f"{rule} the {what} of the tensor: it was {before}, and became {after}")


def _property(name: str) -> property:
    def read(self: Module) -> Tensor:
        if not _depth_of_cached:
            value: Tensor = _parametrizations_of(self)[name]()
            return value
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = _parametrizations_of(self)[name]()
        return _cache[key]

    def write(self: Module, value: Tensor) -> None:
        _parametrizations_of(self)[name].right_inverse(value)

    return property(read, write)


def _parametrized_class(module: Module) -> type[Module]:
    """Return a subclass for one module, to which properties are added that compute the parametrized tensors."""
    base = type(module)

    def forbid_pickling(self: Module) -> NoReturn:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(): save module.state_dict()"
        )

    def deepcopied(self: Module, memo: dict[int, Any]) -> Module:
        twin = self.__new__(type(self))
        memo[id(self)] = twin
        Module.__setstate__(twin, copy.deepcopy(vars(self), memo))
        twin.__class__ = type(f"Parametrized{base.__name__}", (base,), dict(vars(type(self))))
        return twin

    def assign(self: Module, name: str, value: Any) -> None:
        attribute = getattr(type(self), name, None)
        if isinstance(attribute, property):
            attribute.__set__(self, value)
        else:
            base.__setattr__(self, name, value)

    members = {"__getstate__": forbid_pickling, "__deepcopy__": deepcopied, "__setattr__": assign}
    return type(f"Parametrized{base.__name__}", (base,), members)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Replace ``module.<tensor_name>`` with the value of ``parametrization``, applied to a trained tensor.

    Args:
        module: the module, which is changed and returned.
        tensor_name: name of a parameter or buffer, which may be parametrized already.
        parametrization: a module that computes the value in ``forward``. To allow assignments, it must have the method
            ``right_inverse``.
        unsafe: if True, do not check that the parametrization preserves shape and dtype.
    Raises: ValueError for an unknown name, or a parametrization that changes shape or dtype.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _add(module, tensor_name, parametrization, unsafe)
        return module
    held = module._parameters.get(tensor_name)
    original = module._buffers.get(tensor_name) if held is None else held
    if original is None:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    parametrizations = ParametrizationList([parametrization], original, unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.__class__ = _parametrized_class(module)
        module.add_module("parametrizations", ModuleDict())
    _parametrizations_of(module)[tensor_name] = parametrizations
    setattr(type(module), tensor_name, _property(tensor_name))
    return module


def _add(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    """Add a parametrization to a tensor that is already parametrized, without changing the original tensors."""
    held = _parametrizations_of(module)[name]
    if not unsafe:
        value = getattr(module, name)
        result = parametrization(value)
        _check_unchanged(result, value, "Registering a parametrization may not change")
        _check_inverse(_inverse(parametrization, result), value, name)
    held.append(parametrization)
    held.unsafe |= unsafe


def _check_inverse(inverse: Any, value: Tensor, name: str) -> None:
    if not isinstance(inverse, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(inverse).__name__}")
    for what in ("dtype", "shape"):
        expected, actual = getattr(value, what), getattr(inverse, what)
        if expected != actual:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, "
                f"{expected}, unless `unsafe` is True; got {actual}"
            )


def _parametrizations_of(module: Module) -> ModuleDict:
    """Return the parametrizations of a module by parameter name."""
    held: ModuleDict = module.parametrizations  # type: ignore[attr-defined]
    return held


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Return True if a module has any parametrization or, if ``tensor_name`` is given, one for this tensor.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> parametrize.is_parametrized(layer), parametrize.is_parametrized(layer, "bias")
    (True, False)
    """
    held = vars(module).get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make ``module.<tensor_name>`` an ordinary parameter again.

    Its value is the current value or, with ``leave_parametrized=False``, the value of ``original``.
    Raises: ValueError if the tensor is not parametrized, or if ``leave_parametrized=False`` and there are several
    originals.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> layer = parametrize.remove_parametrizations(layer, "weight")
    >>> parametrize.is_parametrized(layer), fb.allclose(layer.weight @ layer.weight.T, fb.eye(3), atol=1e-5)
    (False, True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on '{tensor_name}'")
    held = _parametrizations_of(module)[tensor_name]
    original = held.originals()[0]
    if not leave_parametrized and not held.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach()
        if held.is_tensor:
            original.data = value
        else:
            kind = isinstance(original, Parameter)
            original = Parameter(value, original.requires_grad) if kind else value
    delattr(type(module), tensor_name)
    del _parametrizations_of(module)[tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    return module


def type_before_parametrizations(module: Module) -> type[Module]:
    """Return the class of a module without its parametrizations.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> parametrize.type_before_parametrizations(layer).__name__
    'Linear'
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Copy the parametrizations of ``from_module``, and the tensors that they train, to ``to_module``.

    >>> parametrize = nn.utils.parametrize
    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    >>> other = parametrize.transfer_parametrizations_and_params(layer, nn.Linear(3, 3))
    >>> fb.equal(other.weight, layer.weight)
    True
    """
    names = [tensor_name] if tensor_name is not None else list(getattr(from_module, "parametrizations", ()))
    for name in names:
        if not is_parametrized(from_module, name):
            raise ValueError(f"Module {from_module} does not have a parametrization on '{name}'")
        held = _parametrizations_of(from_module)[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in held:
            register_parametrization(to_module, name, copy.deepcopy(parametrization), unsafe=True)
        for copied, parametrization in zip(_parametrizations_of(to_module)[name], held, strict=True):
            copied.load_state_dict(parametrization.state_dict())  # registration may have changed the buffers
        for own, other in zip(_parametrizations_of(to_module)[name].originals(), held.originals(), strict=True):
            own.data = other.detach().clone()
    return to_module
