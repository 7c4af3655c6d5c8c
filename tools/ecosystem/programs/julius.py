"""Julius: resampling, filters and convolutions of signals."""

import julius
import torch
from julius.core import mel_frequencies, unfold

from tools.ecosystem.cases import normal


def resampling():
    signal = normal(2, 1000)
    return {
        "down": julius.resample_frac(signal, 44, 16),
        "up": julius.ResampleFrac(3, 8, zeros=16)(signal),
        "length": julius.resample_frac(signal, 4, 5, output_length=1200),
    }


def filters():
    signal = normal(2, 1000).requires_grad_()
    low = julius.lowpass_filter(signal, 0.1)
    low.square().sum().backward()
    bands = julius.SplitBands(sample_rate=1000, n_bands=4)(signal.detach())
    return {
        "low": low,
        "gradient": signal.grad,
        "lows": julius.lowpass_filters(signal.detach(), [0.05, 0.2], stride=2),
        "high": julius.highpass_filter(signal.detach(), 0.2, fft=True),
        "bandpass": julius.bandpass_filter(signal.detach(), 0.1, 0.3),
        "bands": bands,
        "mel": mel_frequencies(6, 20.0, 2000.0),
    }


def convolutions():
    signal, kernel = normal(2, 3, 500), normal(4, 3, 41, seed=1)
    module = julius.FFTConv1d(3, 4, 41, stride=2)
    with torch.no_grad():
        module.weight.copy_(kernel)
        module.bias.copy_(normal(4))
    return {
        "function": julius.fft_conv1d(signal, kernel, stride=3),
        "module": module(signal),
        "folded": unfold(normal(20), 6, 4),
    }
