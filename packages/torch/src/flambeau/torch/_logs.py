"""Names of ``torch._logging``."""

from typing import Any

from flambeau._compile import _logs

__all__ = ["set_logs"]

# PyTorch's components, whose values are levels of the module logging, and PyTorch's artifacts, whose values are bools.
_COMPONENTS = {
    *("all", "dynamo", "aot", "autograd", "dynamic", "inductor", "distributed", "c10d", "ddp", "fsdp", "dtensor"),
    *("onnx", "export"),
}
_ARTIFACTS = {
    *("bytecode", "aot_graphs", "aot_joint_graph", "ddp_graphs", "graph", "graph_code", "graph_code_verbose"),
    *("graph_breaks", "side_effects", "graph_sizes", "guards", "recompiles", "recompiles_verbose", "trace_source"),
    *("trace_call", "trace_bytecode", "output_code", "kernel_code", "schedule", "perf_hints", "pre_grad_graphs"),
    *("post_grad_graphs", "ir_pre_fusion", "ir_post_fusion", "onnx_diagnostics", "fusion", "overlap", "cudagraphs"),
    *("sym_node", "compiled_autograd", "compiled_autograd_verbose", "cudagraph_static_inputs", "benchmarking"),
    *("autotuning", "incremental", "graph_region_expansion", "inductor_metrics", "hierarchical_compile"),
    *("compute_dependencies", "caching"),
}
_TOPICS = {
    **dict.fromkeys(("graph", "graph_code", "graph_breaks", "aot_graphs"), "graph"),
    **dict.fromkeys(("guards", "recompiles", "recompiles_verbose"), "guards"),
    **dict.fromkeys(("fusion", "schedule", "output_code", "kernel_code"), "fusion"),
}


def set_logs(**options: Any) -> None:
    """Select the topics that the compiler prints to stderr, by PyTorch's names. Without arguments, select none.

    ``graph``, ``graph_code`` and ``graph_breaks`` select the topic "graph" of ``FLAMBEAU_LOGS``, ``guards`` and
    ``recompiles`` select the topic "guards", ``fusion``, ``schedule`` and ``output_code`` select the topic "fusion".
    Other names have no effect.

    Raises: ValueError for a name that PyTorch does not have.
    """
    for name in options:
        if name not in _COMPONENTS | _ARTIFACTS | {"modules"}:
            raise ValueError(f"Unrecognized log or artifact name passed to set_logs: {name}")
    _logs.select(_TOPICS[name] for name, value in options.items() if value and name in _TOPICS)
