"""Custom operators in Python with derivatives: a crop by Pillow, NumPy's sine, and an in-place operator."""

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image


@torch.library.custom_op("mylib::crop", mutates_args=())
def crop(pic: Tensor, box: list[int]) -> Tensor:
    img = to_pil_image(pic.cpu())
    return (pil_to_tensor(img.crop(box)) / 255.0).to(pic.device, pic.dtype)


@crop.register_fake
def _(pic, box):
    channels = pic.shape[0]
    x0, y0, x1, y1 = box
    return pic.new_empty(channels, y1 - y0, x1 - x0)


def backward(ctx, grad_output):
    grad_input = grad_output.new_zeros(ctx.pic_shape)
    x0, y0, x1, y1 = ctx.coords
    grad_input[:, y0:y1, x0:x1] = grad_output
    return grad_input, None


def setup_context(ctx, inputs, output):
    pic, box = inputs
    ctx.coords, ctx.pic_shape = box, pic.shape


crop.register_autograd(backward, setup_context=setup_context)

img = torch.rand(3, 64, 64)
cropped = crop(img, [10, 10, 50, 50])
assert cropped.shape == (3, 40, 40)
assert torch.allclose(cropped, img[:, 10:50, 10:50], atol=1 / 255)
assert isinstance(to_pil_image(cropped), PIL.Image.Image)

img.requires_grad_(True)
result = torch.ops.mylib.crop(img, [10, 10, 50, 50])
result.sum().backward()
expected = torch.zeros(3, 64, 64)
expected[:, 10:50, 10:50] = 1
assert torch.equal(img.grad, expected)
assert crop(img.detach().to("meta"), [0, 0, 5, 7]).shape == (3, 7, 5)

examples = [
    (torch.randn(3, 64, 64), [0, 0, 10, 10]),
    (torch.randn(3, 64, 64, requires_grad=True), [10, 0, 20, 10]),
]
for example in examples:
    checked = torch.library.opcheck(crop, example, test_utils=("test_schema", "test_autograd_registration"))
    assert set(checked.values()) == {"SUCCESS"}


@torch.library.custom_op("mylib::numpy_sin", mutates_args={"output"}, device_types="cpu")
def numpy_sin_(input: Tensor, output: Tensor) -> None:
    assert input.device == output.device
    np.sin(input.numpy(), out=output.numpy())


x = torch.randn(3)
y = torch.empty(3)
before = y._version
numpy_sin_(x, y)
assert torch.allclose(y, x.sin()) and y._version > before


@torch.library.custom_op("mylib::numpy_cube", mutates_args=())
def numpy_cube(x: Tensor) -> tuple[Tensor, Tensor]:
    values = x.numpy()
    return torch.from_numpy(values**3), torch.from_numpy(3 * values**2)


def keep_input_and_slope(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], output[1])
    ctx.set_materialize_grads(True)


def cube_backward(ctx, grad_cube, grad_slope):
    x, slope = ctx.saved_tensors
    return grad_cube * slope + 6 * grad_slope * x


torch.library.register_autograd("mylib::numpy_cube", cube_backward, setup_context=keep_input_and_slope)
torch.manual_seed(0)
x = torch.randn(3, dtype=torch.double, requires_grad=True)
assert torch.autograd.gradcheck(numpy_cube, (x,))
first, slope = numpy_cube(x)
(second,) = torch.autograd.grad(first.sum(), x)
assert torch.allclose(second, slope)


class Cube(torch.nn.Module):
    def forward(self, x):
        return numpy_cube(x)[0]


optimizer = torch.optim.SGD([x], lr=0.01)
losses = []
for _ in range(50):
    optimizer.zero_grad()
    loss = (Cube()(x) - torch.tensor([1.0, -1.0, 8.0], dtype=torch.double)).pow(2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0]

try:
    torch.ops.mylib.no_such_operator(x)
except AttributeError as error:
    assert "no_such_operator" in str(error)
else:
    raise AssertionError
