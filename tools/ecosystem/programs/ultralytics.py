"""Ultralytics: the networks of YOLO."""

import torch
from ultralytics.nn.tasks import ClassificationModel, DetectionModel, PoseModel, SegmentationModel

from tools.ecosystem.cases import fill, gradients, normal


def _flat(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for value in values if value is not None for tensor in _flat(value)]


def _computed(kind, name):
    model = fill(kind(name, ch=3, nc=3, verbose=False)).eval()
    found = _flat(model(normal(1, 3, 64, 64)))
    sum(value.square().mean() for value in found if value.requires_grad).backward()
    return {"found": found, "lengths": torch.stack([value.double().norm() for value in gradients(model).values()])}


def detection():
    return {name: _computed(DetectionModel, f"{name}.yaml") for name in ("yolov8n", "yolo11n")}


def segmentation():
    return _computed(SegmentationModel, "yolov8n-seg.yaml")


def classification():
    return _computed(ClassificationModel, "yolov8n-cls.yaml")


def poses():
    model = fill(PoseModel("yolov8n-pose.yaml", verbose=False)).eval()
    with torch.no_grad():
        return _flat(model(normal(1, 3, 64, 64)))


def fused():
    model = fill(DetectionModel("yolov8n.yaml", nc=3, verbose=False)).eval()
    with torch.no_grad():
        return _flat(model.fuse(verbose=False)(normal(1, 3, 64, 64)))
