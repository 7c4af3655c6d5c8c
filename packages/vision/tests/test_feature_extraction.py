"""Test feature extraction by names of nodes. The counts and checksums of the names are those of torchvision 0.29."""

import copy
import zlib

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import models

fx = pytest.importorskip("flambeau.fx", reason="needs flambeau-export, which flambeau-vision does not require")
from flambeau.vision.models.feature_extraction import (  # noqa: E402
    NodePathTracer,
    create_feature_extractor,
    get_graph_node_names,
)

# By model: the number of nodes in training and in evaluation, and a checksum of their names.
NAMES = {
    "resnet18": (70, 70, 1289632433),
    "resnet50": (176, 176, 1496224838),
    "vit_b_16": (187, 187, 9528927),
    "mobilenet_v2": (84, 84, 4209830355),
    "mobilenet_v3_small": (56, 56, 2943821309),
    "densenet121": (432, 432, 2328326296),
    "swin_t": (186, 186, 847232275),
    "swin_v2_t": (258, 258, 1407385184),
    "convnext_tiny": (226, 226, 896493352),
    "efficientnet_b0": (88, 88, 1265998235),
    "efficientnet_v2_s": (215, 215, 2072869232),
    "regnet_y_400mf": (105, 105, 2616275145),
    "regnet_x_400mf": (119, 119, 579652916),
    "shufflenet_v2_x0_5": (368, 368, 1056733132),
    "squeezenet1_1": (67, 67, 2922033478),
    "mnasnet0_5": (153, 153, 1879386760),
    "googlenet": (216, 198, 354200581),
    "inception_v3": (325, 315, 2969104060),
    "vgg11_bn": (39, 39, 507055037),
    "alexnet": (23, 23, 324856880),
    "maxvit_t": (1509, 1509, 1801828920),
}


@pytest.mark.parametrize("name", NAMES)
def test_node_names_equal_those_of_torchvision(name: str) -> None:
    with fb.device("meta"):  # allocates no memory
        model = getattr(models, name)(**({"init_weights": False} if name in ("googlenet", "inception_v3") else {}))
    train, evaluation = get_graph_node_names(model, suppress_diff_warning=True)
    checksum = zlib.crc32("\n".join(train + evaluation).encode())
    assert (len(train), len(evaluation), checksum) == NAMES[name]


@pytest.fixture
def model() -> nn.Module:
    fb.manual_seed(0)
    return models.resnet18(num_classes=3).eval()


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "maxvit_t", "shufflenet_v2_x0_5", "densenet121"])
def test_features_equal_the_outputs_of_layers(name: str) -> None:
    fb.manual_seed(0)
    small = models.MaxVit((32, 32), 8, 2, [8, 8], [1, 1], 8, 0.0) if name == "maxvit_t" else None
    whole = small or getattr(models, name)(num_classes=3)
    whole.eval()
    outputs: dict[str, fb.Tensor] = {}
    names = [child for child, _ in whole.named_children() if child not in ("avgpool", "flatten", "blocks")]
    for child in names:
        whole.get_submodule(child).register_forward_hook(lambda m, args, out, child=child: outputs.update({child: out}))
    x = fb.randn(1, 3, 32, 32)
    with fb.no_grad():
        whole(x)
        expected = dict(outputs)
        features = create_feature_extractor(whole, names, suppress_diff_warning=True)(x)
    assert list(features) == names
    for child in names:
        assert fb.allclose(features[child], expected[child], atol=1e-6), child


def test_a_module_name_selects_its_last_node(model: nn.Module) -> None:
    x = fb.randn(1, 3, 32, 32)
    features = create_feature_extractor(model, {"layer1": "one", "layer1.1.relu_1": "same"})(x)
    assert fb.equal(features["one"], features["same"])


def test_unused_layers_are_removed(model: nn.Module) -> None:
    extractor = create_feature_extractor(model, ["layer1"])
    assert [name for name, _ in extractor.named_children()] == ["conv1", "bn1", "relu", "maxpool", "layer1"]
    assert extractor.layer1.get_submodule("0").conv1 is model.layer1[0].conv1


def test_training_and_evaluation_have_separate_graphs() -> None:
    net = nn.Sequential(nn.Linear(2, 2), models.googlenet(init_weights=False).avgpool)

    class Switching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net[0]

        def forward(self, x: fb.Tensor) -> fb.Tensor:
            return self.net(x).relu() if self.training else self.net(x)

    with pytest.warns(UserWarning, match="nodes obtained by tracing the model in eval mode are a subsequence"):
        train, evaluation = get_graph_node_names(Switching())
    assert (train, evaluation) == (["x", "net", "relu"], ["x", "net"])
    extractor = create_feature_extractor(
        Switching(), train_return_nodes=["relu"], eval_return_nodes=["net"], suppress_diff_warning=True
    )
    x = fb.randn(4, 2)
    assert list(extractor(x)) == ["relu"]
    assert list(extractor.eval()(x)) == ["net"]
    copied = copy.deepcopy(extractor)
    assert list(copied(x)) == ["net"]
    assert list(copied.train()(x)) == ["relu"]
    assert copied.net is not extractor.net


def test_create_feature_extractor_rejects_invalid_nodes(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="node: 'layer9' is not present in model"):
        create_feature_extractor(model, ["layer9"])
    with pytest.raises(ValueError, match="should be specified"):
        create_feature_extractor(model)
    with pytest.raises(ValueError, match="both should be specified"):
        create_feature_extractor(model, train_return_nodes=["layer1"])
    assert not model.training


def test_custom_leaf_modules_are_not_entered(model: nn.Module) -> None:
    tracer = NodePathTracer(leaf_modules=[models.resnet.BasicBlock])
    tracer.trace(model)
    assert "layer1.0" in tracer.node_to_qualname.values()


def test_stochastic_depth_is_traced_as_a_node() -> None:
    traced = fx.symbolic_trace(models.efficientnet_b0(num_classes=3).train())
    assert "flambeau_vision_ops_stochastic_depth(" in traced.code
    assert traced(fb.randn(2, 3, 32, 32)).shape == (2, 3)


def test_fx_traces_models_without_changes() -> None:
    fb.manual_seed(0)
    swin = models.swin_t(num_classes=3).eval()
    x = fb.randn(1, 3, 32, 32)
    with fb.no_grad():
        assert fb.allclose(fx.symbolic_trace(swin)(x), swin(x), atol=1e-6)
