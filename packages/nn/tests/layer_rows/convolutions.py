"""Rows of the convolutions and transposed convolutions."""

from layer_references import conv, conv2d, conv_transpose

from flambeau import nn
from layer_rows.row import Layer

ROWS = [
    Layer("Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))", lambda: nn.Conv2d(2, 3, 3), (2, 2, 5, 6), conv2d),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 3), stride=(2, 2), padding=(1, 1))",
        lambda: nn.Conv2d(2, 3, (2, 3), stride=2, padding=1),
        (2, 2, 6, 5),
        lambda x, **state: conv2d(x, **state, stride=2, padding=(1, 1)),
    ),
    Layer(
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=2, bias=False)",
        lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, groups=2, bias=False),
        (2, 4, 5, 6),
        lambda x, weight: conv2d(x, weight, padding=(2, 2), dilation=2, groups=2),
    ),
    Layer(
        "Conv2d(2, 3, kernel_size=(2, 2), stride=(1, 1), padding=valid)",
        lambda: nn.Conv2d(2, 3, 2, padding="valid"),
        (2, 4, 5),
        lambda x, **state: conv2d(x[None], **state)[0],
    ),
    Layer("Conv1d(2, 3, kernel_size=(3,), stride=(1,))", lambda: nn.Conv1d(2, 3, 3), (2, 2, 6), conv),
    Layer(
        "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2), padding_mode=reflect)",
        lambda: nn.Conv2d(1, 2, 3, padding=2, padding_mode="reflect"),
        (2, 1, 4, 3),
        lambda x, **state: conv(x, **state, pad="reflect", width=2),
    ),
    Layer(
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=(2,), padding_mode=circular)",
        lambda: nn.Conv1d(1, 2, 3, padding=2, padding_mode="circular"),
        (2, 1, 4),
        lambda x, **state: conv(x, **state, pad="wrap", width=2),
    ),
    Layer(
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same, padding_mode=replicate)",
        lambda: nn.Conv1d(1, 2, 3, padding="same", padding_mode="replicate"),
        (2, 1, 4),
        lambda x, **state: conv(x, **state, pad="edge", width=1),
    ),
    Layer("Conv3d(2, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1))", lambda: nn.Conv3d(2, 3, 2), (1, 2, 3, 4, 2), conv),
    Layer(
        "ConvTranspose1d(2, 3, kernel_size=(3,), stride=(2,), output_padding=(1,))",
        lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1),
        (2, 2, 4),
        lambda x, **state: conv_transpose(x, **state, stride=2, extra=1),
    ),
    Layer(
        "ConvTranspose2d(2, 3, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))",
        lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1),
        (2, 2, 3, 2),
        lambda x, **state: conv_transpose(x, **state, stride=2, padding=1),
    ),
    Layer(
        "ConvTranspose3d(2, 1, kernel_size=(2, 2, 2), stride=(1, 1, 1), bias=False)",
        lambda: nn.ConvTranspose3d(2, 1, 2, bias=False),
        (1, 2, 2, 2, 3),
        conv_transpose,
    ),
]
