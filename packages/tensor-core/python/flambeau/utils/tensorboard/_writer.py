"""A SummaryWriter based on tensorboardX that accepts tensors."""

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorboardX
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.writer import FileWriter

import flambeau
from flambeau import Tensor
from flambeau.utils.tensorboard._graph import graph_of

__all__ = ["FileWriter", "SummaryWriter"]


def _as_array(value: Any) -> Any:
    """Convert tensors, including those in lists, tuples and dicts, to NumPy arrays."""
    if isinstance(value, Tensor):
        # NumPy has no bfloat16.
        return (value.float() if value.dtype is flambeau.bfloat16 else value).detach().cpu().numpy()
    if type(value) in (list, tuple):
        return type(value)(map(_as_array, value))
    if type(value) is dict:
        return {key: _as_array(each) for key, each in value.items()}
    return value


def _accept_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(self, *map(_as_array, args), **_as_array(kwargs))

    return call


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]
    """Writer of scalars, images, histograms, text, figures, embeddings, hyperparameters and graphs for TensorBoard.

    The class has the methods of tensorboardX, such as ``add_scalar(tag, value, step)``, with PyTorch's signatures. They
    accept tensors of any dtype in place of arrays, including tensors that require grad.

    Args:
        log_dir: folder of the event file. By default, a folder in ``runs`` named after the time, the host and
            ``comment``.
        comment: suffix of the default folder name.
        purge_step: events of earlier files in the folder are ignored from this step on.
        max_queue: largest number of events in the write queue.
        flush_secs: longest time in seconds between writes.
        filename_suffix: suffix of the name of the event file.
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        **options: Any,
    ) -> None:
        log_dir = None if log_dir is None else str(log_dir)
        super().__init__(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, **options)
        self.log_dir = self.logdir

    def flush(self) -> None:
        """Write all pending events to disk, including events in the queue of the writer thread.

        tensorboardX's method does not write the events in this queue.
        """
        for writer in (self.all_writers or {}).values():
            events = getattr(writer, "event_writer", None)  # missing in writers that do not write to disk
            if events is not None and not events._closed:
                events._worker.stop()  # first writes the queued events
                events._worker = type(events._worker)(events._event_queue, events._ev_writer, events._flush_secs)
                events._worker.start()
        super().flush()

    def get_logdir(self) -> str:
        """Return the folder of the event file."""
        return str(self.logdir)

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """Add the computation graph of a model: operators grouped by layer, with shapes, parameters and inputs.

        The model runs once in evaluation mode. The graph shows the operations that autograd records.

        Args:
            model: a Module.
            input_to_model: the argument of the model, or a tuple of its arguments.
            verbose: if True, print the graph.
            use_strict_trace: accepted for compatibility with PyTorch; no effect.
        Raises: RuntimeError if no output requires grad.
        """
        graph = graph_of(model, input_to_model)
        if verbose:
            print(graph)
        self._get_file_writer().add_event(Event(graph_def=graph.SerializeToString()))

    def add_embedding(self, *args: Any, **kwargs: Any) -> None:
        """Add points with labels and images: ``add_embedding(mat, metadata, label_img, global_step, tag, ...)``."""
        # tensorboardX converts uninitialised memory in the unused parts of the sprite image.
        with np.errstate(all="ignore"):
            super().add_embedding(*map(_as_array, args), **_as_array(kwargs))

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Add hyperparameters and their metrics as a separate run in the folder ``run_name``.

        ``hparam_domain_discrete`` has no effect: TensorBoard finds the values in the data.
        """
        parameters, metrics = ({k: _plain(v) for k, v in each.items()} for each in (hparam_dict, metric_dict))
        super().add_hparams(parameters, metrics, run_name or str(time.time()), global_step)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


for _name in dir(tensorboardX.SummaryWriter):
    if _name.startswith("add_") and _name not in vars(SummaryWriter):
        setattr(SummaryWriter, _name, _accept_tensors(getattr(tensorboardX.SummaryWriter, _name)))
