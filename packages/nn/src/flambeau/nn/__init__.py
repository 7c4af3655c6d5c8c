"""Neural networks: modules, layers, losses, and the functions behind them.

The module of a family of layers is imported when one of its layers is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flambeau import _extension_points, _public_names, _suggestions

from . import modules as _layers
from .modules.module import Module
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

if TYPE_CHECKING:
    from . import (
        attention as attention,
        common_types as common_types,
        functional as functional,
        grad as grad,
        init as init,
        modules as modules,
        parallel as parallel,
        utils as utils,
    )
    from ._summary import *
    from .modules.activation import *
    from .modules.adaptive import *
    from .modules.batchnorm import *
    from .modules.channelshuffle import *
    from .modules.container import *
    from .modules.conv import *
    from .modules.distance import *
    from .modules.dropout import *
    from .modules.flatten import *
    from .modules.fold import *
    from .modules.instancenorm import *
    from .modules.lazy import *
    from .modules.linear import *
    from .modules.loss import *
    from .modules.normalization import *
    from .modules.padding import *
    from .modules.pixelshuffle import *
    from .modules.pooling import *
    from .modules.rnn import *
    from .modules.sparse import *
    from .modules.transformer import *
    from .modules.upsampling import *
    from .parallel import *

_SUBMODULES = ("attention", "common_types", "functional", "grad", "init", "modules", "parallel", "utils")

# The public names, by the module that defines them.
_NAMES = {
    "modules.container": "Container ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "modules.linear": "Bilinear Identity Linear",
    "modules.conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "modules.pooling": """
        AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
        AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d
        MaxPool1d MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d""",
    "modules.padding": """
        CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d
        ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d
        ZeroPad1d ZeroPad2d ZeroPad3d""",
    "modules.activation": """
        CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish
        MultiheadAttention PReLU RReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink
        Softsign Tanh Tanhshrink Threshold""",
    "modules.batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    "modules.instancenorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    "modules.normalization": "CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "modules.dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout",
    "modules.sparse": "Embedding EmbeddingBag",
    "modules.rnn": "GRU GRUCell LSTM LSTMCell RNN RNNBase RNNCell RNNCellBase",
    "modules.transformer": """
        SwiGLU Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer""",
    "modules.flatten": "Flatten Unflatten",
    "modules.fold": "Fold Unfold",
    "modules.channelshuffle": "ChannelShuffle",
    "modules.pixelshuffle": "PixelShuffle PixelUnshuffle",
    "modules.upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
    "modules.distance": "CosineSimilarity PairwiseDistance",
    "modules.loss": """
        BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss GaussianNLLLoss HingeEmbeddingLoss
        HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss LinearCrossEntropyOptions MSELoss MarginRankingLoss
        MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss
        SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss""",
    "modules.adaptive": "AdaptiveLogSoftmaxWithLoss",
    "modules.lazy": """
        LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d
        LazyConvTranspose2d LazyConvTranspose3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear""",
    "parallel": "DataParallel",
    "_summary": "summary",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Module",
    "Parameter",
    "Buffer",
    "UninitializedBuffer",
    "UninitializedParameter",
    *_HOME,
    *_SUBMODULES,
]

# As in PyTorch, ``nn.modules.__all__`` lists the classes of the layers.
vars(_layers)["__all__"] = ["Module", *(name for name, module in _HOME.items() if module.startswith("modules."))]


if not TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        if name not in _HOME:
            raise _suggestions.unknown_attribute(__name__, name)
        value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), (*__all__, *_SUBMODULES))


def _aten_operator(name: str) -> Any:
    return import_module(".functional._aten", __name__).operator(name)


_extension_points.aten_layers = _aten_operator
