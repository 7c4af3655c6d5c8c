from __future__ import annotations

import copy
import importlib
import pickle
from pathlib import Path
from typing import Optional
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

import flambeau as fb
from flambeau import nn
from flambeau.vision import models
from flambeau.vision.models import _published, _registry, detection, segmentation
from flambeau.vision.models._api import Weights, WeightsEnum, register_model
from flambeau.vision.models._meta import _COCO_CATEGORIES, _IMAGENET_CATEGORIES
from flambeau.vision.models._own_builders import _ovewrite_named_param, _ovewrite_value_param, handle_legacy_interface
from flambeau.vision.transforms._presets import ImageClassification, ObjectDetection, SemanticSegmentation


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty download cache and no network."""

    def no_network(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("flambeau.hub._transfer.urlopen", no_network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_every_weights_class_is_in_the_module_of_its_model() -> None:
    assert {"ResNet50_Weights", "FCN_ResNet50_Weights", "MaskRCNN_ResNet50_FPN_Weights"} <= set(_published.table())
    for name, entry in _published.table().items():
        module = importlib.import_module(f"flambeau.vision.models.{entry['module']}")
        kind = getattr(module, name)
        assert kind.__module__ == module.__name__ and hasattr(module, entry["model"])
        assert models.get_model_weights(entry["model"]) is kind
        for weights in kind:
            assert weights.url.startswith("https://download.pytorch.org/models/") and weights.file_name.endswith(".pth")
            assert {"num_params", "min_size", "recipe", "_metrics", "_ops", "_file_size"} <= set(weights.meta)
            assert weights.transforms() is not None
    missing = [name for name in models.list_models() if _published.enumeration_of(name) is None]
    assert missing == []


def test_weights_have_metadata_and_transforms() -> None:
    weights = models.ResNet50_Weights.DEFAULT
    assert weights is models.ResNet50_Weights.IMAGENET1K_V2 is models.get_weight("ResNet50_Weights.IMAGENET1K_V2")
    assert repr(weights) == str(weights) == "ResNet50_Weights.IMAGENET1K_V2"
    assert weights.url == "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
    assert weights.meta["num_params"] == 25_557_032 and weights.meta["min_size"] == (1, 1)
    assert weights.meta["_metrics"] == {"ImageNet-1K": {"acc@1": 80.858, "acc@5": 95.434}}
    assert weights.meta["categories"] is _IMAGENET_CATEGORIES and len(_IMAGENET_CATEGORIES) == 1000
    assert pickle.loads(pickle.dumps(weights)) is weights and copy.deepcopy(weights) is weights
    assert "ResNet50_Weights" in dir(models) and "FCN_ResNet50_Weights" not in dir(models)
    boxes = detection.KeypointRCNN_ResNet50_FPN_Weights
    assert len(boxes.DEFAULT.meta["keypoint_names"]) == 17 and boxes.COCO_LEGACY is not boxes.COCO_V1
    assert len(_COCO_CATEGORIES) == 91
    assert isinstance(segmentation.DeepLabV3_ResNet50_Weights.DEFAULT.transforms(), SemanticSegmentation)
    assert isinstance(boxes.DEFAULT.transforms(), ObjectDetection)
    with pytest.raises(AttributeError, match="no attribute 'FCN_ResNet50_Weights'"):
        _ = models.FCN_ResNet50_Weights


def test_unknown_weight_names_raise() -> None:
    with pytest.raises(ValueError, match="Invalid weight name provided: 'IMAGENET1K_V1'"):
        models.get_weight("IMAGENET1K_V1")
    with pytest.raises(ValueError, match="The weight enum 'ResNet51_Weights'"):
        models.get_weight("ResNet51_Weights.DEFAULT")
    with pytest.raises(ValueError, match="The weights of ResNet18_Weights are: IMAGENET1K_V1, DEFAULT"):
        models.get_weight("ResNet18_Weights.IMAGENET1K_V2")
    with pytest.raises(
        KeyError, match=r"ResNet18_Weights has no weights 'IMAGENET1K_V2'. Its weights are: IMAGENET1K_V1, DEFAULT"
    ):
        models.resnet18(weights="IMAGENET1K_V2")
    expected = r"expected ResNet18_Weights but received ResNet50_Weights.IMAGENET1K_V2"
    with pytest.raises(TypeError, match=expected):
        models.resnet18(weights=models.ResNet50_Weights.DEFAULT)
    with pytest.raises(ValueError, match="vit_h_14: there are no published weights for pretrained=True"):
        models.vit_h_14(pretrained=True)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "DEFAULT"},
        {"weights": "SqueezeNet1_1_Weights.IMAGENET1K_V1"},
        {"weights": models.SqueezeNet1_1_Weights.DEFAULT},
        {"pretrained": True},
    ],
)
def test_weights_are_loaded_from_the_cache(options: dict, cache: Path) -> None:
    model = models.squeezenet1_1()
    fb.save(model.state_dict(), cache / "squeezenet1_1-b8a52dc0.pth")
    loaded = models.squeezenet1_1(**options)
    assert all((a == b).all() for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    assert set(models.SqueezeNet1_1_Weights.DEFAULT.get_state_dict(progress=False)) == set(model.state_dict())
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 7"):
        models.squeezenet1_1(num_classes=7, **options)


def test_weights_can_be_passed_by_position(cache: Path) -> None:
    fb.save(models.squeezenet1_1().state_dict(), cache / "squeezenet1_1-b8a52dc0.pth")
    assert models.squeezenet1_1(True, False).num_classes == 1000  # pretrained, progress
    assert models.squeezenet1_1(models.SqueezeNet1_1_Weights.DEFAULT).num_classes == 1000


def test_errors_name_weights_that_cannot_be_downloaded(cache: Path) -> None:
    with pytest.raises(URLError) as caught:
        models.resnet18(weights="DEFAULT")
    note = caught.value.__notes__[0]
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in note and str(cache) in note
    assert "weights='resnet18-f37072fd.pth'" in note


def test_weights_are_downloaded_once_and_their_hash_is_checked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models.squeezenet1_1()
    fb.save(model.state_dict(), tmp_path / "source.pth")
    fetched = []

    def fetch(url: str, path: str, progress: bool) -> None:
        fetched.append((url, progress))
        Path(path).write_bytes((tmp_path / "source.pth").read_bytes())

    monkeypatch.setattr("flambeau.hub._files.fetch", fetch)
    monkeypatch.setattr("flambeau.hub._files._sha256", lambda path: "b8a52dc0" + 56 * "0")
    for _ in range(2):
        loaded = models.squeezenet1_1(weights="DEFAULT", progress=False)
        assert (loaded.classifier[1].weight == model.classifier[1].weight).all()
    assert fetched == [("https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth", False)]
    with pytest.raises(RuntimeError, match="invalid hash value"):
        models.squeezenet1_0(weights="DEFAULT")


def test_weights_override_options_of_the_model(cache: Path, tmp_path: Path) -> None:
    model = models.googlenet(init_weights=False)
    fb.save(model.state_dict(), cache / "googlenet-1378be20.pth")
    loaded = models.googlenet(weights="DEFAULT")
    assert loaded.transform_input and loaded.aux1 is None and (loaded.fc.bias == model.fc.bias).all()
    loaded = models.googlenet(weights=cache / "googlenet-1378be20.pth", transform_input=False, aux_logits=True)
    assert not loaded.transform_input and (loaded.aux1.fc1.bias == model.aux1.fc1.bias).all()
    fb.save(model.state_dict(), tmp_path / "mine.pth")
    assert not models.googlenet(weights=tmp_path / "mine.pth").transform_input
    with pytest.raises(ValueError, match="'image_size' expected value 384 but got 224"):
        models.vit_b_16(weights="IMAGENET1K_SWAG_E2E_V1", image_size=224)
    with pytest.raises(ValueError, match="'aux_loss' expected value True but got False"):
        segmentation.fcn_resnet50(weights="DEFAULT", aux_loss=False)
    with pytest.raises(ValueError, match="'num_keypoints' expected value 17 but got 3"):
        detection.keypointrcnn_resnet50_fpn(weights="DEFAULT", num_keypoints=3)


def test_presets_resize_crop_and_normalise(cache: Path) -> None:
    image = Image.fromarray(np.full((40, 60, 3), 255, np.uint8))
    preset = ImageClassification(crop_size=16, resize_size=20, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert tuple(preset(image).shape) == (3, 16, 16) and (preset(image) == 2).all()
    assert (preset(fb.full((2, 3, 40, 60), 255, dtype=fb.uint8)) == 2).all()
    assert repr(preset).splitlines()[:3] == ["ImageClassification(", "    crop_size=[16]", "    resize_size=[20]"]
    vit = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1.transforms()
    assert (vit.crop_size, vit.resize_size, vit.interpolation.value) == ([384], [384], "bicubic")
    assert tuple(SemanticSegmentation(resize_size=20)(image).shape) == (3, 20, 30)
    assert (ObjectDetection()(image) == 1).all()


def test_custom_weights_classes_load_their_files(cache: Path) -> None:
    class Own_Weights(WeightsEnum):
        FIRST = Weights("https://example.org/own-12345678.pth", ObjectDetection, {"categories": ["a"]})
        DEFAULT = FIRST

    assert Own_Weights.verify("FIRST") is Own_Weights.DEFAULT and Own_Weights.FIRST.meta == {"categories": ["a"]}
    fb.save({"bias": fb.ones(2)}, cache / "own-12345678.pth")
    assert (Own_Weights.FIRST.get_state_dict()["bias"] == 1).all()
    with pytest.raises(ValueError, match="already registered under the name 'resnet18'"):
        register_model("resnet18")(models.resnet34)


def test_the_weights_of_a_registered_model_are_those_of_its_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_BUILDERS", dict(_registry._BUILDERS))

    class Own_Weights(WeightsEnum):
        FIRST = Weights("https://example.org/own-12345678.pth", ObjectDetection, {})

    def build(*, weights: object = None) -> nn.Module:
        return nn.Identity()

    for annotation in (Own_Weights, Own_Weights | None, Optional[Own_Weights]):  # noqa: UP045
        build.__annotations__["weights"] = annotation
        assert models.get_model_weights(build) is Own_Weights
    register_model("own_model")(build)
    assert "own_model" in models.list_models() and models.get_model_weights("own_model") is Own_Weights


def test_custom_weights_with_a_published_name_have_no_recorded_options() -> None:
    class ViT_B_16_Weights(WeightsEnum):
        IMAGENET1K_SWAG_E2E_V1 = Weights("https://example.org/own-12345678.pth", ObjectDetection, {})

    published = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    assert _published.recorded_value(published, "options") is not None
    assert _published.recorded_value(ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1, "options") is None


def test_handle_legacy_interface_converts_deprecated_arguments() -> None:
    weights = models.ResNet18_Weights

    @handle_legacy_interface(
        weights=("pretrained", lambda options: weights.DEFAULT if options.get("depth", 18) == 18 else None),
        weights_backbone=("pretrained_backbone", weights.IMAGENET1K_V1),
    )
    def build(*, weights: object = None, progress: bool = True, weights_backbone: object = None, **options: object):
        return weights, progress, weights_backbone, options

    assert build() == (None, True, None, {})
    assert build(True, False) == (weights.DEFAULT, False, None, {})
    assert build(pretrained=False, pretrained_backbone=True) == (None, True, weights.DEFAULT, {})
    assert build("DEFAULT", depth=34) == ("DEFAULT", True, None, {"depth": 34})
    with pytest.raises(ValueError, match="No weights available for model build"):
        build(pretrained=True, depth=34)
    with pytest.raises(TypeError, match=r"build\(\) takes 3 positional arguments but 4 were given"):
        build(None, True, None, 5)
    options = {"num_classes": 7}
    _ovewrite_named_param(options, "dropout", 0.5)
    assert options == {"num_classes": 7, "dropout": 0.5} and _ovewrite_value_param("aux_loss", None, True) is True
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 7"):
        _ovewrite_named_param(options, "num_classes", 1000)
    with pytest.raises(ValueError, match="'aux_loss' expected value True but got False"):
        _ovewrite_value_param("aux_loss", False, True)
