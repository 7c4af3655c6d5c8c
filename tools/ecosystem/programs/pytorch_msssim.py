"""Pytorch-msssim: the structural similarity of images."""

from pytorch_msssim import MS_SSIM, SSIM, ms_ssim, ssim

from tools.ecosystem.cases import uniform


def similarity():
    first, second = uniform(2, 3, 32, 32), uniform(2, 3, 32, 32, seed=1).requires_grad_()
    value = ssim(first, second, data_range=1, size_average=False)
    value.sum().backward()
    return {"value": value, "gradient": second.grad, "of_module": SSIM(data_range=1, channel=3)(first, second)}


def several_scales():
    first, second = uniform(2, 1, 192, 192), uniform(2, 1, 192, 192, seed=1)
    mixed = (0.8 * first + 0.2 * second).requires_grad_()
    value = ms_ssim(first, mixed, data_range=1)
    value.backward()
    return {"value": value, "gradient": mixed.grad, "module": MS_SSIM(data_range=1, channel=1)(first, mixed)}


def volumes():
    first, second = uniform(1, 2, 16, 16, 16), uniform(1, 2, 16, 16, 16, seed=1)
    return ssim(first, second, data_range=1, nonnegative_ssim=True)
