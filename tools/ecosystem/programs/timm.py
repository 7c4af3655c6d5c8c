"""Timm: image models and their training."""

import io
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.data import Mixup, create_dataset, create_loader, create_transform
from timm.layers import create_attn, create_norm_act_layer, resample_abs_pos_embed
from timm.loss import AsymmetricLossMultiLabel, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2, list_optimizers, param_groups_layer_decay
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, ModelEmaV3, accuracy, dispatch_clip_grad

from tools.ecosystem.cases import fill, gradients, integers, normal

# Optimizers that are not tested: adahessian and kron* draw random numbers, cmars depends on the signs of values near 0,
# and fused* and bnb* need more libraries.
_UNFIT = ("adahessian", "kron*", "cmars", "fused*", "bnb*")


def _computed(name, size=64, **options):
    """Return the scores for two images and the norms of gradients. Single gradients can be 0 up to rounding errors."""
    model = fill(timm.create_model(name, num_classes=5, **options)).eval()
    images = normal(2, 3, size, size).requires_grad_()
    scores = model(images)
    scores.square().sum().backward()
    lengths = torch.stack([value.double().norm() for value in gradients(model).values()])
    return {"scores": scores, "images": images.grad, "lengths": lengths}


def convolutional_models():
    names = ("resnet18", "efficientnet_b0", "convnext_atto", "mobilenetv3_small_050", "regnetx_002", "ghostnet_050")
    return {name: _computed(name) for name in names}


def attention_models():
    sized = (
        "vit_tiny_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "eva02_tiny_patch14_224",
        "xcit_nano_12_p16_224",
    )
    free = ("mobilevit_xxs", "fastvit_t8", "edgenext_xx_small", "poolformer_s12")
    sizes = {name: 56 if "patch14" in name else 64 for name in sized}
    return {
        **{name: _computed(name, size, img_size=size) for name, size in sizes.items()},
        **{name: _computed(name) for name in free},
        "swin": _computed("swin_tiny_patch4_window7_224", 56, img_size=56, depths=(1, 1, 1, 1)),
        "mixer": _computed("mixer_s32_224", 64, img_size=64),
    }


def features():
    pyramid = fill(timm.create_model("resnet18", features_only=True, out_indices=(1, 3))).eval()
    tokens = fill(timm.create_model("vit_tiny_patch16_224", img_size=64)).eval()
    images = normal(2, 3, 64, 64)
    return {
        "pyramid": pyramid(images),
        "channels": pyramid.feature_info.channels(),
        "tokens": tokens.forward_features(images),
        "intermediates": tokens.forward_intermediates(images, indices=2, output_fmt="NLC")[1],
        "positions": resample_abs_pos_embed(tokens.pos_embed, [6, 5]),
        "pooled": fill(timm.create_model("resnet18", num_classes=0, global_pool="catavgmax")).eval()(images),
    }


def layers():
    images = normal(2, 16, 8, 8)
    attentions = {name: fill(create_attn(name, 16)).eval()(images) for name in ("se", "eca", "cbam", "gc", "gca")}
    return {**attentions, "norm": fill(create_norm_act_layer("batchnorm2d", 16, act_layer="hard_swish"))(images)}


def training():
    model = fill(timm.create_model("test_resnet", num_classes=5))
    average = ModelEmaV3(model, decay=0.9)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05, filter_bias_and_bn=True)
    schedule, epochs = create_scheduler_v2(optimizer, sched="cosine", num_epochs=6, warmup_epochs=2, warmup_lr=1e-4)
    loss_of, meter, rates = LabelSmoothingCrossEntropy(0.1), AverageMeter(), []
    images, labels = normal(8, 3, 32, 32), integers(5, 8)
    for epoch in range(4):
        optimizer.zero_grad()
        scores = model(images)
        loss = loss_of(scores, labels)
        loss.backward()
        dispatch_clip_grad(model.parameters(), 1.0, mode="norm")
        optimizer.step()
        average.update(model)
        schedule.step(epoch + 1)
        rates.append(optimizer.param_groups[0]["lr"])
        meter.update(loss.item(), len(images))
    return {
        "loss": meter.avg,
        "rates": rates,
        "epochs": epochs,
        "accuracy": accuracy(scores, labels, topk=(1, 3)),
        "average": average.module.state_dict(),
    }


def optimizers():
    found = {}
    for name in list_optimizers(exclude_filters=_UNFIT):
        model = fill(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 3)))
        optimizer = create_optimizer_v2(model, opt=name, lr=1e-2, weight_decay=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            model(normal(4, 3, 8, 8)).square().mean().backward()
            optimizer.step()
        found[name] = dict(model.named_parameters())
    return found


def layer_decay():
    model = fill(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2))
    groups = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.7)
    return [[group["lr_scale"], group["weight_decay"], len(group["params"])] for group in groups]


def losses():
    scores, labels = normal(6, 5).requires_grad_(), integers(5, 6)
    mixed_images, mixed_labels = _mixed(labels)
    loss = SoftTargetCrossEntropy()(scores, mixed_labels) + AsymmetricLossMultiLabel()(scores, mixed_labels.round())
    loss.backward()
    return {"loss": loss, "gradient": scores.grad, "images": mixed_images}


def _mixed(labels):
    np.random.seed(0)
    return Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=5)(normal(6, 3, 8, 8), labels)


def data():
    with tempfile.TemporaryDirectory() as folder:
        for i in range(6):
            path = Path(folder, "train", "cat" if i % 2 else "dog", f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        dataset = create_dataset("", root=folder, split="train")
        loader = create_loader(
            dataset, (3, 32, 32), batch_size=4, use_prefetcher=False, num_workers=0, interpolation="bicubic"
        )
        batches = [{"images": images, "labels": labels} for images, labels in loader]
    transform = create_transform((3, 24, 24), is_training=False, crop_pct=0.9, interpolation="bilinear")
    return {"batches": batches, "image": transform(Image.fromarray(pixels))}


def saving():
    model = fill(timm.create_model("mobilenetv3_small_050", num_classes=4)).eval()
    optimizer = create_optimizer_v2(model, opt="lamb", lr=1e-2)
    file = io.BytesIO()
    torch.save({"state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "arch": "m"}, file)
    file.seek(0)
    saved = torch.load(file)
    other = timm.create_model("mobilenetv3_small_050", num_classes=4).eval()
    other.load_state_dict(saved["state_dict"])
    other.reset_classifier(3)
    fill(other.get_classifier())
    return {"scores": other(normal(2, 3, 64, 64)), "kept": list(saved)}
