"""Callables whose forward and backward passes are replayed from CUDA graphs. Each callable is one autograd node."""

import functools
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor, cuda
from flambeau.autograd._backward import grad
from flambeau.autograd._function import Function
from flambeau.autograd.function import once_differentiable
from flambeau.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

_AUTOCAST = "make_graphed_callables does not support the autocast caching. Please set `cache_enabled=False`."
_HOOKS = (
    "Modules must not have hooks registered at the time they are passed. However, registering hooks on modules after "
    "passing them through make_graphed_callables is allowed."
)
_BUFFERS = (
    "In any nn.Module passed to make_graphed_callables, only parameters may be trainable. All buffers must have "
    "`requires_grad=False`."
)
_ONLY_TENSORS = "sample_args for each callable must contain only Tensors. Other types are not allowed."
_OVERWRITTEN = (
    "the graphed callable was called again before this backward pass, which overwrote the tensors of the earlier call; "
    "call backward() before the next call"
)
_UNEXPECTED_GRAD = (
    "an argument requires grad but its sample argument did not, so it would get no gradient; give "
    "make_graphed_callables a sample that requires grad"
)


def make_graphed_callables(
    callables: Any, sample_args: Any, num_warmup_iters: int, allow_unused_input: bool, pool: Any
) -> Any:
    """Implement `flambeau.cuda.make_graphed_callables`."""
    if flambeau.is_autocast_enabled() and flambeau.is_autocast_cache_enabled():
        raise RuntimeError(_AUTOCAST)
    functions, samples = (callables, sample_args) if isinstance(callables, tuple) else ((callables,), (sample_args,))
    if not isinstance(samples, Sequence) or len(samples) != len(functions):
        raise ValueError(f"sample_args must be a tuple of {len(functions)} tuples, one for each callable")
    graphed = [_Captured(*each, allow_unused_input) for each in zip(functions, samples, strict=True)]
    cuda.synchronize()
    with cuda.stream(cuda.Stream()):
        for each in graphed:
            each.warm_up(num_warmup_iters)
    cuda.synchronize()
    for each in graphed:
        each.capture_forward(pool)
    for each in reversed(graphed):
        each.capture_backward(pool)
    results = tuple(_with_forward(each) if _is_module(each.function) else each for each in graphed)
    return results if isinstance(callables, tuple) else results[0]


def _is_module(function: Any) -> bool:
    # Check attributes of nn.Module, because this package does not depend on flambeau-nn.
    return hasattr(function, "_forward_pre_hooks") and hasattr(function, "named_parameters")


def _parameters(module: Any) -> tuple[Tensor, ...]:
    if module._backward_hooks or module._forward_hooks or module._forward_pre_hooks:
        raise AssertionError(_HOOKS)
    if any(buffer.requires_grad for buffer in module.buffers()):
        raise AssertionError(_BUFFERS)
    return tuple(module.parameters())


def _check_inputs(inputs: Sequence[Any]) -> None:
    if not all(isinstance(each, Tensor) for each in inputs):
        raise AssertionError(_ONLY_TENSORS)
    device = flambeau.device("cuda", cuda.current_device())
    for each in inputs:
        if each.device != device:
            raise RuntimeError(
                f"make_graphed_callables: expected samples and parameters on {device}, got one on {each.device}"
            )
    if len({id(each) for each in inputs}) < len(inputs):
        raise ValueError(
            "make_graphed_callables: the same tensor is used for several samples or parameters; pass clones of it"
        )


def _with_forward(graphed: "_Captured") -> Any:
    """Replace the module's ``forward`` and return the module.

    The new ``forward`` replays the graphs as long as ``training`` has the same value as during the capture.
    """
    module = graphed.function
    training, original = module.training, module.forward

    @functools.wraps(original)
    def forward(*arguments: Any, **keywords: Any) -> Any:
        return (graphed if module.training == training else original)(*arguments, **keywords)

    module.forward = forward
    return module


class _Captured:
    """A callable, its two graphs, and the tensors that the graphs read and write."""

    def __init__(self, function: Any, sample: Any, allow_unused: bool) -> None:
        if not isinstance(sample, Sequence):
            raise TypeError(f"the sample arguments of a callable must be a tuple, not {type(sample).__name__}")
        self.function, self.sample, self.allow_unused = function, tuple(sample), allow_unused
        self.arguments = tree_leaves(self.sample)
        self.parameters = _parameters(function) if _is_module(function) else ()
        self.inputs = (*self.arguments, *self.parameters)
        _check_inputs(self.inputs)
        self.forward_graph, self.backward_graph = cuda.CUDAGraph(), cuda.CUDAGraph()
        self.calls = 0

    def warm_up(self, iterations: int) -> None:
        for _ in range(iterations):
            outputs, _ = self._run()
            self._differentiate(outputs, [flambeau.empty_like(o) for o in outputs if o.requires_grad])

    def capture_forward(self, pool: Any) -> None:
        with cuda.graph(self.forward_graph, pool):
            self.outputs, self.structure = self._run()

    def capture_backward(self, pool: Any) -> None:
        self.output_grads = [flambeau.empty_like(o) if o.requires_grad else None for o in self.outputs]
        output_grads = [g for g in self.output_grads if g is not None]
        self.input_grads: list[Tensor | None] = []
        if output_grads:
            with cuda.graph(self.backward_graph, pool):
                self.input_grads = self._differentiate(self.outputs, output_grads)
        self.outputs = [o.detach() for o in self.outputs]

    def _run(self) -> tuple[list[Any], TreeSpec]:
        outputs, structure = tree_flatten(self.function(*self.sample))
        if not all(isinstance(o, Tensor) for o in outputs):
            kinds = ", ".join(sorted({type(o).__name__ for o in outputs}))
            raise TypeError(f"make_graphed_callables: a callable must return only tensors, but returned {kinds}")
        return outputs, structure

    def _differentiate(self, outputs: list[Tensor], grad_outputs: list[Tensor]) -> list[Tensor | None]:
        """Return the gradient of each input, or None for an input that does not require grad."""
        if not grad_outputs:
            return []
        wanted = [each for each in self.inputs if each.requires_grad]
        differentiable = [o for o in outputs if o.requires_grad]
        found = iter(grad(differentiable, wanted, grad_outputs, allow_unused=self.allow_unused))
        return [next(found) if each.requires_grad else None for each in self.inputs]

    def __call__(self, *arguments: Any) -> Any:
        leaves = tree_leaves(arguments)
        if len(leaves) != len(self.arguments) or not all(isinstance(leaf, Tensor) for leaf in leaves):
            raise TypeError(
                f"the graphed callable expects {len(self.arguments)} tensors, like its sample arguments, and no other "
                "values"
            )
        for sample, given in zip(self.arguments, leaves, strict=True):
            if given.shape != sample.shape or given.dtype != sample.dtype:
                raise ValueError(
                    f"the graphed callable expects a tensor of shape {list(sample.shape)} and dtype {sample.dtype}, "
                    f"like its sample, but got shape {list(given.shape)} and dtype {given.dtype}"
                )
            if given.requires_grad and not sample.requires_grad and flambeau.is_grad_enabled():
                raise RuntimeError(_UNEXPECTED_GRAD)
        return tree_unflatten(Graphed.apply(self, *leaves, *self.parameters), self.structure)


class Graphed(Function):
    """Function that copies its inputs to the tensors of the graphs and replays the two graphs of a callable."""

    @staticmethod
    def forward(ctx: Any, graphed: _Captured, *inputs: Tensor) -> tuple[Tensor, ...]:
        for static, given in zip(
            graphed.arguments, inputs, strict=False
        ):  # the parameters at the end of `inputs` are not copied
            if given is not static:
                static.copy_(given)
        graphed.forward_graph.replay()
        graphed.calls += 1
        ctx.graphed, ctx.call = graphed, graphed.calls
        outputs = tuple(o.detach() for o in graphed.outputs)
        ctx.mark_non_differentiable(*(o for o, g in zip(outputs, graphed.output_grads, strict=True) if g is None))
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        graphed: _Captured = ctx.graphed
        if ctx.call != graphed.calls:
            raise RuntimeError(_OVERWRITTEN)
        for static, given in zip(graphed.output_grads, grads, strict=True):
            if static is not None:
                static.copy_(given)
        graphed.backward_graph.replay()
        return (None, *(g if g is None else g.detach() for g in graphed.input_grads))
