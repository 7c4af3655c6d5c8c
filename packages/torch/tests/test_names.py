"""Test that objects have PyTorch's names under the alias ``torch``, and that every name of PyTorch can be imported."""

import pickle
import subprocess
import sys
import textwrap

import pytest

import flambeau as fb
from flambeau.torch import _absent, _interface, _module_names


def run(program):
    """Run a program in which ``torch`` is flambeau, and return its output."""
    code = "import flambeau.torch\nflambeau.torch.install()\nimport torch\n" + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_repr_of_objects_uses_the_name_torch_under_the_alias():
    printed = run("""
        x = torch.ones(2)
        print(x.dtype, x.shape, x.layout, torch.channels_last, x.device.__repr__(), type(x), x.type(), sep="; ")
        print(torch.typename(x), torch.FloatTensor, type(x.dtype), torch.typename(torch.Size), sep="; ")
        print(x.max(0), x.untyped_storage(), torch.float8_e5m2, sep="; ")
    """)
    assert printed.splitlines() == [
        "torch.float32; torch.Size([2]); torch.strided; torch.channels_last; device(type='cpu'); "
        "<class 'torch.Tensor'>; torch.FloatTensor",
        "torch.FloatTensor; <class 'torch.FloatTensor'>; <class 'torch.dtype'>; torch.Size",
        "torch.return_types.max(",
        *["values=tensor(1.),", "indices=tensor(0)); " + printed.splitlines()[4].partition("; ")[2]],
        *printed.splitlines()[5:],
    ]
    assert "[torch.storage.UntypedStorage(device=cpu) of size 8]; torch.float8_e5m2" in printed


def test_dunder_module_of_objects_names_the_modules_of_pytorch():
    pytest.importorskip("flambeau.nn")
    pytest.importorskip("flambeau.optim")
    pytest.importorskip("flambeau.data")
    run("""
        import inspect
        from torch.utils.data import DataLoader
        assert torch.Tensor.__module__ == "torch" and torch.nn.Linear.__module__ == "torch.nn.modules.linear"
        assert inspect.getmodule(torch.nn.Linear) is torch.nn.modules.linear
        assert torch.nn.modules.linear.__name__ == "torch.nn.modules.linear" and torch.linalg.__name__ == "torch.linalg"
        assert torch.optim.lr_scheduler.StepLR.__module__ == "torch.optim.lr_scheduler"
        assert DataLoader.__module__ == "torch.utils.data.dataloader"
        assert torch.save.__module__ == "torch.serialization" and torch.no_grad.__module__ == "torch.autograd.grad_mode"
        assert torch.add.__module__ == "torch" and torch.linalg.qr.__module__ == "torch.linalg"
        assert torch.linalg.LinAlgError.__module__ == "torch._C" and torch.OutOfMemoryError.__module__ == "torch"
        class Derived(torch.nn.Module): pass
        assert repr(Derived) == "<class '__main__.Derived'>"
    """)


def test_uninstalling_restores_the_names():
    run("""
        import flambeau as fb
        torch.linalg.LinAlgError, torch.no_grad
        flambeau.torch.uninstall()
        assert repr(fb.float32) == "flambeau.float32" and repr(fb.Tensor) == "<class 'flambeau.Tensor'>"
        assert fb.linalg.__name__ == "flambeau.linalg" and fb.no_grad.__module__ == "flambeau._grad_mode"
        assert fb.add.__module__ == "flambeau" and fb.linalg.LinAlgError.__module__ == "flambeau.linalg"
    """)


@pytest.mark.parametrize("named_by", ["flambeau", "torch"])
def test_files_saved_as_flambeau_or_torch_load_under_both_names(named_by, tmp_path):
    pytest.importorskip("flambeau.nn")
    write = """
        import {0}, {0}.nn
        model = {0}.nn.Sequential({0}.nn.Linear(2, 3), {0}.nn.ReLU())
        {0}.save(model, {1!r})
        {0}.save(dict(a={0}.ones(2), b={0}.Size([2]), c={0}.float16), {2!r})
    """
    read = """
        import {0}, {0}.nn
        assert type({0}.load({1!r}, weights_only=False)[0]) is {0}.nn.Linear
        assert {0}.load({2!r})["b"] == {0}.Size([2]) and {0}.load({2!r})["c"] is {0}.float16
    """
    paths = str(tmp_path / "model.pt"), str(tmp_path / "values.pt")
    prefix = "import flambeau.torch\nflambeau.torch.install()\n"
    other = "torch" if named_by == "flambeau" else "flambeau"
    for program, name in ((write, named_by), (read, named_by), (read, other)):
        code = (prefix if name == "torch" else "") + textwrap.dedent(program.format(name, *paths))
        subprocess.run([sys.executable, "-c", code], check=True)


def test_tensors_pickled_as_torch_load_without_the_alias():
    values = "[torch.arange(3), torch.Size([2]), torch.device('cpu'), torch.float16, torch.channels_last]"
    read = pickle.loads(bytes.fromhex(run(f"import pickle; print(pickle.dumps({values}).hex())")))
    assert read[0].tolist() == [0, 1, 2] and type(read[1]) is fb.Size
    assert read[1:] == [fb.Size([2]), fb.device("cpu"), fb.float16, fb.channels_last]


def test_every_module_of_pytorch_can_be_imported():
    pytest.importorskip("flambeau.vision", reason="needs all of flambeau")
    pytest.importorskip("flambeau.distributed", reason="needs all of flambeau")
    pytest.importorskip("flambeau.onnx", reason="needs all of flambeau")
    printed = run("""
        import importlib
        from flambeau.torch import _interface
        for name in _interface._lines():
            try:
                importlib.import_module(name)
            except ImportError as error:
                print(name, error)
    """)
    lacking = {"flambeau.distributed", "flambeau.nn", "flambeau.data"}  # packages that may not be installed
    assert not [line for line in printed.splitlines() if not any(name in line for name in lacking)]


def test_unsupported_names_can_be_imported_and_raise_when_used():
    pytest.importorskip("flambeau.nn")  # QuantStub is a module
    printed = run("""
        from torch.ao.quantization import FakeQuantize, get_default_qconfig_mapping
        import torch.nested
        class Own(FakeQuantize): pass
        assert not isinstance(3, FakeQuantize)
        for use in (Own, FakeQuantize, get_default_qconfig_mapping, lambda: torch.nested.nested_tensor([]),
                    lambda: FakeQuantize.with_args, lambda: bool(torch.ao.quantization.qconfig.default_qconfig)):
            try:
                use()
            except NotImplementedError as error:
                print(error)
        assert [entry.name for entry in flambeau.torch.missing()][:1] == ["torch.ao.quantization.FakeQuantize"]
        for place in (torch, torch.ao, torch.ao.quantization):
            assert not hasattr(place, "no_name_of_pytorch")
    """)
    quantised = "flambeau has no quantised tensors"
    assert printed.splitlines() == [
        *[f"torch.ao.quantization.FakeQuantize: {quantised}"] * 2,
        f"torch.ao.quantization.get_default_qconfig_mapping: {quantised}",
        "torch.nested.nested_tensor: flambeau has no nested tensors; use torch.nn.utils.rnn.pad_sequence()",
        f"torch.ao.quantization.FakeQuantize: {quantised}",
        f"torch.ao.quantization.qconfig.default_qconfig: {quantised}",
    ]


def test_names_can_be_imported_from_the_modules_where_pytorch_defines_them():
    run("""
        from torch._tensor import Tensor
        from torch.autograd.grad_mode import no_grad
        from torch.functional import einsum, lu, norm, unique
        assert lu is torch.lu and unique is torch.unique
        assert Tensor is torch.Tensor and no_grad is torch.no_grad and einsum is torch.einsum
        assert torch.functional.__name__ == "torch.functional"
    """)


def test_hasattr_is_false_for_unsupported_names_that_can_be_imported():
    pytest.importorskip("flambeau.nn")
    run("""
        assert not hasattr(torch.nn.functional, "scaled_mm") and not hasattr(torch._C, "_jit_set_profiling_mode")
        from torch.nn.functional import scaled_mm
        from torch._C import _jit_set_profiling_mode
        assert hasattr(torch.nn.functional, "embedding_bag") and not hasattr(torch.nn.functional, "scaled_mm")
    """)


def test_settings_of_dynamo_and_inductor_can_be_assigned():
    pytest.importorskip("flambeau.compiler", reason="needs flambeau-export")
    run("""
        import torch._dynamo.config
        import torch._inductor.config as inductor
        inductor.max_autotune = True
        with torch._dynamo.config.patch(suppress_errors=True), torch._dynamo.config.patch("verbose", 3):
            assert torch._dynamo.config.suppress_errors and torch._dynamo.config.verbose == 3
        @torch._dynamo.config.patch({"verbose": 4})
        def verbose():
            return torch._dynamo.config.verbose
        assert verbose() == 4 and inductor.max_autotune is True
        assert not torch._dynamo.config.verbose
        with torch._dynamo.config.patch(other=True):
            assert torch._dynamo.config.other
        assert not hasattr(torch._dynamo.config, "other")
    """)


def test_settings_of_dynamo_and_inductor_have_pytorchs_default_values():
    pytest.importorskip("flambeau.compiler", reason="needs flambeau-export")
    run("""
        import torch._dynamo.config
        import torch._inductor.config as inductor
        assert torch._dynamo.config.suppress_errors is False and torch._dynamo.config.cache_size_limit == 8
        assert (inductor.max_autotune, inductor.fallback_random, inductor.epilogue_fusion) == (False, False, True)
        assert inductor.coordinate_descent_tuning is False and inductor.triton.unique_kernel_names is True
        torch._inductor.config.triton.cudagraphs = True
        assert inductor.triton.cudagraphs is True
    """)


def test_switches_of_module_conversions_have_pytorchs_names():
    pytest.importorskip("flambeau.nn")
    run("""
        layer = torch.nn.Linear(2, 2)
        weight = layer.weight
        assert torch.__future__.__name__ == "torch.__future__"
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        assert torch.__future__.get_overwrite_module_params_on_conversion() is True
        assert layer.double().weight is not weight
    """)


def test_unsupported_dtypes_exist_as_names():
    run("""
        assert isinstance(torch.qint8, torch.dtype)
        assert (torch.complex32.is_complex, torch.complex32.itemsize) == (True, 4)
        assert repr(torch.qint8) == "torch.qint8" and torch.uint4 != torch.uint8 and torch.chalf is torch.complex32
        try:
            torch.ones(1, dtype=torch.quint8)
        except NotImplementedError:
            pass
        else:
            raise AssertionError
        try:
            torch.set_default_dtype(torch.qint8)
        except TypeError as error:
            assert "only floating-point types are supported as the default type" in str(error)
        else:
            raise AssertionError
        try:
            torch.quint8.is_signed
        except RuntimeError as error:
            assert "not supported for quantized" in str(error)
        else:
            raise AssertionError
    """)


def test_unsupported_functions_of_torch_raise_when_called():
    run("""
        assert callable(torch.quantize_per_tensor)
        try:
            torch.quantize_per_tensor(torch.ones(1), 0.1, 5, torch.quint8)
        except NotImplementedError as error:
            assert "torch.quantize_per_tensor: flambeau does not implement it" in str(error)
        else:
            raise AssertionError
    """)


def test_modules_of_pytorch_contain_the_name_torch():
    pytest.importorskip("flambeau.nn")  # if it is installed, autograd is too
    run("""
        import torch.nn.functional as F
        assert torch.autograd.torch is F.torch is torch
    """)


def test_debug_has_internal_overlap_equals_pytorch():
    run("""
        def overlap(*layout):
            return torch._debug_has_internal_overlap(torch.empty(40).as_strided(*layout))
        # The expected values were computed by PyTorch 2.13.
        assert overlap((3, 3), (3, 1)) == overlap((3, 3), (1, 3)) == overlap((2, 1, 5), (1, 0, 2)) == 0
        assert overlap((0, 3), (0, 1)) == overlap((0, 2), (3, 5)) == 0
        assert overlap((4, 3), (0, 1)) == 1 and overlap((4, 3), (0, 7)) == 1
        assert overlap((2, 1, 5), (10, 0, 2)) == overlap((3, 3), (1, 1)) == 2
    """)


def test_aminmax_can_be_called_by_its_older_name():
    run("""
        x = torch.tensor([[3.0, 1.0], [2.0, 5.0]])
        assert [v.tolist() for v in torch._aminmax(x)] == [1, 5]
        assert [v.tolist() for v in torch._aminmax(x, 1, True)] == [[[1], [2]], [[3], [5]]]
    """)


def test_unsupported_layouts_exist_as_names():
    run("""
        import copy, pickle
        for layout in (torch.jagged, torch._mkldnn):
            assert isinstance(layout, torch.layout) and layout != torch.strided and torch.ones(1).layout != layout
            assert pickle.loads(pickle.dumps(layout)) is copy.deepcopy(layout) is layout
            try:
                torch.zeros(2, layout=layout)
            except NotImplementedError as error:
                assert f"{layout} is a name only" in str(error)
            else:
                raise AssertionError
        assert repr(torch.jagged) == "torch.jagged"
    """)


def test_load_library_of_a_pytorch_operator_library_raises_os_error():
    pytest.importorskip("flambeau.library")
    run("""
        for loader in (torch.ops, torch.classes):
            try:
                loader.load_library("lib.so")
            except OSError as error:
                assert "lib.so" in str(error)
            else:
                raise AssertionError
        assert not hasattr(torch.classes, "some")
    """)


def test_uninstalling_removes_added_attributes():
    pytest.importorskip("flambeau.nn")
    run("""
        import flambeau as fb
        import torch.signal.windows.windows
        assert torch.qint8 is not None and torch.nn.functional.assert_int_or_pair is not None
        flambeau.torch.uninstall()
        assert not hasattr(fb, "qint8") and not hasattr(fb.nn.functional, "assert_int_or_pair")
        assert not hasattr(fb.signal.windows, "__path__")
    """)


def test_a_module_probed_by_libraries_can_be_imported_but_is_no_attribute():
    pytest.importorskip("flambeau.distributed")
    run("""
        from torch.distributed import rpc
        assert not hasattr(rpc, "api")
        import torch.distributed.rpc.api
    """)


def test_data_pipe_classes_can_be_defined_but_not_instantiated():
    pytest.importorskip("flambeau.data")
    run("""
        import torch
        from torch.utils.data import IterDataPipe, functional_datapipe
        @functional_datapipe("doubled")
        class Doubled(IterDataPipe):
            pass
        assert issubclass(Doubled, IterDataPipe)
        try:
            Doubled()
        except NotImplementedError:
            pass
        else:
            raise AssertionError
    """)


def test_unsupported_subsystems_exist_as_modules():
    known = [name for name in _absent.REASONS if _interface.has_module(name) or name in _module_names._MOVED]
    assert known == list(_absent.REASONS)
    assert all(reason and not reason.endswith(".") for reason in _absent.REASONS.values())


def test_without_the_alias_names_contain_flambeau():
    assert fb.float32.__repr__() == "flambeau.float32" and fb.Tensor.__module__ == "flambeau"


def test_is_available_is_false_for_unsupported_features():
    pytest.importorskip("flambeau.profiler")
    run("""
        assert torch.profiler.itt.is_available() is False
    """)


def test_profiles_use_the_operator_names_of_pytorch():
    pytest.importorskip("flambeau.profiler")
    run("""
        x = torch.ones(3, requires_grad=True)
        with torch.profiler.profile() as profiled, torch.profiler.record_function("mul"):
            (x * 2).sum().backward()
        keys = {average.key for average in profiled.key_averages()}
        assert keys == {"mul", "aten::mul", "aten::sum", "SumBackward0", "MulBackward0", "AccumulateGrad"}, keys
    """)


def test_an_array_on_the_left_of_a_tensor_is_rejected_as_in_pytorch():
    printed = run("""
        import operator
        import numpy
        array, tensor = numpy.array([6.0, 8.0]), torch.tensor([2.0, 4.0])
        for name in ("add", "sub", "mul", "floordiv", "mod", "pow", "matmul", "truediv"):
            try:
                print(name, getattr(operator, name)(array, tensor).tolist())
            except TypeError:
                print(name)
        print((tensor + array).tolist(), (numpy.float64(2) * tensor).tolist())
        flambeau.torch.uninstall()
        print((array + tensor).tolist())
    """)
    rejected = ["add", "sub", "mul", "floordiv", "mod", "pow", "matmul"]
    assert printed.splitlines() == [*rejected, "truediv [3.0, 2.0]", "[8.0, 12.0] [4.0, 8.0]", "[8.0, 12.0]"]


def test_torch_storage_is_the_typed_storage_of_the_default_dtype():
    printed = run("""
        print(torch.Storage is torch.FloatStorage, torch.Storage([1, 2]).type())
        torch.set_default_dtype(torch.float64)
        print(torch.Storage is torch.DoubleStorage, torch.Storage(3).tolist())
    """)
    assert printed.splitlines() == ["True torch.FloatStorage", "True [0.0, 0.0, 0.0]"]


def test_code_generated_by_fx_uses_the_name_torch(tmp_path):
    pytest.importorskip("flambeau.fx", reason="needs flambeau-export")
    printed = run(f"""
        import sys
        import torch.fx

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = torch.nn.Parameter(torch.ones(2))

            def forward(self, x: torch.Tensor, torch_: torch.Tensor | None = None):
                y = torch.nn.functional.relu(torch.relu(x) * self.scale)
                return torch.cat([y.to(torch.float64), torch.linalg.inv(torch.eye(2))])

        traced = torch.fx.symbolic_trace(Model())
        print(traced.code, traced.graph)
        traced.to_folder({str(tmp_path / "saved")!r}, "Saved")
        sys.path.insert(0, {str(tmp_path)!r})
        import saved
        x = torch.ones(2, 2)
        assert torch.equal(saved.Saved()(x), Model()(x)) and torch.equal(traced(x), Model()(x))
    """)
    for text in (
        "def forward(self, x : torch.Tensor",
        "= torch.relu(x)",
        "= torch.nn.functional.relu(mul, inplace = False)",
        ".to(torch.float64)",
        "target=torch.relu]",
    ):
        assert text in printed
    assert "flambeau." not in printed


def test_private_names_of_the_autograd_engine_can_be_imported():
    pytest.importorskip("flambeau.autograd")
    run("""
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        y = x * x
        functions = torch._C._functions
        assert isinstance(y.grad_fn, functions.MulBackward0) and not isinstance(y.grad_fn, functions.AddBackward0)
        leaf = y.grad_fn.next_functions[0][0]
        assert isinstance(leaf, functions.AccumulateGrad)
        assert isinstance(y.grad_fn._raw_saved_self, torch._C._autograd.SavedTensor)
        tasks, executed = [], []
        def hook(gradient):
            tasks.append(torch._C._current_graph_task_id())
            executed.append([torch._C._will_engine_execute_node(node) for node in (leaf, other.grad_fn)])
        other = x.exp()
        y.register_hook(hook)
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        assert tasks[1] == tasks[0] + 1 and executed == [[True, False]] * 2
        assert torch._C._current_graph_task_id() == -1
        reference = torch._C._WeakTensorRef(y)
        assert not reference.expired()
        del y
        assert reference.expired()
        z = functions.DelayedError("late", 1)(x)
        try:
            z.sum().backward()
        except RuntimeError as error:
            assert "late" in str(error)
        else:
            raise AssertionError
        (z,) = torch.autograd.grad(functions.UndefinedGrad()(x * 1).sum(), x, allow_unused=True)
        assert z is None
        with torch.autograd.forward_ad._set_fwd_grad_enabled(False):
            assert not torch._C._is_fwd_grad_enabled()
        assert torch._vmap_internals._vmap(lambda t: t * t)(x).tolist() == [1, 4]
        assert torch._C._autograd._saved_tensors_hooks_is_enabled()
        with torch.autograd.graph.disable_saved_tensors_hooks("off"):
            assert not torch._C._autograd._saved_tensors_hooks_is_enabled()
    """)


def test_submodules_of_pytorch_can_be_imported_without_a_file_in_flambeau():
    pytest.importorskip("flambeau.autograd")
    run("""
        from torch.autograd.gradcheck import GradcheckError, gradcheck
        assert GradcheckError is torch.autograd.GradcheckError and issubclass(GradcheckError, RuntimeError)
        assert torch.autograd.gradcheck(torch.exp, torch.ones(2, dtype=torch.float64, requires_grad=True))
    """)


def test_an_unsupported_submodule_does_not_hide_functions_of_its_package():
    pytest.importorskip("flambeau.distributed")
    run("""
        import torch
        assert torch.distributed.is_available() and not torch.distributed.autograd.is_available()
    """)


def test_the_import_of_a_module_does_not_replace_a_function_of_the_same_name():
    pytest.importorskip("flambeau.nn")
    run("""
        import torch, torch.multiprocessing as mp
        from torch.multiprocessing.spawn import ProcessRaisedException
        from torch.nn.utils.weight_norm import WeightNorm
        import torch.nn.utils.spectral_norm, torch.nn.parallel.replicate, torch.autograd.gradcheck
        for function in (
            mp.spawn, torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm, torch.nn.parallel.replicate,
            torch.autograd.gradcheck,
        ):
            assert callable(function)
    """)


def test_logs_of_the_compiler_are_selected_by_the_names_of_pytorch():
    pytest.importorskip("flambeau.compiler")
    run("""
        import contextlib, io, torch
        def printed(**options):
            torch._logging.set_logs(**options)
            with contextlib.redirect_stderr(io.StringIO()) as text:
                torch.compile(lambda x: x.sin().cos() * 2)(torch.ones(3))
            return text.getvalue()
        assert "[graph]" in printed(graph_code=True) and printed(recompiles=False) == printed() == ""
        try:
            torch._logging.set_logs(grph=True)
        except ValueError as error:
            assert "Unrecognized log or artifact name passed to set_logs: grph" in str(error)
        else:
            raise AssertionError
        assert torch._dynamo.is_dynamo_supported()
    """)


def test_a_loss_of_sizes_that_multiply_is_broadcast_as_in_pytorch():
    pytest.importorskip("flambeau.nn")
    run("""
        import torch, warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loss = torch.nn.functional.mse_loss(torch.ones(2, 1), torch.tensor([1.0, 3.0]))
        assert loss.item() == 2.0 and "Using a target size" in str(caught[0].message)
    """)


def test_tensor_has_the_names_of_methods_in_python_2(run):
    run("""
        import torch
        assert torch.Tensor.__rdiv__ is torch.Tensor.__rtruediv__  # a key of tables of functions, as in PyTorch
        x = torch.tensor([1.0, 4.0])
        assert x.__div__(2).tolist() == [0.5, 2.0] and x.__rdiv__(2).tolist() == [2.0, 0.5]
        x.__idiv__(2)
        assert x.tolist() == [0.5, 2.0]
        assert torch.tensor(3.7).__long__() == 3 and torch.tensor(0.0).__nonzero__() is False
        import flambeau.torch
        flambeau.torch.uninstall()
        assert not hasattr(flambeau.Tensor, "__div__")
    """)
