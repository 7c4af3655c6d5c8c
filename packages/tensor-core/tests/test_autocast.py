"""Tests of autocast regions: the dtype that each operator chooses, nesting, and threads."""

import inspect
import threading

import pytest

import flambeau as fb
from flambeau.amp import autocast, custom_bwd, custom_fwd, is_autocast_available

LOW = fb.bfloat16


def matrix(dtype=fb.float32):
    return fb.tensor([[2.0, 0.0], [1.0, 3.0]], dtype=dtype)


def symmetric():
    return fb.tensor([[2.0, 1.0], [1.0, 3.0]])


IMAGE, VOLUME = (1, 2, 4, 4), (1, 2, 4, 4, 4)

# The dtype of floating-point results for float32 arguments.
CHOICES = {
    "matmul": (LOW, lambda: fb.matmul(matrix(), matrix())),
    "@": (LOW, lambda: matrix() @ matrix()),
    "method": (LOW, lambda: matrix().mm(matrix())),
    "bmm": (LOW, lambda: fb.bmm(matrix()[None], matrix()[None])),
    "addmm": (LOW, lambda: fb.addmm(matrix(), matrix(), matrix())),
    "baddbmm": (LOW, lambda: fb.baddbmm(matrix()[None], matrix()[None], matrix()[None])),
    "addbmm": (LOW, lambda: fb.addbmm(matrix(), matrix()[None], matrix()[None])),
    "linear": (LOW, lambda: fb.linear(matrix(), matrix(), bias=fb.ones(2))),
    "einsum": (LOW, lambda: fb.einsum("ij,jk->ik", matrix(), matrix())),
    "tensordot": (LOW, lambda: fb.tensordot(matrix(), matrix(), 1)),
    "multi_dot": (LOW, lambda: fb.linalg.multi_dot([matrix(), matrix(), matrix()])),
    "vecdot": (LOW, lambda: fb.linalg.vecdot(matrix(), matrix())),
    "conv1d": (LOW, lambda: fb.conv1d(fb.ones(1, 2, 4), fb.ones(3, 2, 2))),
    "conv2d": (LOW, lambda: fb.conv2d(fb.ones(IMAGE), fb.ones(3, 2, 2, 2), fb.ones(3))),
    "conv3d": (LOW, lambda: fb.conv3d(fb.ones(VOLUME), fb.ones(3, 2, 2, 2, 2))),
    "conv_tbc": (LOW, lambda: fb.conv_tbc(fb.ones(4, 1, 2), fb.ones(2, 2, 3), fb.ones(3))),
    "conv_transpose1d": (LOW, lambda: fb.conv_transpose1d(fb.ones(1, 2, 4), fb.ones(2, 3, 2))),
    "conv_transpose2d": (LOW, lambda: fb.conv_transpose2d(fb.ones(IMAGE), fb.ones(2, 3, 2, 2))),
    "conv_transpose3d": (LOW, lambda: fb.conv_transpose3d(fb.ones(VOLUME), fb.ones(2, 3, 2, 2, 2))),
    "prelu": (LOW, lambda: fb.prelu(matrix(), fb.ones(1))),
    "cross_entropy": (fb.float32, lambda: fb.cross_entropy(matrix(LOW), fb.tensor([0, 1]))),
    "nll_loss": (fb.float32, lambda: fb.nll_loss(matrix(LOW), fb.tensor([0, 1]))),
    "mse_loss": (fb.float32, lambda: fb.mse_loss(matrix(LOW), matrix(LOW))),
    "prod": (fb.float32, lambda: matrix(LOW).prod()),
    "trace": (fb.float32, lambda: matrix(LOW).trace()),
    "cdist": (fb.float32, lambda: fb.cdist(matrix(LOW), matrix(LOW))),
    "quantile": (fb.float32, lambda: fb.quantile(matrix(LOW), 0.5)),
    "grid_sampler": (fb.float32, lambda: fb.grid_sampler(fb.ones(IMAGE, dtype=LOW), fb.zeros(1, 1, 1, 2), 0, 0, True)),
    "avg_pool3d": (fb.float32, lambda: fb.avg_pool3d(fb.ones(VOLUME, dtype=LOW), 2)),
    "max_pool3d": (fb.float32, lambda: fb.max_pool3d(fb.ones(VOLUME, dtype=LOW), 2)),
    "rfft": (fb.complex64, lambda: fb.fft.rfft(matrix(LOW))),
    "inv": (fb.float32, lambda: fb.linalg.inv(matrix(LOW))),
    "cholesky": (fb.float32, lambda: fb.linalg.cholesky(symmetric().to(LOW))),
    "solve": (fb.float32, lambda: fb.linalg.solve(matrix(LOW), matrix())),
    "svdvals": (fb.float32, lambda: fb.linalg.svdvals(matrix(LOW))),
    "eigvalsh": (fb.float32, lambda: fb.linalg.eigvalsh(symmetric().to(LOW))),
    "cat": (fb.float32, lambda: fb.cat([matrix(LOW), matrix()])),
    "cat of one": (LOW, lambda: fb.cat([matrix(LOW), matrix(LOW)])),
    "stack": (fb.float32, lambda: fb.stack((matrix(LOW), matrix()))),
    "index_copy": (fb.float32, lambda: matrix(LOW).index_copy(0, fb.tensor([0]), matrix()[:1])),
    "add": (fb.float32, lambda: matrix() + matrix(LOW)),
    "exp": (LOW, lambda: matrix(LOW).exp()),
    "softmax": (LOW, lambda: matrix(LOW).softmax(0)),
    "sum": (fb.float32, lambda: matrix().sum()),
    "mv": (fb.float32, lambda: matrix().mv(fb.ones(2))),
    "float64": (fb.float64, lambda: matrix(fb.float64) @ matrix(fb.float64)),
    "float64 loss": (fb.float64, lambda: fb.mse_loss(matrix(fb.float64), matrix(fb.float64))),
    "integers": (fb.int64, lambda: fb.ones(2, 2, dtype=fb.int64) @ fb.ones(2, 2, dtype=fb.int64)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_autocast_selects_the_dtype_of_each_operator(name):
    dtype, call = CHOICES[name]
    with autocast("cpu"):
        assert call().dtype is dtype


def test_autocast_computes_with_the_cast_arguments():
    a, b = fb.randn(5, 7), fb.randn(7, 3)
    with autocast("cpu"):
        product = a @ b
    assert product.equal(a.bfloat16() @ b.bfloat16())
    with autocast("cpu", dtype=fb.float16):
        assert (a @ b).equal(a.half() @ b.half())


def test_in_place_operators_and_out_keep_their_dtype_under_autocast():
    out = fb.empty(2, 2)
    with autocast("cpu"):
        fb.mm(matrix(), matrix(), out=out)
        assert out.equal(fb.tensor([[4.0, 0.0], [5.0, 9.0]]))
        assert matrix().addmm_(matrix(), matrix()).dtype is fb.float32
        with pytest.raises(RuntimeError, match="bfloat16"):
            matrix().addmm_(matrix(LOW), matrix())


def test_autocast_regions_can_be_nested_and_end_after_exceptions():
    product = lambda: (matrix() @ matrix()).dtype  # noqa: E731
    with autocast("cpu"):
        assert fb.is_autocast_enabled("cpu") and fb.is_autocast_cpu_enabled()
        with autocast("cpu", enabled=False):
            assert product() is fb.float32
            with autocast("cpu", dtype=fb.float16):
                assert product() is fb.float16 and fb.get_autocast_dtype("cpu") is fb.float16
            assert product() is fb.float32
        assert product() is LOW and fb.get_autocast_dtype("cpu") is LOW
        with pytest.raises(RuntimeError, match="shapes"), autocast("cpu", dtype=fb.float16):
            fb.mm(fb.ones(2, 3), fb.ones(2, 3))
        assert product() is LOW
    assert product() is fb.float32 and not fb.is_autocast_enabled("cpu")


def test_an_autocast_object_can_be_entered_again_inside_itself():
    region = autocast("cpu")
    with region:
        with region:
            pass
        assert fb.is_autocast_enabled("cpu")
    assert not fb.is_autocast_enabled("cpu")


def test_autocast_decorates_functions():
    @autocast("cpu")
    def product(times=1):
        """Doc."""
        return matrix() @ matrix() if times == 1 else product(times - 1)

    assert product(3).dtype is LOW and product.__doc__ == "Doc." and not fb.is_autocast_enabled("cpu")


def test_autocast_is_thread_local():
    seen = []
    with autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((matrix() @ matrix()).dtype))
        thread.start()
        thread.join()
        assert (matrix() @ matrix()).dtype is LOW
    assert seen == [fb.float32]


def test_autocast_settings_can_be_changed_by_functions():
    try:
        fb.set_autocast_enabled("cpu", True)
        fb.set_autocast_dtype("cpu", fb.float16)
        assert (matrix() @ matrix()).dtype is fb.float16 and fb.get_autocast_cpu_dtype() is fb.float16
        fb.set_autocast_cpu_dtype(LOW)
        assert (matrix() @ matrix()).dtype is LOW
    finally:
        fb.set_autocast_cpu_enabled(False)
    assert not fb.is_autocast_enabled("cpu")
    assert fb.is_autocast_cache_enabled()
    fb.set_autocast_cache_enabled(False)
    try:
        assert not fb.is_autocast_cache_enabled()
    finally:
        fb.set_autocast_cache_enabled(True)
    assert fb.autocast_increment_nesting() == 1 and fb.autocast_decrement_nesting() == 0
    fb.clear_autocast_cache()
    fb.set_autocast_enabled(True)  # enables autocast for "cuda"
    try:
        assert (
            fb.is_autocast_enabled() and not fb.is_autocast_enabled("cpu") and (matrix() @ matrix()).dtype.itemsize == 4
        )
    finally:
        fb.set_autocast_enabled(False)
    assert fb.get_autocast_gpu_dtype() is fb.float16
    fb.set_autocast_gpu_dtype(LOW)
    assert fb.get_autocast_dtype("cuda") is LOW
    fb.set_autocast_gpu_dtype(fb.float16)


def test_invalid_devices_and_dtypes_are_rejected():
    assert is_autocast_available("cpu") and is_autocast_available("cuda") and not is_autocast_available("meta")
    with pytest.raises(ValueError, match="device_type"):
        autocast(fb.device("cpu"))
    for wrong in ("gpu", "meta"):
        with pytest.raises(RuntimeError, match=wrong):
            autocast(wrong)
    with pytest.raises(RuntimeError, match="gpu"):
        fb.is_autocast_enabled("gpu")
    with pytest.warns(UserWarning, match="bfloat16"):
        region = autocast("cpu", dtype=fb.float64)
    with region:
        assert (matrix() @ matrix()).dtype is fb.float32
    for wrong in ((None,), ("cpu",), ("cpu", 1)):
        with pytest.raises(TypeError, match="enabled"):
            fb.set_autocast_enabled(*wrong)
    with pytest.raises(RuntimeError, match="int64"):
        fb.set_autocast_dtype("cpu", fb.int64)


def test_cuda_autocast_without_a_gpu_has_no_effect():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        region = fb.autocast("cuda")
    with region:
        assert (matrix() @ matrix()).dtype is fb.float32
    with fb.autocast("cuda", enabled=False):
        assert not fb.is_autocast_enabled()


def test_deprecated_names_of_autocast_warn():
    with pytest.warns(FutureWarning, match="flambeau.amp.autocast"):
        region = fb.cpu.amp.autocast()
    with region:
        assert (matrix() @ matrix()).dtype is LOW
    with pytest.warns(FutureWarning, match="flambeau.amp.autocast"):
        assert not fb.cuda.amp.autocast(enabled=False)._enabled
    with pytest.warns(FutureWarning, match="flambeau.amp.GradScaler"):
        assert fb.cpu.amp.GradScaler().is_enabled()
    with pytest.warns(FutureWarning, match="flambeau.amp.GradScaler"):
        assert not fb.cuda.amp.GradScaler(enabled=False).is_enabled()
    for make in (fb.cuda.amp.custom_fwd, fb.cuda.amp.custom_bwd):
        with pytest.warns(FutureWarning, match="custom"):
            make(lambda context: None)


def test_custom_functions_run_in_a_chosen_mode():
    class Context:
        pass

    @custom_fwd(device_type="cpu", cast_inputs=fb.float32)
    def forward(context, values, *, scale):
        assert not fb.is_autocast_enabled("cpu")
        return [v.dtype for v in values], scale.dtype

    @custom_fwd(device_type="cpu")
    def plain(context, x):
        return (x @ x).dtype

    @custom_bwd(device_type="cpu")
    def backward(context):
        return (matrix() @ matrix()).dtype

    context = Context()
    with autocast("cpu"):
        dtypes = forward(context, [matrix(LOW), matrix(fb.float64), fb.tensor(1)], scale=matrix(fb.float16))
        assert dtypes == ([fb.float32, fb.float64, fb.int64], fb.float32)
        assert backward(context) is fb.float32
        assert plain(context, matrix()) is LOW
    assert backward(context) is LOW
    assert plain(context, matrix()) is fb.float32 and backward(context) is fb.float32
    with pytest.raises(ValueError, match="device_type"):
        custom_fwd(device_type=1)


def test_operators_declare_their_autocast_policy():
    assert "autocast" in inspect.signature(fb._operator.operator).parameters
    with pytest.raises(KeyError):

        @fb._operator.operator(autocast="float31")
        def _nothing(input: fb.Tensor) -> fb.Tensor:
            return input


def test_autocast_is_disabled_for_unavailable_devices():
    assert not any(fb.is_autocast_enabled(kind) for kind in ("mps", "xpu", "xla", "hpu", "privateuseone"))
    with pytest.raises(RuntimeError, match="unsupported autocast device type 'meta'"):
        fb.is_autocast_enabled("meta")
