"""LPIPS: the distance between images in the feature space of a network."""

import lpips

from tools.ecosystem.cases import fill, gradients, uniform


def _distance(network, **options):
    model = fill(
        lpips.LPIPS(net=network, pretrained=False, pnet_rand=True, pnet_tune=True, verbose=False, **options)
    ).eval()
    model.double()  # float32 rounding could change which element of a pooling window is the largest
    first, second = (2 * uniform(1, 3, 64, 64, seed=seed).double() - 1 for seed in (0, 1))
    value = model(first, second.requires_grad_())
    value.sum().backward()
    return {"value": value, "gradient": second.grad, "trained": list(gradients(model))}


def alexnet():
    return _distance("alex")


def squeezenet():
    return _distance("squeeze", spatial=True)


def vgg():
    return _distance("vgg")
