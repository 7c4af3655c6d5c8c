"""Compiled models against the same models uncompiled, in ONNX Runtime, in PyTorch and under ``torch.compile``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import peak_memory
from ..engines import AS_COMPILED_FOR, EAGER, ONNX, TORCH, TORCH_COMPILE
from ..workload import Code, Library, Workload
from . import networks, networks_sequences
from .models import CHARACTERS, Size, dcgan, decoder, gpt
from .residual import resnet18
from .training import adam, adamw, fill, lenet, regressor, step

LARGE_GPT = Size(vocabulary=1024, width=768, heads=12, blocks=12, text=(1, 64))
FIRST_CALL, OTHER_SIZE, MEMORY = ", first call", ", another size", ", peak memory"
ALTERNATIVES = (EAGER, ONNX, TORCH, TORCH_COMPILE)


@dataclass(frozen=True)
class Model:
    """Function or module with its inputs.

    Attributes:
        inputs: function that returns the inputs of a batch.
        batch: size of the batch, or the number of elements for a function.
        other: batch size for the row that calls the model with another size than the captured size.
        has_memory: True if a row measures the peak memory.
    """

    group: str
    name: str
    build: Callable[[Library], Any]
    inputs: Callable[[Library, int], tuple[Any, ...]]
    batch: int = 1
    other: int | None = None
    has_memory: bool = False

    @property
    def key(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass
class Running:
    """Model that has been called once.

    Attributes:
        code: the call to time.
        seconds: duration of the first call, including the work of the engine before it.
    """

    code: Code
    seconds: float


def network(library: Library, model: Model) -> Any:
    """Return a model that is not compiled, in evaluation mode, with weights that do not require grad."""
    library.reseed()  # weights do not depend on the batch
    built = model.build(library)
    if isinstance(built, library.nn.Module):
        built.eval()
        fill(library, built)
        for parameter in built.parameters():
            parameter.requires_grad_(False)
    return built


def start(library: Library, model: Model) -> Running:
    """Create a model, call it once, and measure the time of the call."""
    library.reseed()
    inputs = model.inputs(library, model.batch)
    if library.engine == "onnx":
        return started_session(library, model, inputs)
    built = network(library, model)
    begin = time.perf_counter()
    call = library.compiled(
        built, fullgraph=True
    )  # if it cannot be captured, the row is missing instead of measured without compilation
    call(*inputs)
    seconds = time.perf_counter() - begin
    names = {f"x{i}": x for i, x in enumerate(inputs)}
    return Running(Code(f"call({', '.join(names)})", {"call": call, **names}), seconds)


def onnx_path(folder: str, model: Model) -> Path:
    """Return the path of a model's ONNX file."""
    return Path(folder) / f"{MODELS.index(model)}.onnx"


def started_session(library: Library, model: Model, inputs: Sequence[Any]) -> Running:
    """Load a model in ONNX Runtime and run it once."""
    path = onnx_path(library.files, model)
    if (failure := path.with_suffix(".failed")).exists():
        raise RuntimeError(f"flambeau.onnx.export: {failure.read_text(encoding='utf-8')}")
    runtime = library.fb
    options = runtime.SessionOptions()
    options.intra_op_num_threads = library.threads
    begin = time.perf_counter()
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {wanted.name: array for wanted, array in zip(session.get_inputs(), inputs, strict=True)}
    session.run(None, feeds)
    seconds = time.perf_counter() - begin
    return Running(Code("run(None, feeds)", {"run": session.run, "feeds": feeds}), seconds)


_started: dict[str, Running] = {}  # the model that this process currently measures


def running(library: Library, model: Model, start: Callable[[Library, Model], Running] = start) -> Running:
    """Return a model that has been called once. Consecutive rows of one model share it."""
    if model.key not in _started:
        _started.clear()
        _started[model.key] = start(library, model)
    return _started[model.key]


def repeated(library: Library, model: Model) -> Code:
    """Return the call of a model that has already been called once."""
    return running(library, model).code


def first_call_ms(library: Library, model: Model) -> float:
    """Return the time in ms of the first call, which captures the model or loads the file."""
    return 1e3 * running(library, model).seconds


def at_another_size(library: Library, model: Model, *, captured: bool) -> Code:
    """Return a call with the batch size ``model.other`` of a model that was captured with the size ``model.batch``.

    Args:
        captured: if True, the model was captured with the size ``model.other``.
    """
    assert model.other is not None
    code = start(library, replace(model, batch=model.other) if captured else model).code
    library.reseed()
    inputs = model.inputs(library, model.other)
    code = replace(code, names={**code.names, **{f"x{i}": x for i, x in enumerate(inputs)}})
    code.result()
    return code


def peak_mb(library: Library, model: Model) -> float:
    """Return the memory in MB that calls need in addition to weights and inputs, measured in a separate process."""
    return peak_memory.measure_peak(library.name, library.engine, library.threads, model.key)


def model_of(key: str) -> Model:
    """Return the model to which the workload with the key ``key`` belongs."""
    return next(model for model in MODELS if key.startswith(model.key))


def normal(*shape: int) -> Callable[[Library, int], tuple[Any, ...]]:
    """Return a function that creates a batch of standard normal numbers, for `Model.inputs`."""
    return lambda library, batch: (library.normal(batch, *shape),)


def tokens(vocabulary: int, length: int) -> Callable[[Library, int], tuple[Any, ...]]:
    """Return a function that creates a batch of random token sequences, for `Model.inputs`."""
    return lambda library, batch: (library.integers(vocabulary, batch, length),)


def text_and_kinds(library: Library, batch: int) -> tuple[Any, ...]:
    """Return the inputs of BERT: token ids and segment ids."""
    return library.integers(30_522, batch, 128), library.integers(2, batch, 128)


def table_rows(library: Library, batch: int) -> tuple[Any, ...]:
    """Return the inputs of `networks_sequences.dlrm`: dense features and indices of embeddings."""
    features = library.normal(batch, networks_sequences.FEATURES)
    return features, library.integers(10_000, batch, networks_sequences.TABLES)


def graph(library: Library, nodes: int) -> tuple[Any, ...]:
    """Return the inputs of `networks.gcn`: features of nodes, four random edges per node, and weights of edges."""
    edges = library.integers(nodes, 4 * nodes), library.integers(nodes, 4 * nodes)
    return library.normal(nodes, 256), *edges, library.uniform(0.1, 0.5, 4 * nodes)


def pointwise(library: Library) -> Any:
    """Return a function that applies eleven pointwise operators."""
    fb = library.fb

    def chain(x: Any, y: Any) -> Any:
        z = (x * 2.0 + y).tanh() * fb.sigmoid(y)
        return fb.where(z > 0, fb.exp(z - 1.0), y) * 0.5 + x

    return chain


def tiny(library: Library) -> Any:
    """Return a function that applies two operators."""
    return lambda x: x * 2.0 + 1.0


def norm_gelu_residual(library: Library) -> Any:
    """Return a function that computes ``x + gelu(norm(x))``."""
    nn, gelu = library.nn, library.functional.gelu

    class Layer(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(768)

        def forward(self, x: Any) -> Any:
            return x + gelu(self.norm(x))

    return Layer()


def perceptron(library: Library) -> Any:
    """Return the multi-layer perceptron 16-64-64-4."""
    nn = library.nn
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))


VISION, TEXT, SMALL, OTHER = (f"compile, {kind}" for kind in ("vision", "text", "small", "other"))
PHOTOGRAPH = normal(3, 224, 224)

MODELS = (
    Model(VISION, "MobileNetV2, 224", networks.mobilenet_v2, PHOTOGRAPH, has_memory=True),
    Model(VISION, "ResNet-18, 224", resnet18, PHOTOGRAPH, other=2, has_memory=True),
    Model(VISION, "ViT-S/16, 224", networks_sequences.vit, PHOTOGRAPH, has_memory=True),
    Model(VISION, "U-Net, 128", networks.unet, normal(3, 128, 128), has_memory=True),
    Model(TEXT, "GPT 12x768, 64 tokens", partial(decoder, size=LARGE_GPT), tokens(1024, 64), has_memory=True),
    Model(TEXT, "GPT 12x768, 1 token", partial(decoder, size=LARGE_GPT), tokens(1024, 1)),
    Model(TEXT, "GPT 4x128, batch 8x64", partial(decoder, size=CHARACTERS), tokens(65, 64), 8, other=3),
    Model(TEXT, "BERT-base, 128 tokens", networks_sequences.bert, text_and_kinds, has_memory=True),
    Model(SMALL, "x * 2 + 1, 4 numbers", tiny, lambda library, n: (library.normal(n),), 4),
    Model(SMALL, "MLP 16-64-64-4", perceptron, normal(16), other=32),
    Model(
        SMALL,
        "eleven pointwise, 10^6",
        pointwise,
        lambda library, n: (library.normal(n), library.normal(n)),
        1_000_000,
        other=300_000,
        has_memory=True,
    ),
    Model(SMALL, "x + gelu(norm(x)), 8x512x768", norm_gelu_residual, normal(512, 768), 8, has_memory=True),
    Model(OTHER, "LSTM 2x256, 64 steps", networks_sequences.lstm, normal(64, 64)),
    Model(OTHER, "WaveNet 10x32, 4096 samples", networks_sequences.wavenet, normal(1, 4096), has_memory=True),
    Model(OTHER, "DLRM, batch 128", networks_sequences.dlrm, table_rows, 128),
    Model(OTHER, "PointNet, 1024 points", networks.pointnet, normal(3, 1024)),
    Model(OTHER, "GCN, 2708 nodes", networks.gcn, graph, 2708),
)


def inference(model: Model) -> list[Workload]:
    """Return the benchmark rows of a model's inference."""
    of, group = partial(partial, model=model), model.group
    rows = [
        Workload(group, model.name + FIRST_CALL, of(first_call_ms), unit="ms", baselines=ALTERNATIVES),
        Workload(group, model.name, of(repeated), baselines=ALTERNATIVES),
    ]
    if model.other:
        captured, other = of(at_another_size, captured=True), of(at_another_size, captured=False)
        rows.append(Workload(group, model.name + OTHER_SIZE, other, against=captured, baselines=(AS_COMPILED_FOR,)))
    return rows


Rule = Callable[[Library, Any], Any]
Prepare = Callable[[Library], Code]


def dense_step(build: Callable[[Library], Any], *shape: int) -> Prepare:
    """Return a function that creates a training step of a network whose output has one channel and the input's size."""

    def prepare(library: Library) -> Code:
        model = build(library)
        fill(library, model)
        rule = adamw(library, model.parameters())
        x, target, call = (
            library.normal(*shape),
            library.positive(shape[0], 1, *shape[2:]),
            library.compiled(model, fullgraph=True),
        )

        def training_step() -> Any:
            rule.zero_grad()
            loss = library.functional.mse_loss(call(x), target)
            loss.backward()
            rule.step()
            return loss

        return Code(training_step)

    return prepare


def pointwise_gradients(library: Library) -> Code:
    """Return the computation of `pointwise` and its gradients on 10^6 numbers."""
    call = library.compiled(pointwise(library), fullgraph=True)
    x, y = (library.normal(1_000_000).requires_grad_() for _ in range(2))
    weight = library.normal(1_000_000)

    def gradients() -> Any:
        x.grad = y.grad = None
        call(x, y).backward(weight)
        return x.grad

    return Code(gradients)


def compiled_step(prepare: Prepare) -> Prepare:
    """Return a function that compiles the whole training step, with gradients and optimizer, not only the model."""

    def prepared(library: Library) -> Code:
        engine, library.engine = library.engine, "eager"
        try:
            code = prepare(library)
        finally:
            library.engine = engine
        return replace(code, statement=library.compiled(code.statement))

    return prepared


TRAINING = "compile, training"
# Functions that create training steps, by name.
STEPS: Mapping[str, Prepare] = {
    "ResNet-18, batch 8": step(resnet18, adamw, (8, 3, 224, 224), 1000),
    "MobileNetV2, batch 1": step(networks.mobilenet_v2, adamw, (1, 3, 224, 224), 1000),
    "ViT-S/16, batch 1": step(networks_sequences.vit, adamw, (1, 3, 224, 224), 1000),
    "U-Net, 128, batch 1": dense_step(networks.unet, 1, 3, 128, 128),
    "GPT 12x768, 64 tokens": partial(gpt, size=LARGE_GPT),
    "GPT 4x128, batch 8x64": gpt,
    "LSTM 2x256, batch 1x64": step(networks_sequences.lstm, adamw, (1, 64, 64), 10),
    "LeNet, batch 64": step(lenet, adamw, (64, 1, 28, 28), 10),
    "DCGAN 32x32, batch 32": dcgan,
    "eleven pointwise, 10^6": pointwise_gradients,
    "MLP 16-64-64-4, batch 1": step(perceptron, adamw, (1, 16), 4),
    "MLP 8-32-32-1, batch 64, as a whole": compiled_step(step(regressor, adam, (64, 8), 1)),
    "LeNet, batch 64, as a whole": compiled_step(step(lenet, adamw, (64, 1, 28, 28), 10)),
    "GPT 4x128, batch 8x64, as a whole": compiled_step(gpt),
}


def first_step(library: Library, name: str) -> Running:
    """Create a training step and run it once."""
    library.reseed()
    code = STEPS[name](library)
    begin = time.perf_counter()
    code.result()
    return Running(code, time.perf_counter() - begin)


def training(name: str) -> list[Workload]:
    """Return the benchmark rows of a training step."""
    model, beside = Model(TRAINING, name, STEPS[name], normal()), (EAGER, TORCH, TORCH_COMPILE)
    begun = partial(running, model=model, start=lambda library, model: first_step(library, model.name))
    return [
        Workload(
            TRAINING, name + FIRST_CALL, lambda library: 1e3 * begun(library).seconds, unit="ms", baselines=beside
        ),
        Workload(TRAINING, name, lambda library: begun(library).code, baselines=beside),
    ]


def memory(model: Model) -> Workload:
    """Return the benchmark row of a model's peak memory."""
    return Workload(
        "compile, memory", model.name + MEMORY, partial(peak_mb, model=model), unit="MB", baselines=(EAGER,)
    )


ROWS = (
    *(row for model in MODELS for row in inference(model)),
    *(row for name in STEPS for row in training(name)),
    *(memory(model) for model in MODELS if model.has_memory),
)
