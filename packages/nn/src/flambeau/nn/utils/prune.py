"""Pruning, which sets the least important weights to zero permanently.

A pruned parameter is the product of the trained parameter ``<name>_orig`` and the buffer ``<name>_mask``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from flambeau import Tensor, cat, ones_like, rand, rand_like

from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "BasePruningMethod",
    "PruningContainer",
    "Identity",
    "RandomUnstructured",
    "L1Unstructured",
    "RandomStructured",
    "LnStructured",
    "CustomFromMask",
    "identity",
    "random_unstructured",
    "l1_unstructured",
    "random_structured",
    "ln_structured",
    "global_unstructured",
    "custom_from_mask",
    "remove",
    "is_pruned",
]


class BasePruningMethod(ABC):
    """Base class of pruning methods. A subclass defines `compute_mask`, which decides which elements are kept.

    ``PRUNING_TYPE`` is ``"unstructured"`` (single values), ``"structured"`` (slices along ``dim``) or ``"global"``.

    >>> class Negative(nn.utils.prune.BasePruningMethod):
    ...     PRUNING_TYPE = "unstructured"
    ...     def compute_mask(self, t, default_mask):
    ...         return default_mask * (t >= 0)
    >>> layer = nn.Linear(3, 2)
    >>> _ = Negative.apply(layer, "weight")
    >>> bool((layer.weight >= 0).all())
    True
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return a mask with 0 for pruned elements of ``t`` and 1 for the other elements.

        Elements that are 0 in ``default_mask`` stay pruned.
        """

    def apply_mask(self, module: Module) -> Tensor:
        """Return the pruned parameter."""
        mask = getattr(module, self._tensor_name + "_mask")
        original: Tensor = getattr(module, self._tensor_name + "_orig")
        pruned: Tensor = mask.to(original.dtype) * original
        return pruned

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune the parameter ``name`` of ``module``, in addition to earlier pruning.

        Args:
            module: the module, which is changed.
            name: name of the parameter.
            args, kwargs: arguments of the class.
            importance_scores: tensor of the parameter's shape, whose elements are compared instead of the values.
        """
        previous = _hook_key(module, name)
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        if previous is not None:
            hook: Any = module._forward_pre_hooks.pop(previous)
            container = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            container.add_pruning_method(method)
            method = container
            original, default = getattr(module, name + "_orig"), getattr(module, name + "_mask")
        else:
            original = getattr(module, name)
            default = ones_like(original).detach()
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter '{name}' of {module}, got "
                f"{list(scores.shape)} and {list(original.shape)}"
            )
        if previous is None:
            _check_parameter(module, name)
        mask = method.compute_mask(scores.detach(), default)
        if previous is None:
            module.register_parameter(name + "_orig", original)
            delattr(module, name)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """Return ``t`` with pruned elements set to zero."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{list(scores.shape)} and {list(t.shape)}"
            )
        default = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default)

    def remove(self, module: Module) -> None:
        """Make the pruned parameter an ordinary parameter again. Pruned elements stay zero."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        for attribute in (name, name + "_mask"):
            delattr(module, attribute)
        original = getattr(module, name + "_orig")
        original.data = weight.detach()
        delattr(module, name + "_orig")
        module.register_parameter(name, original)


def _check_parameter(module: Module, name: str) -> None:
    if not isinstance(module._parameters.get(name), Parameter):
        raise AttributeError(f"{type(module).__name__} has no parameter `{name}` to prune")


def _hook_key(module: Module, name: str) -> int | None:
    """Return the key of the forward pre-hook that prunes a parameter, or None if the parameter is not pruned."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key
    return None


class PruningContainer(BasePruningMethod):
    """Sequence of pruning methods for one parameter. Each method prunes elements that the earlier methods kept.

    >>> layer = nn.Linear(3, 2)
    >>> layer = nn.utils.prune.l1_unstructured(layer, "weight", amount=2)
    >>> layer = nn.utils.prune.random_unstructured(layer, "weight", amount=1)
    >>> (hook,) = layer._forward_pre_hooks.values()
    >>> type(hook).__name__, layer.weight_mask.sum()
    ('PruningContainer', tensor(3.))
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add a method.

        Raises: TypeError for an object that is not a pruning method; ValueError for a method of another parameter.
        """
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._pruning_methods and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._tensor_name = method._tensor_name
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: int) -> BasePruningMethod:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Combine ``default_mask``, the mask of the earlier methods, with the mask of the last method."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            return _prune_kept(method, t, mask, mask == 1)
        if method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim  # type: ignore[attr-defined]
            remaining = mask.movedim(dim, 0).flatten(1).sum(1).nonzero().squeeze(1)
            part = method.compute_mask(t.index_select(dim, remaining), ones_like(mask.index_select(dim, remaining)))
            return mask * mask.index_copy(dim, remaining, part)
        return method.compute_mask(t, mask)


def _prune_kept(method: BasePruningMethod, t: Tensor, mask: Tensor, remaining: Tensor) -> Tensor:
    """Apply a method to the elements for which ``remaining`` is True, and return the combined mask."""
    result = mask.clone()
    result[remaining] = method.compute_mask(t[remaining], ones_like(mask[remaining]))
    return result


class _Amount(BasePruningMethod):
    """Base class of methods that prune an ``amount``: a number (int) or a fraction (float) of the values or slices."""

    def __init__(self, amount: float) -> None:
        _validate_pruning_amount_init(amount)
        self.amount: int | float = amount

    def _count(self, size: int) -> int:
        """Return how many of ``size`` values or slices are pruned."""
        _validate_pruning_amount(self.amount, size)
        return _compute_nparams_toprune(self.amount, size)


# The next three functions have PyTorch's private names, because pruning methods in other packages call them.


def _validate_pruning_amount_init(amount: Any) -> None:
    """Raise TypeError or ValueError unless ``amount`` is a number (int) or a fraction (float) of values or slices."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type for amount: {amount!r}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1.0):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _validate_pruning_amount(amount: Any, tensor_size: int) -> None:
    """Raise ValueError if the amount exceeds the number of elements."""
    if not isinstance(amount, float) and amount > tensor_size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={tensor_size}")


def _compute_nparams_toprune(amount: float, tensor_size: int) -> int:
    """Return how many of ``tensor_size`` values are pruned."""
    return round(amount * tensor_size) if isinstance(amount, float) else int(amount)


class Identity(BasePruningMethod):
    """Prune nothing, but store the parameter like a pruned parameter, with a mask of ones.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.Identity.apply(layer, "weight")
    >>> layer.weight_mask.sum()
    tensor(6.)
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the existing mask."""
        return default_mask


class _Unstructured(_Amount):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return a mask that prunes the values with the lowest scores."""
        mask = default_mask.clone()
        count = self._count(t.numel())
        if count:
            lowest = self._scores(t).reshape(-1).topk(count, largest=False).indices
            mask = mask.reshape(-1).index_fill(0, lowest, 0).reshape(mask.shape)
        return mask

    def _scores(self, t: Tensor) -> Tensor:
        raise NotImplementedError


class RandomUnstructured(_Unstructured):
    """Prune values at random.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.RandomUnstructured.apply(layer, "weight", amount=3)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """

    def _scores(self, t: Tensor) -> Tensor:
        return -rand_like(t)  # PyTorch prunes the largest random numbers


class L1Unstructured(_Unstructured):
    """Prune the values with the smallest magnitude.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.L1Unstructured.apply(layer, "weight", amount=3)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """

    def _scores(self, t: Tensor) -> Tensor:
        return t.abs()


class _Structured(_Amount):
    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return a mask that prunes the slices along ``dim`` with the lowest scores."""
        if t.ndim <= 1:
            raise ValueError(
                f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
                f"{list(t.shape)} with {t.ndim} dims"
            )
        if not -t.ndim <= self.dim < t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {list(t.shape)}")
        count = self._count(t.shape[self.dim])
        if not count:
            return default_mask
        slices = t.movedim(self.dim, 0).flatten(1)
        return default_mask.index_fill(self.dim, self._scores(slices).topk(count, largest=False).indices, 0)

    def _scores(self, slices: Tensor) -> Tensor:
        raise NotImplementedError


class RandomStructured(_Structured):
    """Prune slices along ``dim`` at random.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.RandomStructured.apply(layer, "weight", amount=1, dim=0)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """

    def _scores(self, slices: Tensor) -> Tensor:
        return rand(len(slices))  # float32 for each dtype, as in PyTorch


class LnStructured(_Structured):
    """Prune the slices along ``dim`` with the smallest ``n``-norm.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.LnStructured.apply(layer, "weight", amount=1, n=2, dim=0)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _scores(self, slices: Tensor) -> Tensor:
        return slices.norm(self.n, 1)


class CustomFromMask(BasePruningMethod):
    """Prune with a given mask.

    >>> layer = nn.Linear(3, 2)
    >>> _ = nn.utils.prune.CustomFromMask.apply(layer, "weight", fb.eye(2, 3))
    >>> layer.weight_mask.sum()
    tensor(2.)
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the product of the given mask and ``default_mask``."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"expected a mask of shape {list(default_mask.shape)}, like the tensor, got {list(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Store a parameter like a pruned parameter, with a mask of ones. Returns: ``module``.

    >>> layer = nn.utils.prune.identity(nn.Linear(3, 2), "weight")
    >>> layer.weight_mask.sum()
    tensor(6.)
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune random values of a parameter: ``amount`` is a number (int) or a fraction (float). Returns: ``module``.

    >>> layer = nn.utils.prune.random_unstructured(nn.Linear(3, 2), "weight", amount=3)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune the values of a parameter with the smallest magnitude.

    ``amount`` is a number (int) or a fraction (float) of values. Returns: ``module``.

    >>> layer = nn.Linear(4, 1)
    >>> int((nn.utils.prune.l1_unstructured(layer, "weight", amount=3).weight == 0).sum())
    3
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune random slices along ``dim``: ``amount`` is a number (int) or a fraction (float). Returns: ``module``.

    >>> layer = nn.utils.prune.random_structured(nn.Linear(3, 2), "weight", amount=1, dim=0)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: float | str, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune the slices along ``dim`` with the smallest ``n``-norm.

    ``amount`` is a number (int) or a fraction (float) of slices. Returns: ``module``.

    >>> layer = nn.utils.prune.ln_structured(nn.Linear(3, 2), "weight", amount=1, n=2, dim=0)
    >>> layer.weight_mask.sum()
    tensor(3.)
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune the elements of a parameter at which ``mask`` is 0. Returns: ``module``.

    >>> layer = nn.utils.prune.custom_from_mask(nn.Linear(3, 2), "weight", fb.eye(2, 3))
    >>> layer.weight_mask.sum()
    tensor(2.)
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one parameter.

    Args:
        parameters: pairs of module and parameter name.
        pruning_method: a method that prunes single values, such as `L1Unstructured`.
        importance_scores: for each pair, a tensor whose elements are compared instead of the values.
        kwargs: arguments of the method.
    Raises: TypeError for a method that does not prune single values.

    >>> a, b = nn.Linear(3, 2), nn.Linear(2, 2)
    >>> nn.utils.prune.global_unstructured([(a, "weight"), (b, "weight")], nn.utils.prune.L1Unstructured, amount=4)
    >>> a.weight_mask.sum() + b.weight_mask.sum()
    tensor(6.)
    """
    pairs = list(parameters)
    scores = importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE is supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    values = [scores.get((module, name), getattr(module, name)).detach() for module, name in pairs]
    default = [
        getattr(module, name + "_mask", ones_like(value)) for (module, name), value in zip(pairs, values, strict=True)
    ]
    method._tensor_name = "temp_name"
    container = PruningContainer(method)
    joint = container.compute_mask(
        cat([each.reshape(-1) for each in values]), cat([each.reshape(-1) for each in default])
    )
    parts = joint.split([value.numel() for value in values])
    for (module, name), value, mask in zip(pairs, values, parts, strict=True):
        custom_from_mask(module, name, mask.reshape(value.shape))


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter an ordinary parameter again. Pruned elements stay zero.

    Raises: ValueError if the parameter is not pruned.

    >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(3, 2), "weight", amount=2)
    >>> layer = nn.utils.prune.remove(layer, "weight")
    >>> [name for name, _ in layer.named_parameters()], (layer.weight == 0).sum()
    (['bias', 'weight'], tensor(2))
    """
    key = _hook_key(module, name)
    if key is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    module._forward_pre_hooks.pop(key).remove(module)  # type: ignore[attr-defined]
    return module


def is_pruned(module: Module) -> bool:
    """Return True if any parameter of the module or its submodules is pruned.

    >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(3, 2), "weight", amount=2)
    >>> nn.utils.prune.is_pruned(layer)
    True
    """
    return any(
        isinstance(hook, BasePruningMethod) for each in module.modules() for hook in each._forward_pre_hooks.values()
    )
