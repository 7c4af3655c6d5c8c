"""``FakeTensorMode``: shapes, dtypes and devices without elements."""

from __future__ import annotations

import copy
import weakref

import pytest

import flambeau as fb
from flambeau._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeCopyMode,
    FakeTensor,
    FakeTensorMode,
    is_fake,
    unset_fake_temporarily,
)


def test_fake_tensors_keep_the_device():
    with FakeTensorMode() as mode:
        x = fb.empty(2, 3, device="cuda")
        y = (x @ x.mT + 1).to(fb.float16)
        z = fb.ones(4)
    assert isinstance(y, FakeTensor) and y.shape == (2, 2) and y.dtype is fb.float16
    assert str(y.device) == "cuda:0" and y.is_cuda and not y.is_meta and z.device.type == "cpu"
    assert repr(z) == "FakeTensor(..., device='cpu', size=(4,))" and y.fake_mode is mode and is_fake(y)
    assert (z + 1).shape == (4,) and isinstance(z + 1, FakeTensor)


def test_operands_on_different_devices_are_rejected():
    with FakeTensorMode():
        x, y = fb.ones(2, device="cuda"), fb.ones(2)
        with pytest.raises(RuntimeError, match="found two different devices cuda:0, cpu"):
            x + y
        assert str((x + fb.tensor(1.0)).device) == "cuda:0" and y.to("cuda").device.type == "cuda"


def test_each_tensor_has_one_fake_tensor():
    mode = FakeTensorMode()
    x = fb.ones(3, 4).mT.requires_grad_()
    fake = mode.from_tensor(x)
    assert fake is mode.from_tensor(x) and fake.shape == (4, 3) and fake.stride() == (1, 4) and fake.requires_grad
    with pytest.raises(AssertionError, match="Please convert all Tensors to FakeTensors first"):
        fake + fb.ones(4, 3)
    assert (FakeTensorMode(allow_non_fake_inputs=True).from_tensor(x) + fb.ones(4, 3)).shape == (4, 3)


def test_fake_tensors_have_fake_gradients():
    x = fb.ones(4, 3).requires_grad_()
    x.grad = fb.ones(4, 3)
    fake = FakeTensorMode().from_tensor(x)
    assert isinstance(fake.grad, FakeTensor) and fake.grad.shape == (4, 3) and fake.grad.device == x.device


def test_a_fake_tensor_mode_and_its_tensors_are_freed():
    x, mode = fb.ones(4), FakeTensorMode()
    fake = mode.from_tensor(x)
    assert len(mode.fake_tensor_converter.tensor_memo) == 1
    references = weakref.ref(mode), weakref.ref(fake)
    del mode, fake
    assert [reference() for reference in references] == [None, None]


def test_a_meta_tensor_has_one_fake_tensor_with_the_given_device():
    mode = FakeTensorMode()
    meta, converter = fb.ones(2, 3, device="meta"), mode.fake_tensor_converter
    fake = converter.from_meta_and_device(mode, meta, "cpu")
    assert fake is converter.from_meta_and_device(mode, meta, "cpu")
    assert fake.device.type == "cpu" and fake.shape == (2, 3)
    with pytest.raises(AssertionError, match="tensor's device must be `meta`, got cpu instead"):
        converter.from_meta_and_device(mode, fb.ones(2), "cpu")


def test_deepcopy_in_fake_copy_mode_makes_fake_tensors():
    mode = FakeTensorMode()
    weight = fb.ones(10, 2, requires_grad=True)
    weight.grad = fb.ones(10, 2)
    shared = fb.ones(3)
    with FakeCopyMode(mode):
        copied = copy.deepcopy({"weight": weight, "first": shared, "second": shared, "name": "layer"})
        assert shared.exp().tolist() == pytest.approx([2.718281828] * 3)  # other calls compute as usual
    assert isinstance(copied["weight"], FakeTensor) and copied["weight"].requires_grad
    assert copied["weight"].grad.shape == (10, 2) and copied["name"] == "layer"
    assert copied["first"] is copied["second"] and isinstance(copied["first"], FakeTensor)


def test_gradients_of_fake_tensors_are_fake():
    with FakeTensorMode():
        x = fb.randn(2, 3, requires_grad=True)
        (x.exp() @ fb.randn(3, 4)).cumprod(1).sum().backward()
    assert isinstance(x.grad, FakeTensor) and x.grad.shape == (2, 3) and x.grad.device.type == "cpu"


def test_in_place_operators_return_the_same_fake_tensor():
    with FakeTensorMode():
        x = fb.zeros(3)
        assert x.add_(1) is x
        x[0] = 3
        assert isinstance(x[1:], FakeTensor) and x[1:].shape == (2,)


def test_item_of_a_fake_tensor_without_a_constant_raises():
    with FakeTensorMode():
        assert fb.tensor(2.0).item() == 2
        with pytest.raises(DataDependentOutputException, match=r"aten\._local_scalar_dense\.default"):
            fb.ones(1).sum().item()
        with pytest.raises(DynamicOutputShapeException, match=r"aten\.nonzero\.default"):
            fb.ones(3).nonzero()


def test_item_of_a_constant_fake_tensor_returns_its_value():
    with FakeTensorMode():
        x = fb.tensor(4.0)
        y = x.add_(1)
        assert y is x and x.item() == 5 and (x * 2 + 1).item() == 11 and x.to(fb.int64).tolist() == 5
        assert fb.tensor([3.0])[0].item() == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(fb.rand(1)),
        lambda x: x[:].add_(fb.rand(1)),
        lambda x: x.squeeze_(0),
        lambda x: x.expand(4),  # a later change of this view is not tracked
        lambda x: x.uniform_(),
    ],
)
def test_writing_to_a_fake_tensor_discards_its_constant(change):
    with FakeTensorMode():
        x = fb.tensor([1.0])
        view = x[:]
        assert x.constant is not None and view.constant is not None
        change(x)
        assert x.constant is None and view.constant is None
        with pytest.raises(DataDependentOutputException):
            x.item()


def test_plain_tensors_can_be_printed():
    x = fb.ones(2)
    with FakeTensorMode():
        assert repr(x) == "tensor([1., 1.])"


def test_fake_tensor_mode_can_be_unset_temporarily():
    with FakeTensorMode() as mode, unset_fake_temporarily() as left:
        assert left is mode and type(fb.ones(1)) is fb.Tensor
    with pytest.raises(NotImplementedError, match="symbolic sizes are not supported"):
        FakeTensorMode(shape_env=object())


def test_custom_operators_use_their_fake_implementation():
    @fb.library.custom_op("testing_fake::rows", mutates_args=())
    def rows(x: fb.Tensor, count: int) -> fb.Tensor:
        return fb.from_numpy(x.numpy()[:count].copy())

    @rows.register_fake
    def _(x, count):
        return x.new_empty(count, *x.shape[1:])

    with FakeTensorMode():
        y = rows(fb.ones(5, 2, device="cuda"), 3)
    assert isinstance(y, FakeTensor) and y.shape == (3, 2) and str(y.device) == "cuda:0"


def test_fake_implementations_receive_a_value_for_every_parameter():
    library = fb.library.Library("testing_fake_defaults", "DEF")
    library.define("rows(Tensor x, int count=2, *, bool empty=False) -> Tensor")
    library.impl("rows", lambda x, count, empty: x.new_empty(0 if empty else count, *x.shape), "Meta")
    with FakeTensorMode():
        assert fb.ops.testing_fake_defaults.rows(fb.ones(4)).shape == (2, 4)
        assert fb.ops.testing_fake_defaults.rows(fb.ones(4), 3).shape == (3, 4)
        assert fb.ops.testing_fake_defaults.rows(fb.ones(4), empty=True).shape == (0, 4)
