"""An exported program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor
from flambeau._tracing._structure import leaves

_LARGEST = 2**31 - 2**20  # maximal size of a protobuf file in bytes


class ONNXProgram:
    """Model in the ONNX format that `export` returns.

    Attributes:
        model_proto: the ``onnx.ModelProto``.

    >>> program = fb.onnx.export(nn.Linear(4, 3), (fb.ones(8, 4),))
    >>> [node.op_type for node in program.model_proto.graph.node]
    ['Gemm']
    """

    def __init__(self, model_proto: Any) -> None:
        self.model_proto = model_proto
        self._session: Any = None

    def save(self, destination: str | os.PathLike[str], *, external_data: bool | None = None, **_: Any) -> None:
        """Write the model to a file.

        Args:
            external_data: if True, store the parameters in a second file, ``destination`` with the suffix ``.data``;
                None: only if they exceed the limit of 2 GB of one file.
        """
        import onnx

        external = self.model_proto.ByteSize() > _LARGEST if external_data is None else external_data
        if not external:
            onnx.save_model(self.model_proto, os.fspath(destination))
            return
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model_proto)
        data = f"{os.path.basename(os.fspath(destination))}.data"
        onnx.save_model(copy, os.fspath(destination), save_as_external_data=True, location=data)

    def initialize_inference_session(self) -> None:
        """Open the model in ONNX Runtime; otherwise the first call opens it."""
        try:
            import onnxruntime
        except ImportError:
            raise ImportError("running an ONNX program needs ONNX Runtime: pip install onnxruntime") from None
        self._session = onnxruntime.InferenceSession(
            self.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Sequence[Tensor]:
        """Compute the outputs for these inputs with ONNX Runtime."""
        if self._session is None:
            self.initialize_inference_session()
        arrays = [tensor.detach().cpu().numpy() for tensor in leaves([args, kwargs], Tensor)]
        names = [entry.name for entry in self._session.get_inputs()]
        if len(arrays) != len(names):
            listed = ", ".join(map(repr, names)) or "none"
            raise ValueError(f"the program takes {len(names)} tensors ({listed}), got {len(arrays)}")
        outputs = self._session.run(None, dict(zip(names, arrays, strict=True)))
        return tuple(flambeau.from_numpy(output) for output in outputs)

    def __repr__(self) -> str:
        graph = self.model_proto.graph
        names = [", ".join(entry.name for entry in entries) for entries in (graph.input, graph.output)]
        return f"ONNXProgram(({names[0]}) -> ({names[1]}), {len(graph.node)} nodes)"
