"""Layers in ONNX Runtime, with a dynamic batch size."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.onnx import export

IMAGES, LINES, VOLUMES = (4, 6, 12, 10), (4, 6, 12), (2, 6, 4, 6, 4)


class Of(nn.Module):
    """Module that calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


LAYERS = {
    "conv1d": (nn.Conv1d(6, 4, 3, stride=2, padding=1), LINES),
    "conv2d": (nn.Conv2d(6, 4, (3, 2), padding=(1, 0), dilation=(1, 2), bias=False), IMAGES),
    "grouped conv2d": (nn.Conv2d(6, 12, 3, groups=3, padding="same"), IMAGES),
    "reflected conv2d": (nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect"), IMAGES),
    "conv3d": (nn.Conv3d(6, 2, 2), VOLUMES),
    "conv_transpose2d": (nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1), IMAGES),
    "conv_transpose1d": (nn.ConvTranspose1d(6, 4, 3, groups=2, dilation=2), LINES),
    "max_pool2d": (nn.MaxPool2d(3, 2, 1), IMAGES),
    "max_pool2d up": (nn.MaxPool2d(3, 2, ceil_mode=True), IMAGES),
    "max_pool2d that drops a window": (nn.MaxPool2d(2, 2, 1, ceil_mode=True), (1, 2, 5, 6)),
    "max_pool1d": (nn.MaxPool1d(2, dilation=2), LINES),
    "max_pool3d": (nn.MaxPool3d(2), VOLUMES),
    "avg_pool2d": (nn.AvgPool2d(3, 2, 1), IMAGES),
    "avg_pool2d inside": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGES),
    "avg_pool2d that drops a window": (nn.AvgPool2d(2, 2, 1, ceil_mode=True), (1, 2, 5, 6)),
    "avg_pool1d": (nn.AvgPool1d(2), LINES),
    "adaptive_avg_pool2d 1": (nn.AdaptiveAvgPool2d(1), IMAGES),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d((5, 3)), IMAGES),
    "adaptive_avg_pool1d": (nn.AdaptiveAvgPool1d(4), LINES),
    "adaptive_max_pool1d": (nn.AdaptiveMaxPool1d(4), LINES),
    "adaptive_avg_pool3d": (nn.AdaptiveAvgPool3d((2, 4, 1)), VOLUMES),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d((4, 5)), IMAGES),
    "adaptive_max_pool2d 1": (nn.AdaptiveMaxPool2d(1), IMAGES),
    "lp_pool2d": (nn.LPPool2d(2, 2), IMAGES),
    "batch_norm": (nn.BatchNorm2d(6), IMAGES),
    "batch_norm of rows": (nn.BatchNorm1d(12), (4, 12)),
    "instance_norm": (nn.InstanceNorm2d(6, affine=True), IMAGES),
    "group_norm": (nn.GroupNorm(3, 6), IMAGES),
    "layer_norm": (nn.LayerNorm((12, 10)), IMAGES),
    "layer_norm alone": (nn.LayerNorm(12, elementwise_affine=False), LINES),
    "rms_norm": (nn.RMSNorm(12), LINES),
    "local_response_norm": (nn.LocalResponseNorm(3), IMAGES),
    "prelu": (nn.PReLU(6), IMAGES),
    "dropout": (nn.Dropout(0.5), LINES),
    "alpha_dropout": (nn.AlphaDropout(0.5), LINES),
    "softmax2d": (nn.Softmax2d(), IMAGES),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGES),
    "bilinear to corners": (nn.Upsample(size=(7, 21), mode="bilinear", align_corners=True), IMAGES),
    "bilinear down": (Of(lambda x: F.interpolate(x, size=(5, 4), mode="bilinear", antialias=False)), IMAGES),
    "bilinear to one pixel": (nn.Upsample(size=(1, 7), mode="bilinear"), IMAGES),
    "filtered bilinear": (Of(lambda x: F.interpolate(x, (5, 4), mode="bilinear", antialias=True)), IMAGES),
    "filtered bicubic": (Of(lambda x: F.interpolate(x, (5, 4), mode="bicubic", antialias=True)), IMAGES),
    "nearest": (nn.Upsample(scale_factor=(2, 3)), IMAGES),
    "nearest to a size": (nn.Upsample(size=(7, 15)), IMAGES),
    "nearest-exact": (nn.Upsample(size=(7, 15), mode="nearest-exact"), IMAGES),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), IMAGES),
    "linear": (nn.Upsample(scale_factor=2, mode="linear"), LINES),
    "convolution": (Of(lambda x: fb.convolution(x, fb.ones(4, 3, 3, 2), None, (2, 1), 1, 1, False, 0, 2)), IMAGES),
    "transposed convolution": (
        Of(lambda x: fb.convolution(x, fb.ones(6, 2, 3, 3), fb.ones(2), 2, 1, 1, True, 1, 1)),
        IMAGES,
    ),
    "pixel_shuffle": (Of(lambda x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2)), IMAGES),
    "pixel_unshuffle": (nn.PixelUnshuffle(2), IMAGES),
    "channel_shuffle": (nn.ChannelShuffle(3), IMAGES),
    "grid_sample": (Of(lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False)), IMAGES),
    "unfold": (nn.Unfold((3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)), IMAGES),
    "zero pad": (nn.ZeroPad2d((1, 2, 3, 4)), IMAGES),
    "circular pad": (nn.CircularPad2d(2), IMAGES),
    "flatten": (nn.Sequential(nn.Flatten(), nn.Linear(72, 5)), LINES),
    "lstm": (nn.LSTM(12, 5, 2, batch_first=True, bidirectional=True), LINES),
    "lstm by time": (nn.LSTM(12, 5), LINES),
    "gru": (nn.GRU(12, 5, batch_first=True), LINES),
    "gru both ways": (nn.GRU(12, 5, 2, batch_first=True, bidirectional=True, bias=False), LINES),
    "rnn": (nn.RNN(12, 5, batch_first=True), LINES),
    "rnn of relu": (nn.RNN(12, 5, nonlinearity="relu", batch_first=True), LINES),
    "lstm_cell": (nn.LSTMCell(12, 5), (4, 12)),
    "gru_cell": (nn.GRUCell(12, 5), (4, 12)),
    "rnn_cell": (nn.RNNCell(12, 5), (4, 12)),
    "attention": (Of(lambda x: F.scaled_dot_product_attention(x, x * 2, x + 1, is_causal=True)), LINES),
    "multi-head attention": (nn.TransformerEncoderLayer(12, 3, 24, batch_first=True, activation="gelu"), LINES),
    "encoder": (nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 2, 24, norm_first=True), 2), LINES),
}


@pytest.mark.parametrize("name", LAYERS)
def test_exported_layers_equal_onnx_runtime(name, compare):
    layer, shape = LAYERS[name]
    layer.eval()
    for statistic in layer.buffers():
        if statistic.is_floating_point():
            statistic.uniform_(0.5, 1.5)
    program = export(layer, (fb.randn(shape),), input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    for batch in (shape[0], 1, 7):
        compare(program, layer, fb.randn(batch, *shape[1:]), exact=1e-4)


def test_exported_models_accept_images_of_any_size(compare):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ).eval()  # fmt: skip
    program = export(model, fb.randn(1, 3, 8, 8), dynamic_axes={"input": {0: "batch", 2: "height", 3: "width"}})
    for shape in ((1, 3, 8, 8), (2, 3, 10, 6), (3, 3, 9, 13)):
        compare(program, model, fb.randn(shape), exact=1e-4)


def test_exported_models_accept_sequences_of_any_length(compare):
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(11, 8), nn.Embedding(64, 8)
            self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
            self.head = nn.Linear(8, 11)

        def forward(self, tokens):
            length = tokens.shape[1]
            mask = nn.Transformer.generate_square_subsequent_mask(length)
            x = self.tokens(tokens) + self.positions(fb.arange(length))
            return self.head(self.layers(x, mask=mask, is_causal=True))

    model = Language().eval()
    program = export(model, fb.randint(11, (2, 5)), dynamic_axes={"tokens": {0: "batch", 1: "length"}})
    for shape in ((2, 5), (1, 9), (4, 1)):
        compare(program, model, fb.randint(11, shape), exact=1e-4)


def test_exported_recurrent_layers_accept_any_length(compare):
    model = nn.LSTM(3, 4, 2, batch_first=True).eval()
    program = export(model, fb.randn(2, 5, 3), dynamic_axes={"input": {0: "batch", 1: "time"}})
    for shape in ((2, 5, 3), (1, 8, 3), (3, 1, 3)):
        compare(program, model, fb.randn(shape), exact=1e-4)


def test_exported_transformers_accept_two_dynamic_lengths(compare):
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    axes = {"src": {0: "batch", 1: "from"}, "tgt": {0: "batch", 1: "to"}}
    program = export(model, (fb.randn(2, 5, 8), fb.randn(2, 3, 8)), dynamic_axes=axes)
    for batch, a, b in ((2, 5, 3), (1, 4, 7)):
        compare(program, model, fb.randn(batch, a, 8), fb.randn(batch, b, 8), exact=1e-4)
