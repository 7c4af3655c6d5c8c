"""Segmentation Models: encoders with decoders, losses and metrics for masks."""

import segmentation_models_pytorch as smp

from tools.ecosystem.cases import fill, gradients, integers, normal


def _computed(name, encoder="resnet18", size=32, **options):
    model = fill(smp.create_model(name, encoder_name=encoder, encoder_weights=None, classes=3, **options)).eval()
    masks = model(normal(2, 3, size, size))
    masks.square().mean().backward()
    return {"masks": masks, "lengths": {key: value.double().norm() for key, value in gradients(model).items()}}


def decoders():
    names = ("unet", "unetplusplus", "fpn", "pspnet", "linknet", "manet", "deeplabv3plus")
    return {name: _computed(name) for name in (*names, "segformer")}


def encoders():
    names = ("efficientnet-b0", "mobilenet_v2", "mit_b0", "tu-convnext_atto")
    return {name: _computed("fpn", name) for name in names}


def training():
    model = fill(smp.Unet("resnet18", encoder_weights=None, classes=1, aux_params={"classes": 4, "dropout": 0.0}))
    model.double()  # in float32, statistics of only four numbers would amplify rounding errors
    images, targets = normal(4, 3, 32, 32).double(), integers(2, 4, 1, 32, 32)
    loss_of = smp.losses.DiceLoss("binary")
    losses = []
    for _ in range(3):
        masks, labels = model(images)
        loss = loss_of(masks, targets) + labels.square().mean()
        model.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.data.sub_(0.01 * parameter.grad)
        losses.append(loss.detach())
    return {"losses": losses, "masks": masks}


def losses():
    scores, targets = normal(2, 3, 8, 8).requires_grad_(), integers(3, 2, 8, 8)
    kinds = {
        "dice": smp.losses.DiceLoss("multiclass"),
        "jaccard": smp.losses.JaccardLoss("multiclass"),
        "focal": smp.losses.FocalLoss("multiclass"),
        "lovasz": smp.losses.LovaszLoss("multiclass"),
        "tversky": smp.losses.TverskyLoss("multiclass"),
        "entropy": smp.losses.SoftCrossEntropyLoss(smooth_factor=0.1),
    }
    found = {name: loss(scores, targets) for name, loss in kinds.items()}
    sum(found.values()).backward()
    binary, mask = normal(2, 1, 8, 8), integers(2, 2, 1, 8, 8)
    return {
        **found,
        "gradient": scores.grad,
        "mcc": smp.losses.MCCLoss()(binary.sigmoid(), mask),
        "soft": smp.losses.SoftBCEWithLogitsLoss(smooth_factor=0.1)(binary, mask.float()),
    }


def metrics():
    counts = smp.metrics.get_stats(integers(3, 2, 8, 8), integers(3, 2, 8, 8, seed=1), mode="multiclass", num_classes=3)
    names = ("iou_score", "f1_score", "accuracy", "recall", "precision", "balanced_accuracy")
    return {name: getattr(smp.metrics, name)(*counts, reduction="macro") for name in names} | {"counts": counts}
