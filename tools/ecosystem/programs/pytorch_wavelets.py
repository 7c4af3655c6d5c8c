"""Pytorch-wavelets: wavelet transforms of signals and images, their inverses and their gradients."""

from pytorch_wavelets import DTCWTForward, DTCWTInverse, DWT1DForward, DWT1DInverse, DWTForward, DWTInverse, ScatLayer

from tools.ecosystem.cases import normal


def images():
    pictures = normal(2, 3, 32, 32).requires_grad_()
    lows, highs = DWTForward(J=2, wave="db3", mode="symmetric")(pictures)
    (lows.square().sum() + highs[0].square().sum()).backward()
    back = DWTInverse(wave="db3", mode="symmetric")((lows, highs))
    modes = {
        mode: DWTForward(J=1, wave="haar", mode=mode)(normal(1, 1, 9, 9))[0]
        for mode in ("zero", "reflect", "periodization")
    }
    return {"lows": lows, "highs": highs, "back": back, "gradient": pictures.grad, "modes": modes}


def signals():
    lows, highs = DWT1DForward(wave="db6", J=3)(normal(2, 3, 100))
    return {"lows": lows, "highs": highs, "back": DWT1DInverse(wave="db6")((lows, highs))}


def dual_trees():
    pictures = normal(1, 2, 32, 32).requires_grad_()
    lows, highs = DTCWTForward(J=3, biort="near_sym_b", qshift="qshift_b")(pictures)
    highs[1].square().sum().backward()
    return {
        "lows": lows,
        "highs": highs,
        "gradient": pictures.grad,
        "back": DTCWTInverse(biort="near_sym_b", qshift="qshift_b")((lows, highs)),
        "scattered": ScatLayer()(normal(1, 2, 16, 16)),
    }
