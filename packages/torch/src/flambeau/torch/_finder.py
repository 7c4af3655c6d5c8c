"""Import hook with which ``import torch`` and ``import torchvision`` import flambeau's modules."""

import contextlib
import functools
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import flambeau
from flambeau import _distributions
from flambeau.random import use_pytorch_streams
from flambeau.torch import _absent, _former_methods, _helpers, _interface, _missing, _optree, _renaming
from flambeau.torch._module_names import (
    ROOTS,
    WALKED,
    is_moved,
    is_only_moved,
    is_second_name,
    moved_below,
    native_name,
)
from flambeau.torch.version import __version__

_VERSIONS = {"torch": __version__, "torchvision": f"0.28.0+flambeau{flambeau.__version__}"}

# Folder with packages `torch` and `torchvision` that install the hook. Processes of multiprocessing inherit sys.path,
# but not the hook.
PATH = str(Path(__file__).parent / "_path")

_ANY_DISTRIBUTION = metadata.DistributionFinder.Context()

# Modules that now resolve missing names as PyTorch's modules do, and the __getattr__ that they had before.
_original_getattr: dict[ModuleType, Callable[[str], Any] | None] = {}


def _exists(name: str) -> bool:
    """Return True if flambeau has a module for PyTorch's module ``name``."""
    try:
        return importlib.util.find_spec(native_name(name)) is not None
    except ModuleNotFoundError:  # the parent does not exist or is not a package
        return False


def _attribute(module: ModuleType, path: str, getattribute: Callable[[str], Any] | None, name: str) -> Any:
    """Look up a name that is not in ``vars(module)``.

    Args:
        path: name of the module in PyTorch.
        getattribute: the original ``__getattr__`` of the module, or None.
    """
    if name.startswith("__") and not _interface.has_module(f"{path}.{name}"):  # __config__ and __future__ are modules
        raise AttributeError(f"module {path!r} has no attribute {name!r}", name=name)
    if getattribute is not None and not is_moved(f"{path}.{name}"):
        try:
            value = getattribute(name)
        except AttributeError:
            pass
        else:
            _install_getattr_below(value, f"{path}.{name}")
            _renaming.rename(value, path, name)
            return value
    with contextlib.suppress(AttributeError):
        return _helpers.find(path, name)
    is_hidden = f"{path}.{name}" in _absent.HIDDEN_FROM_HASATTR
    if _exists(f"{path}.{name}") or (_interface.has_module(f"{path}.{name}") and not is_hidden):
        return importlib.import_module(f"{path}.{name}")
    if name == "torch":  # in PyTorch, modules have a global ``torch``, which programs use
        return importlib.import_module("torch")
    if name in _interface.names_of(path):
        private = name.startswith("_") and not isinstance(module, _absent.AbsentModule)
        if not (private or is_hidden) or _missing.is_from_import():
            return _find_in_other_module(path, name)
    if name.startswith("_") and _missing.is_from_import() and (home := _interface.submodule_with(path, name)):
        return _private_attribute(home, name)
    above = path.rpartition(".")[0]
    if isinstance(module, _absent.AbsentModule) and "." in above and name in _interface.names_of(above):
        return getattr(importlib.import_module(above), name)
    raise _missing.attribute_error(module, path, name)


def _own_attribute(module: ModuleType, name: str) -> Any:
    """Return an attribute of a module of flambeau. Raises AttributeError if it does not exist."""
    if name in vars(module):
        return vars(module)[name]
    getattribute = _original_getattr[module] if module in _original_getattr else vars(module).get("__getattr__")
    if getattribute is None:
        raise AttributeError(name)
    return getattribute(name)


def _private_attribute(path: str, name: str) -> Any:
    """Return a private name of the module ``path``, or a stand-in if flambeau does not have it."""
    if _exists(path):
        with contextlib.suppress(AttributeError):
            return _own_attribute(importlib.import_module(path), name)
    return _find_in_other_module(path, name)


def _find_in_other_module(path: str, name: str) -> Any:
    """Return the object for ``name`` from another module of flambeau, or a stand-in if no module has it."""
    above = path.rpartition(".")[0]  # the parent package may have the names of a file of PyTorch
    known = _interface.names_of(above).get(name)
    is_same = known is None or known.home == path  # False for another function of the same name
    packages = (above,) if above and is_same else ()
    for other in (*_interface.other_modules(path, name), *packages):
        if _exists(other) and not is_moved(f"{other}.{name}"):
            with contextlib.suppress(AttributeError):
                return _own_attribute(importlib.import_module(other), name)
    return _absent.stand_in(f"{path}.{name}", _interface.names_of(path)[name])


def _install_getattr(module: ModuleType, path: str) -> None:
    """Make a module and its submodules resolve missing names as PyTorch's module ``path`` does."""
    if module in _original_getattr:
        return
    getattribute = _original_getattr[module] = vars(module).get("__getattr__")
    sys.modules.setdefault(path, module)
    _renaming.rename_module(module, path)
    # Python calls a module's __getattr__ only for missing names, so existing names have no overhead.
    vars(module)["__getattr__"] = functools.partial(_attribute, module, path, getattribute)
    if path in WALKED:
        for name in module.__all__:
            getattr(module, name)
    for name, value in list(vars(module).items()):
        if not name.startswith("_"):
            _install_getattr_below(value, f"{path}.{name}")
    _keep_functions(module, path)


def _install_getattr_below(value: Any, path: str) -> None:
    if not isinstance(value, ModuleType) or value.__name__ != native_name(path) or value in _original_getattr:
        return
    if not is_only_moved(path):  # other modules are handled when they are imported by their PyTorch names
        _install_getattr(value, path)


def _facade(name: str, version: str) -> ModuleType:
    """Create the module ``torch`` or ``torchvision`` with the names of flambeau's package and its own ``version``."""
    package = importlib.import_module(ROOTS[name])
    module = ModuleType(name, package.__doc__)
    variables = vars(module)
    variables.update({key: value for key, value in vars(package).items() if not key.startswith("__")})
    variables.update(__version__=version, __file__=package.__file__, __path__=[])
    if name == "torch":
        variables["torch"] = module  # some programs use torch.torch.Tensor
    variables["__all__"] = [
        key for key, value in variables.items() if not key.startswith("_") and not isinstance(value, ModuleType)
    ]

    def getattribute(attribute: str) -> Any:
        own = importlib.import_module("flambeau.torch._functions") if name == "torch" else package
        owner = own if attribute in own.__all__ else package
        value = getattr(owner, attribute)
        if owner is not own or attribute not in own.VARYING:
            variables[attribute] = value
        return value

    variables["__getattr__"] = getattribute
    _install_getattr(module, name)
    return module


class _Loader(importlib.abc.Loader):
    """Loader of flambeau's modules by their names in PyTorch."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name in ROOTS:
            return _facade(spec.name, _VERSIONS.get(spec.name, __version__))
        if not _exists(spec.name) or is_second_name(spec.name):
            return _absent.module_for(spec.name)
        module = importlib.import_module(native_name(spec.name))
        # The import system replaces ``__spec__`` with the spec of the alias, so keep the original to restore it.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Complete a module after its import: restore its spec and let it name the attributes that flambeau lacks."""
        spec = module.__spec__
        if spec is not None:
            _keep_function(spec.name)
        if isinstance(module, _absent.AbsentModule):
            vars(module)["__all__"] = list(_interface.names_of(module.__name__))
            above, _, last = module.__name__.rpartition(".")
            if last in vars(module)["__all__"] and last in _interface.names_of(above):
                vars(module)[last] = getattr(sys.modules[above], last)
            if _exists(module.__name__):
                owner = importlib.import_module(native_name(module.__name__))
                vars(module)["__getattr__"] = functools.partial(_own_attribute, owner)
            _install_getattr(module, module.__name__)
        elif spec is not None and spec.name not in ROOTS:
            module.__spec__ = spec.loader_state
            _install_getattr(module, spec.name)


class _FunctionKeeper(ModuleType):
    """Module in which the import of a submodule does not replace a function of the same name.

    In PyTorch, ``torch.nn.utils.weight_norm`` is a function and the name of a module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and callable(vars(self).get(name))):
            super().__setattr__(name, value)


def _keep_function(path: str) -> None:
    """Prevent the import of the submodule ``path`` from replacing a function of the same name in its parent."""
    above, _, name = path.rpartition(".")
    parent = sys.modules.get(above)
    if type(parent) is not ModuleType:
        return
    if name in getattr(parent, "__all__", ()) and name not in vars(parent):
        getattr(parent, name)  # this imports a function that is imported on first use
    if callable(vars(parent).get(name)):
        parent.__class__ = _FunctionKeeper


def _keep_functions(module: ModuleType, path: str) -> None:
    """Restore functions that the import of a submodule with the same name has replaced in its parent module."""
    for name in moved_below(path):
        last = name.rpartition(".")[2]
        value = vars(module).get(last)
        if value is not None and not isinstance(value, ModuleType):
            importlib.import_module(name)
            setattr(module, last, value)


class _Distribution(metadata.Distribution):
    """Metadata, name and version, with which ``torch`` and ``torchvision`` appear as installed distributions."""

    def __init__(self, name: str) -> None:
        self._metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {_VERSIONS[name]}\n"

    def read_text(self, filename: str) -> str | None:
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(flambeau.__file__).parent / path


class _Finder(metadata.DistributionFinder):
    """Finder of ``torch``, ``torchvision``, their submodules and their versions."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == _optree.NAME:
            return _optree.spec_of(path)
        if name.partition(".")[0] not in ROOTS:
            return None
        if not _exists(name) and not _interface.has_module(name):
            if (top := native_name(name).split(".")[1]) in _distributions.SUBPACKAGES:
                getattr(flambeau, top)  # if a distribution is missing, this raises an error that names it
            above, _, last = name.rpartition(".")
            raise ModuleNotFoundError(str(_missing.record_missing(sys.modules.get(above), above, last)), name=name)
        return ModuleSpec(name, _Loader(), is_package=True)

    def find_distributions(
        self, context: metadata.DistributionFinder.Context = _ANY_DISTRIBUTION
    ) -> Iterator[_Distribution]:
        yield from map(_Distribution, _VERSIONS if context.name is None else {context.name} & _VERSIONS.keys())


_FINDER = _Finder()


def install() -> None:
    """Make ``import torch`` and ``import torchvision`` import flambeau, in this process and its child processes.

    A second call has no effect. The names refer to flambeau's objects: ``torch.nn is flambeau.nn``,
    ``torch.Tensor is flambeau.Tensor``. Only ``torch`` and ``torchvision`` are separate modules. Their ``__version__``
    is the version of PyTorch whose interface flambeau follows. CPU generators produce the same numbers as PyTorch's:
    see ``flambeau.random.use_pytorch_streams``.

    Raises: RuntimeError if PyTorch is already imported.
    """
    if _FINDER in sys.meta_path:
        return
    for root in ROOTS:
        if root in sys.modules:
            file = getattr(sys.modules[root], "__file__", None)
            source = f" from {file}" if file else ""
            raise RuntimeError(
                f"{root} is already imported{source}: call flambeau.torch.install() before anything imports it."
            )
    _renaming.start()
    _former_methods.start()
    use_pytorch_streams()
    sys.meta_path.insert(0, _FINDER)
    if PATH not in sys.path:
        sys.path.insert(1, PATH)
    _optree.register()


def uninstall() -> None:
    """Undo ``install``: ``import torch`` imports the installed distribution of PyTorch again.

    Generators produce flambeau's own random numbers again.
    """
    if _FINDER not in sys.meta_path:
        return
    use_pytorch_streams(False)
    sys.meta_path.remove(_FINDER)
    sys.path.remove(PATH)
    for name in [name for name in sys.modules if name.partition(".")[0] in ROOTS]:
        del sys.modules[name]
    for module, getattribute in _original_getattr.items():
        if getattribute is None:
            del vars(module)["__getattr__"]
        else:
            vars(module)["__getattr__"] = getattribute
    _original_getattr.clear()
    _renaming.undo()
    _former_methods.undo()
    _missing.clear_missing()
