"""Auraloss: losses of audio signals in time and in frequency."""

import auraloss

from tools.ecosystem.cases import normal

TOLERANCE = 1e-3


def _computed(loss_of, channels=1):
    signal, target = normal(2, channels, 4096).requires_grad_(), normal(2, channels, 4096, seed=1)
    loss = loss_of(signal, target)
    loss.backward()
    return {"loss": loss, "gradient": signal.grad}


def in_time():
    names = ("ESRLoss", "DCLoss", "LogCoshLoss", "SNRLoss", "SISDRLoss", "SDSDRLoss")
    return {name: _computed(getattr(auraloss.time, name)()) for name in names}


def in_frequency():
    return {
        "stft": _computed(auraloss.freq.STFTLoss(fft_size=256, hop_size=64, win_length=256)),
        "several": _computed(
            auraloss.freq.MultiResolutionSTFTLoss(fft_sizes=[512, 256], hop_sizes=[100, 50], win_lengths=[400, 200])
        ),
        "weighted": _computed(auraloss.freq.STFTLoss(perceptual_weighting=True, sample_rate=44100)),
        "sums": _computed(auraloss.freq.SumAndDifferenceSTFTLoss([512], [100], [400]), 2),
        "filtered": list(
            auraloss.perceptual.FIRFilter(filter_type="aw", fs=44100)(normal(1, 1, 500), normal(1, 1, 500, seed=1))
        ),
    }
