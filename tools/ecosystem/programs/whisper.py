"""Whisper: recognition of speech."""

import whisper
from whisper.model import ModelDimensions, Whisper

from tools.ecosystem.cases import fill, gradients, integers, normal, uniform

_SIZES = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_vocab": 51865,
    "n_text_ctx": 24,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 1,
}


def _model():
    return fill(Whisper(ModelDimensions(**_SIZES)))


def training():
    model = _model()
    logits = model(normal(1, 80, 3000), integers(100, 1, 5))
    logits.square().mean().backward()
    lengths = {name: gradient.double().norm() for name, gradient in gradients(model).items()}
    return {"logits": logits[..., :100], "lengths": lengths}


def spectrogram():
    return whisper.log_mel_spectrogram(uniform(16000) - 0.5, padding=8000)


def decoding():
    kinds = {"greedy": {}, "beam": {"beam_size": 2}}
    found = {}
    for name, chosen in kinds.items():
        options = whisper.DecodingOptions(language="en", sample_len=5, fp16=False, **chosen)
        (result,) = _model().eval().decode(normal(1, 80, 3000), options)
        found[name] = {"tokens": result.tokens, "probability": result.avg_logprob}
    return found


def transcription():
    sound = (uniform(32000) - 0.5).numpy()
    return _model().eval().transcribe(sound, language="en", fp16=False, temperature=0.0, sample_len=4)["text"]
