"""Tests of names that programs written for PyTorch use on a machine without a GPU or a compiler."""

import importlib
import math
import sys

import numpy as np
import pytest

import flambeau as fb

ANSWERS = {
    "cuda.is_available()": False,
    "cuda.is_initialized()": False,
    "cuda._initialized": False,
    "cuda._lazy_call(lambda: 1 / 0)": None,
    "cuda.device_count()": 0,
    "cuda.is_bf16_supported()": False,
    "cuda.is_tf32_supported()": False,
    "cuda.get_arch_list()": [],
    "cuda.get_gencode_flags()": "",
    "cuda.memory_allocated()": 0,
    "cuda.max_memory_allocated('cuda:0')": 0,
    "cuda.memory_reserved()": 0,
    "cuda.memory_stats()": {},
    "cuda.empty_cache()": None,
    "cuda.ipc_collect()": None,
    "cuda.manual_seed_all(1)": None,
    "cuda.seed()": None,
    "cuda.reset_peak_memory_stats()": None,
    "cuda.get_rng_state_all()": [],
    "cuda.set_rng_state_all([])": None,
    "cuda.get_allocator_backend()": "native",
    "cuda.cudaStatus.SUCCESS": 0,
    "cuda.FloatTensor.is_cuda": True,
    "cuda.default_generators": (),
    "cuda.memory.memory_allocated()": 0,
    "cuda.random.manual_seed_all(1)": None,
    "cpu.is_available()": True,
    "cpu.is_initialized()": True,
    "cpu.device_count()": 1,
    "cpu.current_device()": "cpu",
    "cpu.synchronize()": None,
    "cpu.set_device('cpu')": None,
    "cpu.current_stream().synchronize()": None,
    "accelerator.is_available()": False,
    "accelerator.current_accelerator()": None,
    "accelerator.device_count()": 0,
    "backends.cuda.is_built()": True,
    "backends.cuda.matmul.allow_tf32": False,
    "backends.cuda.flash_sdp_enabled()": True,
    "backends.cuda.is_flash_attention_available()": False,
    "backends.cudnn.is_available()": False,
    "backends.cudnn.version()": None,
    "backends.cudnn.is_acceptable(None)": False,
    "backends.cudnn.enabled": True,
    "backends.cudnn.benchmark": False,
    "backends.mps.is_available()": False,
    "backends.mps.is_built()": False,
    "backends.mps.is_macos_or_newer(13, 0)": False,
    "backends.mkl.is_available()": False,
    "backends.mkldnn.is_available()": False,
    "backends.openmp.is_available()": False,
    "backends.opt_einsum.is_available()": False,
    "version.cuda": None,
    "version.hip": None,
    "version.__version__": fb.__version__,
    "compiled_with_cxx11_abi()": True,
    "is_vulkan_available()": False,
    "set_flush_denormal(True)": False,
    "set_num_interop_threads(2)": None,
    "get_num_interop_threads()": 1,
    "sym_int(2.5)": 2,
    "sym_float(2)": 2.0,
    "sym_not(0)": True,
    "sym_max(1, 2.0)": 2.0,
    "sym_min(1, 2)": 1,
    "sym_sum([1, 2])": 3,
    "sym_sqrt(4)": 2.0,
    "sym_ite(False, 1, 2)": 2,
    "zeros(1).is_xla": False,
    "zeros(1).is_vulkan": False,
    "zeros(1).is_mtia": False,
    "zeros(1).is_maia": False,
    "zeros(1).is_ipu": False,
    "zeros(1).name": None,
}


@pytest.mark.parametrize("expression", ANSWERS)
def test_queries_return_the_values_of_a_cpu_build_of_pytorch(expression):
    answer = eval(f"fb.{expression}")
    assert answer == ANSWERS[expression] and isinstance(answer, type(ANSWERS[expression]))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *((f"cuda.{name}()", RuntimeError) for name in ("synchronize", "init", "current_device", "current_stream")),
        *((f"cuda.{name}()", RuntimeError) for name in ("get_device_name", "get_device_properties", "mem_get_info")),
        *((f"cuda.{name}()", RuntimeError) for name in ("get_device_capability", "get_rng_state", "initial_seed")),
        ("cuda.set_device(0)", RuntimeError),
        ("cuda.stream(1)", RuntimeError),
        ("cuda.set_rng_state_all([fb.zeros(1)])", RuntimeError),
        ("cuda.Stream()", RuntimeError),
        ("cuda.no_such_name", AttributeError),
        *((f"cuda.{name}()", RuntimeError) for name in ("cudart", "profiler.start", "device_memory_used")),
        ("cuda.set_per_process_memory_fraction(0.5)", RuntimeError),
        ("cuda.comm.broadcast(fb.ones(1), [0])", RuntimeError),
        ("cuda.streams.Stream()", RuntimeError),
        ("Stream('cuda')", RuntimeError),
        ("Stream(0)", RuntimeError),
        ("Event('cuda')", RuntimeError),
        ("Stream('nothing')", RuntimeError),
        ("Stream().record_event()", RuntimeError),
        ("Event().record()", RuntimeError),
        ("Event(enable_timing=True).elapsed_time(fb.Event())", ValueError),
        ("accelerator.synchronize()", RuntimeError),
        ("set_num_interop_threads(0)", RuntimeError),
        ("set_num_interop_threads('1')", TypeError),
        ("set_flush_denormal(1)", TypeError),
        ("get_device_module('meta')", RuntimeError),
        ("cond('3', min, max)", RuntimeError),
        *((f"{name}(1)", NotImplementedError) for name in ("SymInt", "SymFloat", "SymBool")),
        ("backends.foo", AttributeError),
        ("cpu.foo", AttributeError),
    ],
)
def test_unsupported_devices_and_backends_raise(call, error):
    with pytest.raises(error):
        eval(f"fb.{call}")


def test_cpu_streams_have_no_effect():
    stream = fb.cpu.Stream()
    with fb.cpu.stream(stream), fb.cuda.stream(None):
        stream.wait_stream(fb.cpu.current_stream())
    assert fb.get_device_module() is fb.cpu and fb.get_device_module("cuda:1") is fb.cuda


def test_streams_and_events_default_to_the_cpu():
    stream, event = fb.Stream(), fb.Event("cpu")
    with stream as entered:
        assert entered is stream and stream.query() and not stream.is_capturing()
    stream.synchronize(), stream.wait_event(event), stream.wait_stream(fb.Stream("cpu"))
    event.wait(), event.wait(stream), event.synchronize()
    assert stream == fb.Stream("cpu", priority=-1) and hash(stream) == hash(fb.Stream())
    assert stream.device == event.device == fb.device("cpu") and event.query() and event.event_id == 0
    assert repr(stream) == "flambeau.Stream device_type=cpu, device_index=-1, stream_id=0"
    assert issubclass(fb.cuda.Stream, fb.Stream) and issubclass(fb.cuda.Event, fb.Event)


@pytest.mark.parametrize("name", ["cudnn", "mkldnn", "opt_einsum"])
def test_backend_flags_change_settings_within_a_block(name):
    module = importlib.import_module(f"flambeau.backends.{name}")
    assert module.enabled
    with module.flags(enabled=False):
        assert not module.enabled
    assert module.enabled


def test_flags_of_opt_einsum_can_be_set():
    module = fb.backends.opt_einsum
    former = module.set_flags(False, "optimal")
    assert former == (True, "auto") and (module.enabled, module.strategy) == (False, "optimal")
    assert module.set_flags(*former) == (False, "optimal") and module.set_flags() == former


def test_flags_of_attention_backends_can_be_set():
    cuda = fb.backends.cuda
    with cuda.sdp_kernel(enable_flash=False, enable_cudnn=False):
        assert not cuda.flash_sdp_enabled() and not cuda.cudnn_sdp_enabled() and cuda.math_sdp_enabled()
    for name in ("flash", "mem_efficient", "math", "cudnn"):
        enable, enabled = getattr(cuda, f"enable_{name}_sdp"), getattr(cuda, f"{name}_sdp_enabled")
        enable(False)
        assert not enabled()
        enable(True)
        assert enabled()
    assert fb.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2", "AVX512")


def test_cond_and_while_loop_run_the_selected_functions():
    x = fb.tensor(3.0)
    assert fb.cond(x > 2, lambda v: v + 1, lambda v: v - 1, (x,)).item() == 4
    assert fb.cond(False, lambda v: v + 1, lambda v: v - 1, (x,)).item() == 2
    assert fb.cond(1, lambda v: v + 1, lambda v: v - 1, (x,)).item() == 4
    count, total = fb.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (fb.tensor(0), fb.tensor(0)))
    assert (count.item(), total.item()) == (4, 6)


def test_some_in_place_operators_are_also_functions():
    x = fb.arange(6.0)
    assert fb.as_strided_(x.clone(), (2, 2), (1, 2)).equal(x.as_strided((2, 2), (1, 2)))
    assert fb.index_put_(x, (fb.tensor([1]),), fb.tensor([7.0])) is x and x[1] == 7
    assert x.to_dense() is x and x.to_dense(fb.int64).dtype is fb.int64
    pytest.importorskip("flambeau.autograd")
    assert fb.detach_(x) is x


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("_check", RuntimeError),
        ("_check_index", IndexError),
        ("_check_value", ValueError),
        ("_check_type", TypeError),
        ("_check_not_implemented", NotImplementedError),
    ],
)
def test_torch_check_functions_raise_if_a_condition_is_false(name, error):
    check = getattr(fb, name)
    check(True, lambda: 1 / 0)
    with pytest.raises(error, match=r"^of 3$"):
        check(False, lambda: f"of {3}")
    with pytest.raises(error, match="Expected cond to be True"):
        check(False)
    with pytest.raises(TypeError, match="must be a bool"):
        check(1)
    with pytest.raises(TypeError, match="must be a callable"):
        check(False, "text")


def test_sizes_and_elements_are_checked():
    fb._check_is_size(3, max=3)
    fb._check_tensor_all(fb.ones(2) > 0)
    fb._check_with(ValueError, True)
    fb._check_tensor_all_with(ValueError, fb.ones(2) > 0, lambda: "not shown")
    with pytest.raises(ValueError, match="of this type"):
        fb._check_tensor_all_with(ValueError, fb.ones(2) > fb.tensor([0, 1]), lambda: "of this type")
    for check, argument in ((fb._check_is_size, -1), (fb._check_tensor_all, fb.ones(2) > fb.tensor([0, 1]))):
        with pytest.raises(RuntimeError, match="no"):
            check(argument, lambda: "no")
    with pytest.raises(TypeError, match="must have dtype"):
        fb._check_tensor_all(fb.ones(2))


def test_assert_async_reads_one_element():
    fb._assert_async(fb.tensor(True))
    fb._assert_async(fb.tensor([3.0]), "never")
    with pytest.raises(RuntimeError, match="out of range"):
        fb._assert_async(fb.tensor(False), "out of range")
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        fb._assert_async(fb.ones(2))


def test_shape_as_tensor_returns_the_sizes_as_int64():
    assert fb._shape_as_tensor(fb.ones(2, 0, 3)).tolist() == [2, 0, 3]
    assert fb._shape_as_tensor(fb.tensor(1.0)).dtype == fb.int64


def test_torch_assert_raises_if_a_condition_is_false():
    fb._assert(fb.ones(1) > 0, "no")
    with pytest.raises(AssertionError, match="no"):
        fb._assert(fb.ones(1) < 0, "no")


def test_sizes_are_not_symbolic_numbers():
    assert not isinstance(fb.zeros(3).shape[0], fb.SymInt | fb.SymFloat | fb.SymBool)


def test_the_module_types_has_the_names_of_pytorch():
    types = fb.types
    assert isinstance(fb.zeros(1).untyped_storage(), types.Storage) and isinstance(fb.zeros(1).storage(), types.Storage)
    assert isinstance("cpu", types.Device) and isinstance(fb.device("cpu"), types.Device)
    assert isinstance(None, types.Device) and not isinstance(1.5, types.Device)
    assert isinstance(2.5, types._Number) and not isinstance(1j, types._Number) and isinstance(1, types.Number)
    assert types._int is int and types._dtype is fb.dtype and isinstance(fb.float32, types._dtype)


def test_utils_dlpack_shares_memory():
    from flambeau.utils import dlpack

    x = fb.arange(3)
    capsule = dlpack.to_dlpack(x)
    assert "dltensor" in repr(capsule)
    y = dlpack.from_dlpack(capsule)
    y[0] = 7
    assert x.tolist() == [7, 1, 2] and dlpack.from_dlpack(np.arange(2)).tolist() == [0, 1]
    assert x.__dlpack_device__() == (dlpack.DLDeviceType.kDLCPU, 0)


def test_dir_lists_submodules():
    names = {
        "accelerator",
        "amp",
        "autocast",
        "backends",
        "compile",
        "compiler",
        "hub",
        "jit",
        "kl_div",
        "mps",
        "types",
        "version",
        "xpu",
    }
    assert names <= set(dir(fb))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("addmm", [(2, 4), (2, 3), (3, 4)]),
        ("addmv", [(2,), (2, 3), (3,)]),
        ("addr", [(2, 3), (2,), (3,)]),
        ("addbmm", [(2, 4), (5, 2, 3), (5, 3, 4)]),
        ("baddbmm", [(5, 2, 4), (5, 2, 3), (5, 3, 4)]),
    ],
)
def test_the_deprecated_order_of_beta_and_alpha_warns(name, shapes):
    x, y, z = (fb.arange(math.prod(shape)).reshape(shape).float() for shape in shapes)
    function = getattr(fb, name)
    with pytest.warns(UserWarning, match="after the tensors, as beta= and alpha=;"):
        assert fb.equal(function(0.5, x, 2, y, z), function(x, y, z, beta=0.5, alpha=2))
    with pytest.warns(UserWarning, match="after the tensors, as beta=;"):
        assert fb.equal(function(0.5, x, y, z), function(x, y, z, beta=0.5))
    with pytest.warns(UserWarning, match="deprecated"):
        assert fb.equal(getattr(x, name)(0.5, 2, y, z), function(x, y, z, beta=0.5, alpha=2))
    for wrong in ((x, y, z, 0.5), (0.5, 2, x, 3, y, z), (0.5, x, y), (x, y, z, z), (0.5, 2, 3, x, y)):
        with pytest.raises(TypeError):
            function(*wrong)


@pytest.mark.parametrize(
    ("name", "before", "today"),
    [
        ("add", (3.0, "y"), ("y", {"alpha": 3.0})),
        ("sub", (3.0, "y"), ("y", {"alpha": 3.0})),
        ("addcmul", (0.5, "y", "z"), ("y", "z", {"value": 0.5})),
        ("addcdiv", (0.5, "y", "z"), ("y", "z", {"value": 0.5})),
    ],
)
def test_the_deprecated_order_of_number_and_tensor_arguments_warns(name, before, today):
    """Test the deprecated order of arguments of PyTorch's first versions, which older optimizers use."""
    tensors = {"y": fb.tensor([1.0, 2.0]), "z": fb.tensor([4.0, 5.0])}
    *positional, named = today
    expected = getattr(fb.ones(2), name)(*(tensors[t] for t in positional), **named)
    arguments = [tensors.get(a, a) for a in before]
    with pytest.warns(UserWarning, match=f"This overload of {name} is deprecated: pass the number after"):
        assert fb.equal(getattr(fb.ones(2), name)(*arguments), expected)
    with pytest.warns(UserWarning, match=f"after the tensors, as {next(iter(named))}="):
        assert fb.equal(getattr(fb.ones(2), name + "_")(*arguments), expected)
    with pytest.raises(TypeError, match="positional arguments at most but"):
        getattr(fb.ones(2), name)(1, 2, 3, 4)
    with (
        pytest.raises(TypeError, match="multiple values for argument"),
        pytest.warns(UserWarning, match="deprecated"),
    ):
        getattr(fb.ones(2), name)(*arguments, **named)


def test_the_size_of_an_untyped_storage_is_in_bytes():
    sizes = [sys.getsizeof(fb.zeros(count).untyped_storage()) for count in (0, 1000)]
    assert sizes[1] - sizes[0] == 4000


def test_backend_flags_allow_nonbracketed_mutation():
    with fb.backends.__allow_nonbracketed_mutation():
        fb.backends.cudnn.benchmark = fb.backends.cudnn.benchmark


def test_deprecated_ways_to_convert_and_print_a_tensor_work():
    assert fb.tensor([1]).type(fb.Tensor).dtype is fb.float32
    shapeless = fb.empty((), device="meta")
    assert f"{shapeless}" == repr(shapeless)
    with pytest.raises(RuntimeError, match=r"not supported; use flambeau.as_tensor"):
        fb.zeros(1).new(fb.zeros(1), device="cpu")


def test_defaults_of_operators_can_be_read_like_those_of_functions():
    assert fb.meshgrid.__kwdefaults__ == {"indexing": None} and fb.meshgrid.__defaults__ is None
    assert fb.stack.__defaults__ == (0,) and fb.stack.__kwdefaults__ is None
    assert fb.sum.__defaults__ == (None, False) and fb.sum.__kwdefaults__ == {"dtype": None}


def test_settings_of_backends_are_never_frozen():
    assert fb.backends.flags_frozen() is False
