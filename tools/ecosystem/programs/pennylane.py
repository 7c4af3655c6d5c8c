"""Pennylane: circuits of qubits that are differentiated with PyTorch."""

import pennylane as qml
import torch

from tools.ecosystem.cases import fill, normal, uniform

_DEVICE = qml.device("default.qubit", wires=2)


def _gradients(method):
    @qml.qnode(_DEVICE, interface="torch", diff_method=method)
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.BasicEntanglerLayers(weights, wires=range(2))
        return [qml.expval(qml.PauliZ(wire)) for wire in range(2)]

    inputs, weights = uniform(2).double().requires_grad_(), uniform(2, 2, seed=1).double().requires_grad_()
    values = torch.stack(circuit(inputs, weights))
    values.sum().backward()
    return {"values": values, "inputs": inputs.grad, "weights": weights.grad}


def circuits():
    return {method: _gradients(method) for method in ("backprop", "parameter-shift")}


def a_layer_of_a_network():
    @qml.qnode(_DEVICE)
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=range(2))
        qml.StronglyEntanglingLayers(weights, wires=range(2))
        return [qml.expval(qml.PauliZ(wire)) for wire in range(2)]

    layer = qml.qnn.TorchLayer(circuit, {"weights": (1, 2, 3)})
    model = fill(torch.nn.Sequential(torch.nn.Linear(3, 2), layer, torch.nn.Linear(2, 1)))
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for step in range(3):
        loss = model(normal(4, 3, seed=step)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses
