"""Map from PyTorch's module names to flambeau's module names."""

from flambeau.torch import _interface

ROOTS = {"torch": "flambeau", "torchvision": "flambeau.vision", "functorch": "flambeau.torch._functorch"}

_OPS_FILES = (
    *("boxes", "ciou_loss", "deform_conv", "diou_loss", "drop_block", "focal_loss", "giou_loss", "misc"),
    *("ps_roi_align", "ps_roi_pool", "roi_align", "roi_pool", "stochastic_depth"),
)

# Modules that have another name in flambeau; this includes their submodules. If a file of PyTorch is not a module in
# flambeau, it maps to the package that has the file's names.
_MOVED = {
    "torch._C": "flambeau.torch._private",
    "torch._tensor_str": "flambeau.torch._printing",
    **dict.fromkeys(
        ("torch._VF", "torch._C._VariableFunctions", "torch.nn.functional._VF"), "flambeau.torch._variable_functions"
    ),
    **dict.fromkeys(("torch.nn._reduction", "torch.nn.functional._Reduction"), "flambeau.torch._reductions"),
    "torch._C._autograd": "flambeau.torch._engine",
    "torch._C._functions": "flambeau.torch._nodes",
    "torch._C._nn": "flambeau.torch._nn",
    "torch._C._onnx": "flambeau.onnx",
    "torch.nn.functional.grad": "flambeau.nn.grad",
    "torch._utils": "flambeau.torch._flattening",
    "torch.types": "flambeau.torch._types",
    "torch.utils._import_utils": "flambeau.torch._imports",
    "torch.distributed.constants": "flambeau.distributed",
    **dict.fromkeys(
        ("torch._dynamo", "torch._dynamo._trace_wrapped_higher_order_op", "torch._dynamo.eval_frame"),
        "flambeau.torch._dynamo",
    ),
    "torch._dynamo.testing": "flambeau.torch._dynamo_testing",
    "torch._dynamo.utils": "flambeau.torch._dynamo_utils",
    "torch._logging": "flambeau.torch._logs",
    "torch._higher_order_ops": "flambeau.torch._scans",
    **{
        f"torch._higher_order_ops.{name}": "flambeau.torch._scans"
        for name in ("associative_scan", "cond", "map", "scan", "while_loop")
    },
    "functorch.experimental.control_flow": "flambeau.torch._scans",
    "torch._inductor.decomposition": "flambeau.torch._decompositions",
    "torch._higher_order_ops.out_dtype": "flambeau.torch._output_dtypes",
    "torch.distributed._functional_collectives": "flambeau.torch._collectives",
    **dict.fromkeys(
        (
            "torch.distributed._composable",
            "torch.distributed._composable.fsdp",
            "torch.distributed._composable_state",
            "torch.distributed.fsdp._common_utils",
            "torch.distributed.fsdp.fully_sharded_data_parallel",
            "torch.distributed.fsdp.wrap",
        ),
        "flambeau.distributed.fsdp",
    ),
    "torch.distributed._tensor": "flambeau.distributed.tensor",
    "torch._C._functorch": "flambeau.torch._transforms",
    **dict.fromkeys(("torch._functorch.apis", "torch._functorch.eager_transforms"), "flambeau.func"),
    "torch._functorch.vmap": "flambeau.func._vmap",
    "torch._vmap_internals": "flambeau.torch._vmap_internals",
    "torch._functorch.make_functional": "flambeau.torch._functorch",
    "torch.backends.mha": "flambeau.torch._fast_paths",
    **dict.fromkeys(
        (
            "torch.ao.nn.quantized",
            "torch.ao.nn.quantized.modules.functional_modules",
            "torch.ao.quantization",
            "torch.ao.quantization.stubs",
            "torch.nn.quantized",
            "torch.quantization",
            "torch.quantization.stubs",
        ),
        "flambeau.torch._quantization_stubs",
    ),
    "torch._guards": "flambeau.torch._guards",
    "torch._jit_internal": "flambeau.torch._jit_names",
    "torch._library.infer_schema": "flambeau.library._schema",
    "torch._ops": "flambeau.library._ops",
    **dict.fromkeys(("torch._prims_common", "torch._prims"), "flambeau.torch._metadata"),
    "torch.distributed.distributed_c10d": "flambeau.distributed",
    **dict.fromkeys(
        (
            "torch.distributed.elastic",
            "torch.distributed.elastic.multiprocessing",
            "torch.distributed.elastic.multiprocessing.errors",
        ),
        "flambeau.distributed.run",
    ),
    "torch.functional": "flambeau",
    # PyTorch's reference implementations in Python, which return the same results as its operators.
    "torch._refs": "flambeau",
    **{f"torch._refs.{name}": f"flambeau.{name}" for name in ("fft", "linalg", "nn", "nn.functional", "special")},
    "torch.masked._ops": "flambeau.masked",
    "torch.version": "flambeau.torch.version",
    "torch.torch_version": "flambeau.torch.version",
    "torch.utils.cpp_extension": "flambeau.torch.cpp_extension",
    "torch.utils.data": "flambeau.data",
    "torch.utils.data.distributed": "flambeau.data",
    "torch.utils.tensorboard.writer": "flambeau.utils.tensorboard",
    "torch.utils.data._utils": "flambeau.torch._loading",
    **{
        f"torch.utils.data._utils.{name}": f"flambeau.data.{name}"
        for name in ("collate", "fetch", "signal_handling", "worker")
    },
    "torch.utils.data._utils.pin_memory": "flambeau.data._pinning",
    "torch.utils.data.datapipes.datapipe": "flambeau.torch._data_pipes",
    **{f"torchvision.ops.{name}": "flambeau.vision.ops" for name in _OPS_FILES},
    "torchvision._internally_replaced_utils": "flambeau.hub",
    "torchvision.transforms.transforms": "flambeau.vision.transforms",
    "torchvision.models.mobilenetv2": "flambeau.vision.models.mobilenet",
    "torchvision.models.mobilenetv3": "flambeau.vision.models.mobilenet",
    "torchvision.models._utils": "flambeau.vision.models._own_builders",
    "torchvision.models.detection._utils": "flambeau.vision.models.detection._matching",
}

# Modules whose `__dict__` programs iterate over. Their lazily loaded names must be loaded on import.
WALKED = {"torch.distributions", "torch.optim", "torch.optim.lr_scheduler"}


def is_moved(name: str) -> bool:
    """Return True if ``name`` is in the table of relocated modules.

    The flambeau name of such a module does not follow from the name of its parent.
    """
    return name in _MOVED


def is_second_name(name: str) -> bool:
    """Return True if ``name`` is a secondary alias of a flambeau module that also has another name in PyTorch."""
    if name not in _MOVED or not _interface.has_module(name):
        return False
    first = f"torch{_MOVED[name].removeprefix('flambeau')}"
    if not _interface.has_module(first):
        first = next(moved for moved, target in _MOVED.items() if target == _MOVED[name])
    return name != first


def is_only_moved(name: str) -> bool:
    """Return True if flambeau has a module with the name ``name``, but PyTorch has it only under another name.

    >>> is_only_moved("torch.data"), is_only_moved("torch.nn")
    (True, False)
    """
    return not _interface.has_module(name) and native_name(name) in _MOVED.values()


def moved_below(name: str) -> list[str]:
    """Return the relocated modules directly below PyTorch's module ``name``.

    >>> moved_below("torch.utils")
    ['torch.utils.data']
    """
    return [moved for moved in _MOVED if moved.rpartition(".")[0] == name]


def native_name(name: str) -> str:
    """Return the name of flambeau's module for a module of PyTorch.

    >>> native_name("torch.nn.functional"), native_name("torch.utils.data.sampler")
    ('flambeau.nn.functional', 'flambeau.data.sampler')
    """
    above, below = name, ""
    while above not in _MOVED and above not in ROOTS:
        above, _, last = above.rpartition(".")
        below = f".{last}{below}"
    return (_MOVED.get(above) or ROOTS[above]) + below
