"""Workloads on a GPU: kernel launches, large tensors limited by memory bandwidth, products, and training steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .. import footprint
from ..timing import QUICK, seconds_per_call
from ..workload import Code, Library, Workload, expression
from .models import Size, dcgan, gpt
from .residual import resnet18
from .training import LEARNING_RATE, adamw, lenet, momentum, step
from .vision_transformer import vit_small

LAUNCHES, LARGE, BANDWIDTH = "GPU, small operators", "GPU, 10^8", "GPU, 10^8 beside a copy"
PRODUCTS, TRAINING, FOOTPRINT = "GPU, products", "GPU, training", "GPU, footprint"

DIGITS, PHOTOGRAPHS = (64, 1, 28, 28), (32, 3, 224, 224)
SMALL_GPT_2 = Size(vocabulary=50_257, width=768, heads=12, blocks=12, text=(4, 1024))
LARGEST_PRODUCT, ATTENTION = 8192, (8, 16, 2048, 128)

# Bytes that each statement reads and writes per element of x.
MOVED = {
    "x + y": 12,
    "x * 2.5": 8,
    "fb.exp(x)": 8,
    "F.gelu(x)": 8,
    "x + x[0]": 8,
    "x > y": 9,
    "fb.lerp(x, y, 0.25)": 12,
    "x.sum()": 4,
    "x.sum(0)": 4,
    "x.sum(1)": 4,
    "x.amax(1)": 4,
    "x.argmax()": 4,
    "x.var(1)": 4,
    "fb.softmax(x, 1)": 8,
}


def large(statement: str) -> Callable[[Library], Code]:
    """Return a function that prepares ``statement`` with tensors ``x`` and ``y`` of 10^8 numbers.

    The numbers repeat after a million, because NumPy would take seconds to draw all of them.
    """

    def prepare(library: Library) -> Code:
        x, y = (library.normal(100, 10_000).repeat(100, 1) for _ in range(2))
        return Code(statement, {"fb": library.fb, "F": library.functional, "x": x, "y": y})

    return prepare


def beside_a_copy(statement: str) -> Callable[[Library], float]:
    """Return a function that measures the time per byte of a statement, relative to a copy of ``x``."""

    def measured(library: Library) -> float:
        code = large(statement)(library)
        copy = Code("y.copy_(x)", code.names)
        seconds, of_copy = (seconds_per_call(each, QUICK, library.clock) for each in (code, copy))
        return (seconds / MOVED[statement]) / (of_copy / 8)

    return measured


def product(dtype: str, n: int) -> Callable[[Library], Code]:
    """Return a function that prepares the product of two n x n matrices."""

    def prepare(library: Library) -> Code:
        a, b = (library.normal(n, n).to(getattr(library.fb, dtype)) for _ in range(2))
        return Code("a @ b", {"a": a, "b": b})

    return prepare


def attention(library: Library, *, causal: bool = False, gradient: bool = False) -> Code:
    """Return the computation of attention in bfloat16."""
    q, k, v, weight = (library.normal(*ATTENTION).to(library.fb.bfloat16) for _ in range(4))
    names = {"F": library.functional, "q": q, "k": k, "v": v, "weight": weight, "grad": library.autograd.grad}
    forward = f"F.scaled_dot_product_attention(q, k, v, is_causal={causal})"
    if not gradient:
        return Code(forward, names)
    for tensor in (q, k, v):
        tensor.requires_grad_(True)
    return Code(f"grad({forward}, (q, k, v), weight)", names)


def convolution(library: Library) -> Code:
    """Return the computation of a ResNet layer's convolution and its derivatives."""
    x, w = library.normal(32, 128, 28, 28), library.normal(128, 128, 3, 3, scale=1 / 34)
    out = library.normal(32, 128, 28, 28)
    names = {"F": library.functional, "x": x, "w": w, "out": out, "grad": library.autograd.grad}
    for tensor in (x, w):
        tensor.requires_grad_(True)
    return Code("grad(F.conv2d(x, w, padding=1), (x, w), out)", names)


def in_a_graph(prepare: Callable[[Library], Code]) -> Callable[[Library], Code]:
    """Return a function that captures the same work in a CUDA graph and returns the replay of the graph."""

    def captured(library: Library) -> Code:
        cuda, code = library.fb.cuda, prepare(library)
        beside = cuda.Stream()
        beside.wait_stream(cuda.current_stream())
        with cuda.stream(beside):
            for _ in range(3):
                code.result()
        cuda.current_stream().wait_stream(beside)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            result = code.result()

        def replay() -> Any:
            graph.replay()
            return result

        return Code(replay, {"code": code})  # ``code`` keeps the inputs alive, whose memory the graph reads

    return captured


def capturable_adamw(library: Library, parameters: Any) -> Any:
    """Return AdamW with the option ``capturable``, which PyTorch requires in a graph and flambeau ignores."""
    return library.optim.AdamW(parameters, lr=LEARNING_RATE, capturable=True)


small_lenet = step(lenet, momentum, DIGITS, 10)
photographs = partial(step, inputs=PHOTOGRAPHS, outputs=1000)
small_gpt_2 = partial(gpt, size=SMALL_GPT_2)
on_gpu = partial(Workload, device="cuda")

ROWS = (
    on_gpu(LAUNCHES, "a + b", expression("a + b", a=(4, 4), b=(4, 4)), at_most=0.5),
    on_gpu(LAUNCHES, "relu", expression("fb.relu(a)", a=(4, 4)), at_most=0.5),
    on_gpu(LAUNCHES, "a.mul_(2)", expression("a.mul_(2.0)", a=(4, 4), compare=False), at_most=0.5),
    on_gpu(LAUNCHES, "sum", expression("a.sum()", a=(4, 4))),
    on_gpu(LAUNCHES, "a @ b", expression("a @ b", a=(4, 4), b=(4, 4))),
    on_gpu(LAUNCHES, "item", expression("a.item()", a=())),
    *(on_gpu(LARGE, code, large(code), at_most=1.0) for code in MOVED),
    *(on_gpu(BANDWIDTH, code, beside_a_copy(code), at_most=1.05, unit="times") for code in MOVED),
    on_gpu(PRODUCTS, "bfloat16, 8192x8192", product("bfloat16", LARGEST_PRODUCT), at_most=1.05),
    on_gpu(PRODUCTS, "float16, 4096x4096", product("float16", LARGEST_PRODUCT // 2)),
    on_gpu(PRODUCTS, "float32 (TF32), 4096x4096", product("float32", LARGEST_PRODUCT // 2)),
    on_gpu(PRODUCTS, "float64, 4096x4096", product("float64", LARGEST_PRODUCT // 2)),
    on_gpu(PRODUCTS, "attention 8x16x2048x128", attention, at_most=1.05),
    on_gpu(PRODUCTS, "attention, causal", partial(attention, causal=True)),
    on_gpu(PRODUCTS, "attention, with gradient", partial(attention, gradient=True)),
    on_gpu(PRODUCTS, "conv2d 32x128x28x28, 3x3, with gradient", convolution),
    on_gpu(TRAINING, "LeNet, batch 64, step", small_lenet, at_most=0.6),
    on_gpu(TRAINING, "LeNet, batch 64, graph against step", in_a_graph(small_lenet), at_most=0.3, against=small_lenet),
    on_gpu(TRAINING, "LeNet, batch 64, graph", in_a_graph(small_lenet)),
    on_gpu(TRAINING, "DCGAN 32x32, batch 32, step", dcgan, at_most=1.0),
    on_gpu(TRAINING, "ResNet-18, batch 32, step", photographs(resnet18, momentum), at_most=1.0),
    on_gpu(TRAINING, "ResNet-18, batch 32, graph", in_a_graph(photographs(resnet18, momentum))),
    on_gpu(TRAINING, "ViT-S, batch 32, step", photographs(vit_small, adamw), at_most=1.0),
    on_gpu(TRAINING, "ViT-S, batch 32, graph", in_a_graph(photographs(vit_small, capturable_adamw))),
    on_gpu(TRAINING, "GPT-2 small, batch 4x1024, step", small_gpt_2, at_most=1.0),
    on_gpu(TRAINING, "GPT-2 small, batch 4x1024, graph", in_a_graph(partial(small_gpt_2, rule=capturable_adamw))),
    on_gpu(TRAINING, "GPT-2 small, bfloat16, step", partial(small_gpt_2, half=True), at_most=1.0),
    on_gpu(
        FOOTPRINT,
        "import, what GPUs add",
        lambda library: footprint.gpu_import_ms(library.name),
        at_most=10.0,
        unit="ms",
    ),
    on_gpu(
        FOOTPRINT,
        "first use, warm cache",
        lambda library: footprint.first_use_ms(library.name),
        at_most=1000,
        unit="ms",
    ),
)
