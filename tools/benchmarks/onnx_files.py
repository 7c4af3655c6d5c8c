"""Write the ONNX files of models: ``python -m benchmarks.onnx_files '{"library": ..., "files": FOLDER}' KEY ...``."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from .workload import Library
from .workloads import compiled


def write(library: Library, model: compiled.Model) -> None:
    """Export a model. If this fails, write the reason to a file ``*.failed`` in place of the model."""
    inputs = model.inputs(library, model.batch)
    network = compiled.network(library, model)
    file = compiled.onnx_path(library.files, model)
    try:
        import_module(f"{library.name}.onnx").export(network, inputs, file)
    except Exception as error:  # exporters raise errors of many types
        file.with_suffix(".failed").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def main() -> None:
    request = json.loads(sys.argv[1])
    wanted = {compiled.model_of(key) for key in sys.argv[2:]}
    for model in compiled.MODELS:
        if model in wanted:
            write(Library(request["library"], files=request["files"]), model)


if __name__ == "__main__":
    main()
