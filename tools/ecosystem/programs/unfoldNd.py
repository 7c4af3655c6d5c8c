"""UnfoldNd: sliding windows over arrays with one, two and three dimensions."""

import unfoldNd

from tools.ecosystem.cases import normal


def windows():
    options = {"dilation": 2, "padding": 1, "stride": 2}
    volumes = normal(2, 3, 7, 8, 9).requires_grad_()
    unfolded = unfoldNd.unfoldNd(volumes, (2, 3, 2), **options)
    unfolded.square().sum().backward()
    return {
        "one": unfoldNd.UnfoldNd(3, **options)(normal(2, 3, 12)),
        "two": unfoldNd.unfoldNd(normal(2, 3, 9, 9), 3),
        "three": unfolded,
        "gradient": volumes.grad,
        "transposed": unfoldNd.unfold_transposeNd(normal(2, 3, 5), 3, stride=2),
        "folded": unfoldNd.foldNd(normal(2, 6, 4), (5,), 2),
    }
