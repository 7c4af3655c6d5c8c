"""The tree of modules: registration of parameters, buffers and submodules, and iteration over them."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flambeau import Tensor
from flambeau._suggestions import nearest

from ..parameter import Buffer, Parameter
from ._foreign_state import is_foreign, translated
from ._inputs import call_hint
from ._registry import Registry

if TYPE_CHECKING:
    from .module import Module

INIT_FORGOTTEN = """\
cannot assign {kind} before Module.__init__() call: {name}.__init__() did not call it, and it creates the registries \
of parameters, buffers and submodules.

    class {name}(nn.Module):
        def __init__(self):
            super().__init__()        # this line, before any layer or parameter is assigned
            self.layer = nn.Linear(2, 3)"""


class _InitRequired:
    """Descriptor that raises an error if a registry is read before ``Module.__init__`` has created it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        raise AttributeError(INIT_FORGOTTEN.format(name=owner.__name__, kind=self.kind))


# Called as hook(module, name, value) at each registration; a returned value replaces the registered one.
REGISTRATION_HOOKS: dict[str, OrderedDict[int, Callable[..., Any]]] = {
    kind: OrderedDict() for kind in ("_parameters", "_buffers", "_modules")
}


# For error messages: what each registry contains, and the name of the class.
_KINDS = {
    "_parameters": ("parameter", "Parameter"),
    "_modules": ("child module", "Module"),
    "_buffers": ("buffer", "Tensor"),
}


def _is_attribute_of(cls: type, name: str) -> bool:
    """Return True if the class or a base defines the attribute. Attributes of the metaclass do not count."""
    return any(name in vars(base) for base in cls.__mro__)


class Tree:
    """The part of `Module` that registers and finds parameters, buffers and submodules: see Note [Registries]."""

    _parameters: dict[str, Parameter | None] = _InitRequired("parameters")  # type: ignore[assignment]
    _buffers: dict[str, Tensor | None] = _InitRequired("buffers")  # type: ignore[assignment]
    _modules: dict[str, Any] = _InitRequired("module")  # type: ignore[assignment]
    _non_persistent_buffers_set: set[str] = _InitRequired("buffers")  # type: ignore[assignment]

    _reads_through: bool = False  # see Note [Reading through]
    call_super_init: bool = False  # if True, __init__ calls super().__init__(), for multiple inheritance

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            self._reject_arguments(args, kwargs)
        attributes, owner = vars(self), weakref.ref(self)
        for name in ("_parameters", "_buffers", "_modules"):
            if former := attributes.get(name):  # multiple inheritance can call __init__ twice
                former.clear()
            attributes[name] = registry = Registry()
            registry._owner = owner
        attributes["_non_persistent_buffers_set"] = set()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _reject_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NoReturn:
        problem = f"takes 1 positional argument but {1 + len(args)} were given"
        if kwargs:
            problem = f"got an unexpected keyword argument {next(iter(kwargs))!r}"
        hint = call_hint(self) if any(isinstance(value, Tensor) for value in args) else ""
        raise TypeError(f"{type(self).__name__}.__init__() {problem}{hint}")

    # Registration

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and isinstance(value, Parameter):
            if type(self).register_parameter is _REGISTER_PARAMETER:
                self._enter("_parameters", name, value)
            else:
                self._register_by_override(name, value)
        elif isinstance(value, Tree):
            self._require_absent(name, value, "_parameters")
            self._enter("_modules", name, value)
        elif isinstance(value, Buffer):
            self._require_absent(name, value, "_parameters", "_modules")
            self._enter("_buffers", name, value)
            self._set_persistence(name, value.persistent)
        else:
            self._set_plain(name, value)

    def _register_by_override(self, name: str, value: Parameter) -> None:
        """Register a parameter with `register_parameter`, which a subclass or an assignment has overridden."""
        if name not in self._parameters and name in vars(self):
            self.__delattr__(name)
        self.register_parameter(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        registries = vars(self)
        for registry in _KINDS:
            if name in registries.get(registry, ()):
                if value is not None and not (registry == "_buffers" and isinstance(value, Tensor)):
                    self._require_absent(name, value, registry)
                dict.__setitem__(registries[registry], name, value)
                if self._reads_through:
                    return
        if name in REGISTRATION_HOOKS:
            self._replace_registry(name, value)
            return
        object.__setattr__(self, name, value)
        if name == "__class__":
            self._move_entries()

    def _require_absent(self, name: str, value: Any, *registries: str) -> None:
        """Raise TypeError if one of the registries contains the name, because ``value`` cannot be registered there."""
        for registry in registries:
            if name in vars(self).get(registry, ()):
                kind, expected = _KINDS[registry]
                raise TypeError(
                    f"cannot assign {type(value).__name__!r} object as {kind} {name!r} of {type(self).__name__} "
                    f"({expected} or None expected); to keep another value there, `del` the attribute first"
                )

    def _move_entries(self) -> None:
        """Add or remove the attributes of the registered values, after an assignment to ``__class__``.

        A class that reads through its registries has no such attributes: see Note [Reading through].
        """
        attributes = vars(self)
        for registry in self._registries():
            for name, value in registry.items():
                attributes.pop(name, None)
                if not self._reads_through:
                    attributes[name] = value

    def _replace_registry(self, kind: str, entries: Mapping[str, Any]) -> None:
        """Replace the entries of a registry, and update the attributes."""
        attributes = vars(self)
        for name in attributes.get(kind, ()):
            attributes.pop(name, None)
        attributes[kind] = registry = Registry.of(self, {})
        registry.update(entries)

    def _enter(self, kind: str, name: str, value: Any) -> None:
        """Store ``value`` in the registry ``kind`` and the attribute, and remove ``name`` from the other registries."""
        for hook in tuple(REGISTRATION_HOOKS[kind].values()):
            replaced = hook(self, name, value)
            value = value if replaced is None else replaced
        registry: dict[str, Any] = getattr(self, kind)
        attributes = vars(self)
        if name not in registry:
            if kind != "_modules":  # a module may have the name of a class attribute, which hides the module
                self._check_name(name, type(value).__name__, replaces=attributes)
            for other in (self._parameters, self._buffers, self._modules):
                dict.pop(other, name, None)
            self._non_persistent_buffers_set.discard(name)
        dict.__setitem__(registry, name, value)  # the attribute is set below
        if self._reads_through or (hasattr(type(self), name) and _is_attribute_of(type(self), name)):
            attributes.pop(name, None)
        else:
            attributes[name] = value

    def _check_name(self, name: str, kind: str, replaces: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in replaces and self._has_attribute(name):
            raise KeyError(f"attribute {name!r} already exists")

    def _has_attribute(self, name: str) -> bool:
        """Return hasattr(self, name) without a call of __getattr__, which may read a module that is not registered."""
        if not hasattr(type(self), "__getattr__"):
            return hasattr(self, name)
        try:
            object.__getattribute__(self, name)
        except AttributeError:  # a property that has no value yet also raises it
            return False
        return True

    def __delattr__(self, name: str) -> None:
        if not self._reads_through or not any(name in registry for registry in self._registries()):
            object.__delattr__(self, name)
        for registry in ("_parameters", "_buffers", "_modules"):
            dict.pop(vars(self).get(registry, {}), name, None)
        vars(self).get("_non_persistent_buffers_set", set()).discard(name)

    def _registries(self) -> tuple[dict[str, Any], ...]:
        return self._parameters, self._buffers, self._modules

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter. None marks a parameter that the module does not have (as with ``bias=False``).

        Raises: KeyError if the name exists, is empty or contains a dot; TypeError if ``param`` is not a Parameter;
        ValueError if ``param`` is the result of a computation.
        """
        self._check_name(name, "parameter", replaces=self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign {type(param).__name__!r} object to parameter {name!r} (nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a non-leaf Tensor to parameter {name!r}. Model parameters must be created explicitly. "
                f"To express {name!r} as a function of another Tensor, compute the value in forward()."
            )
        self._enter("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state without being trained, such as a running mean.

        Args:
            name: the name of the attribute.
            tensor: the buffer. None reserves the name without an entry in ``state_dict()``.
            persistent: if False, ``state_dict()`` does not contain the buffer.
        Raises: KeyError if the name exists, is empty or contains a dot; TypeError if ``tensor`` is not a Tensor.
        """
        self._check_name(name, "buffer", replaces=self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign {type(tensor).__name__!r} object to buffer {name!r} (Tensor or None required)"
            )
        self._enter("_buffers", name, tensor)
        self._set_persistence(name, persistent)

    def _set_persistence(self, name: str, persistent: bool) -> None:
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a child module with the given name. The method is the same as ``add_module``."""
        given: Any = module
        if given is not None and not isinstance(given, Tree):
            from ._hints import not_a_module

            raise TypeError(not_a_module(given))
        self._check_name(name, "module", replaces=self._modules)
        self._enter("_modules", name, module)

    add_module = register_module

    def __getstate__(self) -> dict[str, Any]:
        # A shallow copy must not share its registries with the original: see Note [Registries]. The copy must also not
        # have a compiled forward, which would call the original.
        return {
            name: value.copy() if name in _REGISTRY_NAMES else value
            for name, value in vars(self).items()
            if not getattr(value, "bound_to_original", False) or name != "forward"
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(translated(self, state) if is_foreign(state) else state)
        for name in REGISTRATION_HOOKS.keys() & vars(self).keys():
            object.__setattr__(self, name, Registry.of(self, vars(self)[name]))

    # Walking

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module and all submodules with their paths, each module once. All paths begin with ``prefix``.

        >>> [path for path, _ in nn.Sequential(nn.Linear(1, 1), nn.ReLU()).named_modules()]
        ['', '0', '1']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, cast("Module", self)
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all submodules at any depth, each module once."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the names and values of the direct submodules, each module once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the direct submodules, each module once."""
        return (module for _, module in self.named_children())

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """Yield the path and value of each member that ``get_members_fn`` returns for a module, without None."""
        seen: set[int] = set()
        this = cast("Module", self)
        deep = recurse and this._modules
        modules = self.named_modules(None, prefix, remove_duplicate) if deep else ((prefix, this),)
        for path, module in modules:
            for name, member in get_members_fn(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{path}.{name}" if path else name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters of this module and, with ``recurse``, of its submodules, with their paths.

        With ``remove_duplicate``, a parameter that has several paths is yielded once.
        """
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield each parameter once, in the order of registration, for example for an optimizer."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the buffers with their paths. With ``remove_duplicate``, each buffer is yielded once."""
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield each buffer once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # Finding by path

    def get_submodule(self, target: str) -> Module:
        """Return the module at a dotted path such as ``"encoder.2.fc1"``; this module for the empty path.

        Raises: AttributeError that names the first component of the path that does not exist or is not a module.
        """
        module = cast("Module", self)
        for name in target.split(".") if target else ():
            child = getattr(module, name, None)  # a property can also return a module
            if not isinstance(child, Tree):
                module._raise_missing(name, module._modules, "an nn.Module")
            module = cast("Module", child)
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replace the module at a dotted path. Unless ``strict``, a module that does not exist is added.

        Raises: ValueError if the path is empty or ``module`` is not a module; AttributeError that names the first
        component of the path that does not exist or is not a module.

        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
        >>> model.set_submodule("1.0", nn.Tanh())
        >>> model[1]
        Sequential(
          (0): Tanh()
        )
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Tree):
            raise ValueError(f'"module" is not an nn.Module, found {type(module)}')
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if (strict or hasattr(parent, name)) and not isinstance(getattr(parent, name, None), Tree):
            parent._raise_missing(name, parent._modules, "an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted path. Raises: AttributeError if there is no parameter at this path."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        parameter = getattr(module, name, None)
        if not isinstance(parameter, Parameter):
            module._raise_missing(name, module._parameters, "an nn.Parameter")
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at a dotted path, or None for a buffer that is None.

        Raises: AttributeError if there is no buffer at this path.
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module._buffers:
            module._raise_missing(name, module._buffers, "a buffer")
        return module._buffers[name]  # type: ignore[return-value]

    def _raise_missing(self, name: str, registry: Mapping[str, Any], kind: str) -> NoReturn:
        if hasattr(self, name):
            raise AttributeError(f"`{name}` is not {kind}")
        match = nearest(name, [key for key, value in registry.items() if value is not None])
        suggestion = f"; did you mean `{match}`?" if match else ""
        raise AttributeError(f"{type(self).__name__} has no attribute `{name}`{suggestion}")


_REGISTER_PARAMETER = Tree.register_parameter
_REGISTRY_NAMES = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"})
