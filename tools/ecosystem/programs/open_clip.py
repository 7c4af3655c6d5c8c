"""Open_clip: models of images and texts."""

import open_clip

from tools.ecosystem.cases import fill, gradients, integers, uniform

_TEXT = {"context_length": 12, "vocab_size": 60, "width": 32, "heads": 2, "layers": 2}
_TRANSFORMER = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}
_RESNET = {"image_size": 32, "patch_size": None, "width": 16, "layers": [1, 1, 1, 1]}


def _model(images):
    return fill(open_clip.CLIP(embed_dim=16, vision_cfg=images, text_cfg=_TEXT))


def training():
    model = _model(_TRANSFORMER)
    images, texts, scale = model(uniform(3, 3, 32, 32), integers(60, 3, 12))
    loss = open_clip.ClipLoss()(images, texts, scale)
    loss.backward()
    return {"images": images, "texts": texts, "loss": loss, "gradients": gradients(model)}


def features_of_a_residual_network():
    return _model(_RESNET).eval().encode_image(uniform(1, 3, 32, 32))


def tokens():
    return open_clip.tokenize(["a photo of a cat", "hello"])
