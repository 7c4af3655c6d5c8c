"""Whole training steps: zero_grad, forward, loss, backward, step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..workload import Code, Library, Workload

# The time of a step does not depend on the learning rate. With a tiny learning rate, weights and gradients hardly
# change. Otherwise the network would memorise its batch, and gradients and moments would become denormal numbers, which
# are slow.
LEARNING_RATE = 1e-6

Build = Callable[[Library], Any]
Optimizer = Callable[[Library, Any], Any]


def sgd(library: Library, parameters: Any) -> Any:
    return library.optim.SGD(parameters, lr=LEARNING_RATE)


def momentum(library: Library, parameters: Any) -> Any:
    return library.optim.SGD(parameters, lr=LEARNING_RATE, momentum=0.9)


def adam(library: Library, parameters: Any) -> Any:
    return library.optim.Adam(parameters, lr=LEARNING_RATE)


def adamw(library: Library, parameters: Any) -> Any:
    return library.optim.AdamW(parameters, lr=LEARNING_RATE)


def classifier(library: Library) -> Any:
    """Return the multi-layer perceptron 784-128-10."""
    nn = library.nn
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def regressor(library: Library) -> Any:
    """Return the multi-layer perceptron 8-32-32-1."""
    nn = library.nn
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))


def lenet(library: Library) -> Any:
    """Return a LeNet-5 for 28x28 images, with max pooling and ReLU."""
    nn = library.nn
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def step(build: Build, optimizer: Optimizer, inputs: tuple[int, ...], outputs: int) -> Callable[[Library], Code]:
    """Return a function that creates a training step of the model that ``build`` returns.

    The loss is the cross-entropy over ``outputs`` classes, or the mean squared error for one output.
    """

    def prepare(library: Library) -> Code:
        model = build(library)
        fill(library, model)
        rule, call = optimizer(library, model.parameters()), library.compiled(model, fullgraph=True)
        x, batch = library.normal(*inputs), inputs[0]
        target = library.normal(batch, 1) if outputs == 1 else library.integers(outputs, batch)
        loss_function = library.functional.mse_loss if outputs == 1 else library.functional.cross_entropy

        def training_step() -> Any:
            rule.zero_grad()
            loss = loss_function(call(x), target)
            loss.backward()
            rule.step()
            return loss

        return Code(training_step)

    return prepare


def forward(build: Build, inputs: tuple[int, ...]) -> Callable[[Library], Code]:
    """Return a function that creates the forward pass, without recording, of the model that ``build`` returns."""

    def prepare(library: Library) -> Code:
        model = build(library).eval()
        fill(library, model)
        x, no_grad = library.normal(*inputs), library.fb.no_grad

        def evaluation() -> Any:
            with no_grad():
                return model(x)

        return Code(evaluation)

    return prepare


def fill(library: Library, model: Any) -> None:
    """Fill the model's parameters with the same weights in both libraries, scaled to keep activations near 1."""
    if library.device != "cpu":
        model.to(library.device)
    with library.fb.no_grad():
        for parameter in model.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(library.normal(*parameter.shape, scale=inputs**-0.5))


MLP, LENET = "training, MLP", "training, LeNet"

ROWS = (
    Workload(MLP, "784-128-10, batch 32, SGD step", step(classifier, sgd, (32, 784), 10), at_most=0.4),
    Workload(MLP, "784-128-10, batch 32, Adam step", step(classifier, adam, (32, 784), 10), at_most=0.4),
    Workload(MLP, "8-32-32-1, batch 64, Adam step", step(regressor, adam, (64, 8), 1), at_most=0.3),
    Workload(MLP, "8-32-32-1, batch 1, forward", forward(regressor, (1, 8))),
    Workload(LENET, "batch 1, step", step(lenet, momentum, (1, 1, 28, 28), 10), at_most=0.5),
    Workload(LENET, "batch 64, step", step(lenet, momentum, (64, 1, 28, 28), 10), at_most=0.7),
    Workload(LENET, "batch 256, step", step(lenet, momentum, (256, 1, 28, 28), 10)),
    Workload(LENET, "batch 64, forward", forward(lenet, (64, 1, 28, 28))),
)
