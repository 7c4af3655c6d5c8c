"""Graphs: work of a GPU that is noted once and then launched as a whole, time and again."""

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
    """Noted work, which `replay` does: the same kernels with the same memory, without Python.

    Tensors that were made during the capture belong to the graph: each replay writes them anew. New input is copied
    into the tensors that were read. Work must be captured on another stream than the default one, as `graph` sees to,
    and must not wait for the GPU or go over to the CPU (``item()``, operators of `host_calls`).

    Each replay draws the random numbers that the work would draw if it were done then, and advances the generator.
    During the capture, no generator that the work draws from may be seeded, nor its state be set.

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
        """Begins to note the work of the current stream instead of doing it.

        Args:
            pool: whose memory to take, as PyTorch has it: a graph has memory of its own, whatever is said.
            capture_error_mode, check_input_liveness: as PyTorch has them; no effect.
        Raises: RuntimeError on the default stream.
        """
        if self._graph:
            raise RuntimeError("This CUDAGraph instance already owns a captured graph. Call reset() first.")
        stream = current_stream()
        if not stream.cuda_stream:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream. (flambeau.cuda.graph takes one.)")
        self._graph = _core._cuda_begin_capture(stream.device_index, stream.cuda_stream)
        self._capturing = True
        for generator in self._generators:
            _core._cuda_register_generator(self._graph, generator)

    def capture_end(self) -> None:
        """Ends the capture. RuntimeError where something was done meanwhile that cannot be noted."""
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
        """Lets the work that will be captured draw from a generator other than the default one."""
        self._generators.append(generator)

    def replay(self) -> None:
        """Does the work, on the current stream."""
        if not self._graph or self._capturing:
            raise RuntimeError("Called CUDAGraph::replay without a preceding successful capture.")
        _core._cuda_launch_graph(self._graph)

    def reset(self) -> None:
        """Forgets the work and gives its memory back."""
        if self._graph and not self._capturing:
            self._end()
            self._graph = 0

    def pool(self) -> tuple[int, int]:
        """What other graphs can name as ``pool``."""
        return self._pool


def _destroy(graph: int) -> None:
    with contextlib.suppress(RuntimeError):  # in a process that was forked: the graph is the parent's
        _core._cuda_destroy_graph(graph)


def graph_pool_handle() -> tuple[int, int]:
    """What graphs can name as ``pool``; each has memory of its own all the same."""
    return 0, next(_pools)


class graph:
    """A block whose work is noted in a `CUDAGraph`.

    Args:
        cuda_graph: what notes it.
        pool, capture_error_mode: see `CUDAGraph.capture_begin`.
        stream: on which; None takes one of its own.
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
        # What ending the capture has to say follows from an error of the block.
        expected = contextlib.nullcontext() if kind is None else contextlib.suppress(RuntimeError)
        try:
            with expected:
                self.cuda_graph.capture_end()
        finally:
            self._context.__exit__()


def make_graphed_callables(
    callables: T, sample_args: Any, num_warmup_iters: int = 3, allow_unused_input: bool = False, pool: Any = None
) -> T:
    """Callables whose work, forward and backward, is launched as two graphs, within a step that stays as it is.

    Each call copies its arguments into the sample's tensors and replays; what it returns, and the gradients that
    `flambeau.autograd.grad` gets, are overwritten by the next replay. So is what the backward pass needs: of a
    callable, the last call alone can be differentiated.

    Args:
        callables: a function or ``nn.Module``, or a tuple of them in the order of their use. A module is returned
            itself, with another ``forward``, which replays only while ``training`` is what it was at the capture.
        sample_args: for each callable a tuple of tensors, which may be nested, on the current GPU: of the shapes and
            dtypes of the real arguments, and requiring grad where these do.
        num_warmup_iters: how often each callable is run, forward and backward, before it is captured.
        allow_unused_input: whether an input that no output depends on may require grad.
        pool: as PyTorch has it; no effect.
    Raises: AssertionError for modules with hooks or trainable buffers, and for samples that are not tensors;
        RuntimeError for what cannot be captured, and with autocast that keeps casts; ImportError without
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
