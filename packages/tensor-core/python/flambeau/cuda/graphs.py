"""CUDA graphs: GPU work that is captured once and then launched repeatedly as a unit."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from typing import Any, TypeVar

from flambeau import Generator, _core, _extension_points

from ._devices import index_of, synchronize
from .memory import empty_cache
from .streams import Stream, StreamContext, current_stream

T = TypeVar("T")

_pools = itertools.count(1)


class CUDAGraph:
    """Captured GPU work. `replay` runs the same kernels on the same memory without executing Python code.

    Tensors that were created during the capture belong to the graph, and each replay overwrites them. To change the
    input, copy new values into the tensors that the graph reads. Work must be captured on a stream other than the
    default stream; `graph` selects another stream. Captured work must not wait for the GPU or fall back to the CPU
    (``item()``, operators counted by `host_calls`).

    Each replay draws new random numbers, the same as without a graph, and advances the generator. During the capture,
    the generators in use must not be seeded, and their state must not be set.

    >>> x = flambeau.zeros(3, device="cuda")
    >>> y = x + 1  # compiled before it is captured
    >>> g = flambeau.cuda.CUDAGraph()
    >>> with flambeau.cuda.graph(g):
    ...     y = x + 1
    >>> _ = x.fill_(4)
    >>> g.replay()
    >>> y
    tensor([5., 5., 5.], device='cuda:0')
    """

    def __init__(self, keep_graph: bool = False) -> None:
        self._graph = 0
        self._capturing = False
        self._generators: list[Generator] = []
        self._end: Any = None
        self._pool = graph_pool_handle()

    def capture_begin(
        self, pool: Any = None, capture_error_mode: str = "global", check_input_liveness: bool = False
    ) -> None:
        """Start the capture: record the work of the current stream instead of running it.

        Args:
            pool: accepted for compatibility with PyTorch. Each graph has its own memory pool.
            capture_error_mode, check_input_liveness: accepted for compatibility with PyTorch; no effect.
        Raises: RuntimeError on the default stream.
        """
        if self._graph:
            raise RuntimeError("This CUDAGraph instance already owns a captured graph. Call reset() first.")
        stream = current_stream()
        if not stream.cuda_stream:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream; flambeau.cuda.graph uses one")
        self._graph = _core._cuda_begin_capture(stream.device_index, stream.cuda_stream)
        self._capturing = True
        for generator in self._generators:
            _core._cuda_register_generator(self._graph, generator)

    def capture_end(self) -> None:
        """End the capture. Raise RuntimeError if an operation during the capture cannot be captured."""
        if not self._capturing:
            raise RuntimeError("capture_end() called without capture_begin()")
        self._capturing = False
        self._end = weakref.finalize(self, _destroy, self._graph)
        self._end.atexit = False
        try:
            _core._cuda_end_capture(self._graph)
        except RuntimeError:
            self.reset()
            raise

    def register_generator_state(self, generator: Generator) -> None:
        """Register a generator other than the default generator, so that captured work can draw from it."""
        self._generators.append(generator)

    def replay(self) -> None:
        """Launch the graph on the current stream."""
        if not self._graph or self._capturing:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        _core._cuda_launch_graph(self._graph)

    def reset(self) -> None:
        """Delete the captured graph and release its memory."""
        if self._graph and not self._capturing:
            self._end()
            self._graph = 0

    def pool(self) -> tuple[int, int]:
        """Return a handle that other graphs accept as ``pool``."""
        return self._pool


def _destroy(graph: int) -> None:
    with contextlib.suppress(RuntimeError):  # in a forked process, the graph belongs to the parent
        _core._cuda_destroy_graph(graph)


def graph_pool_handle() -> tuple[int, int]:
    """Return a handle that graphs accept as ``pool``. It has no effect: each graph has its own memory pool."""
    return 0, next(_pools)


class graph:
    """Context manager that captures the work of a block in a `CUDAGraph`.

    Args:
        cuda_graph: the graph that records the work.
        pool, capture_error_mode: see `CUDAGraph.capture_begin`.
        stream: the stream for the capture. None means a new stream.
    """

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: Any = None,
        stream: Stream | None = None,
        capture_error_mode: str = "global",
        enable_annotations: bool = False,
        check_input_liveness: bool = False,
    ) -> None:
        index_of()
        self.cuda_graph = cuda_graph
        self.pool = pool
        self.capture_stream = Stream() if stream is None else stream
        self.capture_error_mode = capture_error_mode
        self._context = StreamContext(self.capture_stream)

    def __enter__(self) -> None:
        synchronize()
        empty_cache()
        self._context.__enter__()
        try:
            self.cuda_graph.capture_begin(self.pool, self.capture_error_mode)
        except BaseException:
            self._context.__exit__()
            raise

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # If the block raised an exception, an error at the end of the capture is a consequence of that exception.
        expected = contextlib.nullcontext() if kind is None else contextlib.suppress(RuntimeError)
        try:
            with expected:
                self.cuda_graph.capture_end()
        finally:
            self._context.__exit__()


def make_graphed_callables(
    callables: T, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> T:
    """Capture the forward pass and the backward pass of each callable as CUDA graphs.

    Each call copies its arguments into the sample tensors and replays the graphs. The next replay overwrites the
    results, the gradients from `flambeau.autograd.grad` and the tensors saved for the backward pass. Therefore only the
    last call of a callable can be differentiated.

    Args:
        callables: a function or ``nn.Module``, or a tuple of these in the order of their use. A module is modified and
            returned: its new ``forward`` replays the graphs only while ``training`` has the same value as during the
                capture.
        sample_args: for each callable, a tuple of tensors on the current GPU, which may be nested. They must have the
            shapes, dtypes and ``requires_grad`` of the real arguments.
        num_warmup_iters: number of forward and backward passes of each callable before the capture.
        allow_unused_input: if True, inputs that require grad do not need to affect an output.
        pool: accepted for compatibility with PyTorch; no effect.
    Returns: the callable, or a tuple of callables.
    Raises: AssertionError for modules with hooks or trainable buffers, and for samples that are not tensors;
        RuntimeError for operations that cannot be captured, and for autocast with an enabled cache; ImportError without
        flambeau-autograd.

    >>> layer = flambeau.nn.Linear(3, 1).cuda()
    >>> layer = flambeau.cuda.make_graphed_callables(layer, (flambeau.zeros(2, 3, device="cuda"),))
    >>> layer(flambeau.ones(2, 3, device="cuda")).sum().backward()
    >>> layer.weight.grad
    tensor([[2., 2., 2.]], device='cuda:0')
    """
    make = _extension_points.required("make_graphed_callables")
    graphed: T = make(callables, sample_args, num_warmup_iters, allow_unused_input, pool)
    return graphed
