"""Foolbox: adversarial images, computed with tensors of the library eagerpy."""

import foolbox
import torch

from tools.ecosystem.cases import fill, integers, uniform

TOLERANCE = 1e-3


def _model():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )
    return foolbox.PyTorchModel(
        fill(network).eval(), bounds=(0, 1), preprocessing={"mean": [0.5], "std": [0.5], "axis": -3}
    )


def attacks():
    images, labels = uniform(4, 1, 8, 8), integers(3, 4)
    kinds = {
        "fgsm": foolbox.attacks.LinfFastGradientAttack(random_start=False),
        "pgd": foolbox.attacks.LinfPGD(steps=4, random_start=False),
        "l2": foolbox.attacks.L2BasicIterativeAttack(steps=4, random_start=False),
        "ddn": foolbox.attacks.DDNAttack(steps=5),
        "deepfool": foolbox.attacks.L2DeepFoolAttack(steps=4),
        "carlini": foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=2, steps=4),
        "newton": foolbox.attacks.NewtonFoolAttack(steps=3),
        "ead": foolbox.attacks.EADAttack(binary_search_steps=2, steps=4),
    }
    results = {}
    for name, attack in kinds.items():
        raw, clipped, success = attack(_model(), images, labels, epsilons=[0.03, 0.3])
        results[name] = {"raw": raw, "clipped": clipped, "success": success}
    return {"accuracy": foolbox.accuracy(_model(), images, labels), **results}
