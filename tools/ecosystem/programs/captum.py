"""Captum: attribution of a model's outputs to its inputs and layers."""

import torch
from captum.attr import (
    LRP,
    DeepLift,
    FeatureAblation,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    LayerConductance,
    LayerGradCam,
    LayerIntegratedGradients,
    NeuronGradient,
    Occlusion,
    Saliency,
)
from captum.metrics import infidelity

from tools.ecosystem.cases import fill, integers, normal


class _Images(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 6, 3)
        self.relu = torch.nn.ReLU()
        self.pool = torch.nn.MaxPool2d(2)
        self.head = torch.nn.Linear(54, 4)

    def forward(self, images):
        return self.head(self.pool(self.relu(self.conv(images))).flatten(1))


class _Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(20, 8)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, words):
        return self.head(torch.tanh(self.table(words)).mean(1))


def gradients_of_inputs():
    model, images = fill(_Images()).eval(), normal(2, 3, 8, 8)
    attribution, delta = IntegratedGradients(model).attribute(
        images, torch.zeros_like(images), target=1, n_steps=20, return_convergence_delta=True
    )
    return {
        "integrated": attribution,
        "delta": delta.abs() < 1e-2,
        "saliency": Saliency(model).attribute(images, target=1),
        "product": InputXGradient(model).attribute(images, target=torch.tensor([0, 3])),
        "guided": GuidedBackprop(model).attribute(images, target=2),
    }


def rules_of_layers():
    model, images = fill(_Images()).eval(), normal(2, 3, 8, 8)
    return {
        "lift": DeepLift(model).attribute(images, torch.zeros_like(images), target=1),
        "relevance": LRP(model).attribute(images, target=1),
    }


def occlusion():
    model, images = fill(_Images()).eval(), normal(2, 3, 8, 8)
    mask = torch.arange(64).reshape(1, 1, 8, 8) // 16
    return {
        "ablation": FeatureAblation(model).attribute(images, target=1, feature_mask=mask, perturbations_per_eval=2),
        "occlusion": Occlusion(model).attribute(images, (3, 4, 4), strides=(3, 2, 2), target=1),
    }


def layers():
    model, images = fill(_Images()).eval(), normal(2, 3, 8, 8)
    return {
        "activation": LayerActivation(model, model.conv).attribute(images),
        "camera": LayerGradCam(model, model.conv).attribute(images, target=1),
        "guided": GuidedGradCam(model, model.conv).attribute(images, target=1),
        "conductance": LayerConductance(model, model.conv).attribute(images, target=1, n_steps=10),
        "neuron": NeuronGradient(model, model.conv).attribute(images, (0, 1, 1)),
    }


def words():
    model = fill(_Words()).eval()
    method = LayerIntegratedGradients(model, model.table)
    inputs = integers(20, 2, 6)
    return method.attribute(inputs, torch.zeros_like(inputs), target=1, n_steps=10)


def metrics():
    model, images = fill(_Images()).eval(), normal(2, 3, 8, 8)

    def perturbed(inputs):
        noise = normal(*inputs.shape, seed=1)
        return noise, inputs - noise

    attribution = Saliency(model).attribute(images, target=1)
    return infidelity(model, perturbed, images, attribution, target=1, n_perturb_samples=2)
