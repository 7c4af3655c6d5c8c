"""Names of PyTorch's modules, and its private names that libraries use."""

import textwrap

import pytest

import flambeau as fb
from flambeau.torch import _flattening, _module_names


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("torch", "flambeau"),
        ("torch.nn.functional", "flambeau.nn.functional"),
        ("torch._C", "flambeau.torch._private"),
        ("torch.utils.data", "flambeau.data"),
        ("torch.utils.data.sampler", "flambeau.data.sampler"),
        ("torch.utils.data._utils.collate", "flambeau.data.collate"),
        ("torch.utils.data._utils.worker", "flambeau.data.worker"),
        ("torchvision.transforms", "flambeau.vision.transforms"),
        ("torchvision.ops.misc", "flambeau.vision.ops"),
        ("torch.optim.optimizer", "flambeau.optim.optimizer"),
        ("torch._dynamo", "flambeau.torch._dynamo"),
        ("torch._utils", "flambeau.torch._flattening"),
        ("torch.utils.tensorboard.writer", "flambeau.utils.tensorboard"),
    ],
)
def test_pytorch_module_names_are_mapped(name, module):
    assert _module_names.native_name(name) == module


def test_private_names_of_pytorch_can_be_imported(run):
    pytest.importorskip("flambeau.nn", reason="some names are functions of layers")
    run(
        """
        import torch
        rows = torch.tensor([0, 0, 2, 3, 3])
        pointers = torch._convert_indices_from_coo_to_csr(rows, 5)
        assert pointers.tolist() == [0, 2, 2, 3, 5, 5] and pointers.dtype is torch.int64
        assert torch._convert_indices_from_coo_to_csr(rows, 5, out_int32=True).dtype is torch.int32
        columns = torch.arange(5)
        assert torch._convert_indices_from_csr_to_coo(pointers, columns).tolist() == [rows.tolist(), columns.tolist()]
        assert torch._convert_indices_from_csr_to_coo(pointers, columns, transpose=True)[1].tolist() == rows.tolist()
        sparse = torch._sparse_broadcast_to(torch.eye(2).to_sparse(), (2, 2, 2))
        assert sparse.to_dense().tolist() == [[[1, 0], [0, 1]]] * 2
        torch._validate_sparse_coo_tensor_args(sparse._indices(), sparse._values(), sparse.shape)
        try:
            torch._validate_sparse_coo_tensor_args(sparse._indices(), sparse._values(), (2, 2, 1))
        except RuntimeError as error:
            assert "size is inconsistent with indices" in str(error)
        else:
            raise AssertionError
        data, sizes = torch._pack_padded_sequence(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), True)
        assert data.tolist() == [1, 3, 2] and sizes.tolist() == [2, 1]
        padded, lengths = torch._pad_packed_sequence(data, sizes, True, -1.0, 3)
        assert padded.tolist() == [[1, 2, -1], [3, -1, -1]] and lengths.tolist() == [2, 1]
        assert torch._pad_packed_sequence(data, sizes, False, 0.0)[0].tolist() == [[1, 3], [2, 0]]
        rows, columns, values = torch.tensor([0, 1, 2]), torch.tensor([1, 0]), torch.tensor([1.0, 2.0])
        blocks = values.reshape(2, 1, 1)
        for name, size, of_values in (
            ("csr", (2, 3), values),
            ("csc", (3, 2), values),
            ("bsr", (2, 9), blocks.expand(2, 1, 3)),
            ("bsc", (9, 2), blocks.expand(2, 3, 1)),
        ):
            layout, validate = getattr(torch, f"sparse_{name}"), getattr(torch, f"_validate_sparse_{name}_tensor_args")
            validate(rows, columns, of_values, size)
            torch._validate_sparse_compressed_tensor_args(rows, columns, of_values, size, layout)
            for wrong, message in ((columns + 3, "0 <= "), (columns.int(), "must have the same dtype")):
                try:
                    validate(rows, wrong, of_values, size)
                except RuntimeError as error:
                    assert message in str(error)
                else:
                    raise AssertionError(name)
        sums = torch._segment_reduce(torch.arange(4.0), "sum", offsets=torch.tensor([0, 1, 4]))
        assert sums.tolist() == [0, 6]

        from torch._utils import _flatten_dense_tensors, _get_available_device_type, _unflatten_dense_tensors

        assert _get_available_device_type() == ("cuda" if torch.cuda.is_available() else None)
        parts = [torch.ones(2, 3), torch.zeros(4)]
        flat = _flatten_dense_tensors(parts)
        assert [p.tolist() for p in _unflatten_dense_tensors(flat, parts)] == [p.tolist() for p in parts]
        assert torch._C._get_tracing_state() is None
        assert torch.ones(1).dtype != torch.complex32 and torch.chalf is torch.complex32
        try:
            torch.ones(1, dtype=torch.complex32)
        except NotImplementedError:
            pass
        else:
            raise AssertionError
        """
    )


def test_private_names_of_data_loaders_can_be_imported(run):
    pytest.importorskip("flambeau.data")
    run(
        """
        import torch
        import torch.utils.data._utils.worker
        import torch.utils.data.graph_settings
        from torch._utils import ExceptionWrapper
        from torch.utils.data import DataLoader, IterDataPipe, _utils
        from torch.utils.data._utils import HAS_NUMPY, MP_STATUS_CHECK_INTERVAL, signal_handling
        from torch.utils.data._utils.fetch import _MapDatasetFetcher
        from torch.utils.data._utils.worker import ManagerWatchdog, WorkerInfo, _IterableDatasetStopIteration
        from torch.utils.data.dataloader import _BaseDataLoaderIter, _DatasetKind, _sharding_worker_init_fn
        from torch.utils.data.datapipes.datapipe import _IterDataPipeSerializationWrapper

        assert HAS_NUMPY is True and MP_STATUS_CHECK_INTERVAL > 0 and _utils.python_exit_status is False
        assert _utils.collate.default_collate is torch.utils.data.default_collate
        assert _utils.collate.default_collate_err_msg_format.format(set).endswith("found <class 'set'>")
        assert _utils.signal_handling is signal_handling and callable(_utils.pin_memory.pin_memory)
        assert torch.set_vital("Dataloader", "enabled", "True") is False

        _utils.worker._worker_info = WorkerInfo(id=1, num_workers=2, seed=3, dataset=None)
        assert torch.utils.data.get_worker_info().id == 1

        fetcher = _DatasetKind.create_fetcher(_DatasetKind.Map, torch.arange(3), True, list, False)
        assert isinstance(fetcher, _MapDatasetFetcher) and [int(x) for x in fetcher.fetch([2, 0])] == [2, 0]
        assert not isinstance(range(3), IterDataPipe)
        for absent in (lambda: _IterDataPipeSerializationWrapper(1), lambda: _sharding_worker_init_fn(None, 1, 0, 0)):
            try:
                absent()
            except NotImplementedError as error:
                assert "no data pipes" in str(error)
            else:
                raise AssertionError
        """
    )


def test_modules_imported_before_the_alias_have_their_pytorch_names(run):
    pytest.importorskip("flambeau.data")
    printed = run(
        """
        import flambeau.data
        import torch
        from torch.utils.data import IterDataPipe
        print(torch.utils.data is flambeau.data, flambeau.data.__name__)
        """
    )
    assert printed == "True torch.utils.data\n"


def test_exception_wrapper_raises_the_error_of_a_worker_again():
    class UnusualError(Exception):
        def __init__(self, first, second):
            super().__init__(first, second)

    def wrapped(error):
        try:
            raise error
        except Exception:
            return _flattening.ExceptionWrapper(where="in worker 3")

    with pytest.raises(ValueError, match=r"Caught ValueError in worker 3.\nOriginal Traceback(.|\n)*too small"):
        wrapped(ValueError("too small")).reraise()
    with pytest.raises(KeyError, match=r"^Caught KeyError in worker 3.\nOriginal Traceback(.|\n)*'absent'"):
        wrapped(KeyError("absent")).reraise()
    with pytest.raises(RuntimeError, match="Caught UnusualError in worker 3"):
        wrapped(UnusualError(1, 2)).reraise()


def test_private_printing_functions_format_tensors(run):
    run(
        """
        import torch
        from torch._tensor_str import PRINT_OPTS, _add_suffixes, _str_intern, _tensor_str, printoptions
        x = torch.tensor([1.5, 2.25])
        text = _tensor_str(x, 6)
        assert text == "[1.5000, 2.2500]"
        assert _add_suffixes("Index(" + text, ["size=2"], 6, False) == "Index([1.5000, 2.2500], size=2)"
        assert _add_suffixes("Index(" + text, ["size=2"], 6, True) == "Index([1.5000, 2.2500],\\n      size=2)"
        with printoptions(precision=1):
            assert PRINT_OPTS.precision == 1 and str(x) == "tensor([1.5, 2.2])"
        assert PRINT_OPTS.precision == 4

        class Keys(torch.Tensor):
            def __repr__(self):
                return _str_intern(self, tensor_contents="[keys]")

        assert _str_intern(x) == repr(x) and repr(x.to(torch.float64).as_subclass(Keys)) == (
            "Keys([keys], dtype=torch.float64)"
        )
        """
    )


def test_compile_counters_count_frames_and_operators(run):
    pytest.importorskip("flambeau.compiler", reason="needs flambeau-export")
    run(
        """
        import torch
        from torch._dynamo.testing import CompileCounter, CompileCounterWithBackend, EagerAndRecordGraphs

        def f(x):
            return x.sin() * 2

        x = torch.linspace(0, 1, 5)
        for backend in (CompileCounter(), CompileCounterWithBackend("inductor"), EagerAndRecordGraphs()):
            g = torch.compile(f, backend=backend)
            assert torch.equal(g(x), f(x)) and torch.equal(g(x + 1), f(x + 1))
            if not isinstance(backend, EagerAndRecordGraphs):
                assert (backend.frame_count, backend.op_count) == (1, 2)
            if not isinstance(backend, CompileCounter) or isinstance(backend, CompileCounterWithBackend):
                assert [node.op for node in backend.graphs[0].graph.nodes].count("placeholder") == 1
            if isinstance(backend, CompileCounter):
                backend.clear()
                assert backend.frame_count == backend.op_count == 0
        """
    )


def test_private_names_of_the_compiler_and_of_rpc_exist(run):
    pytest.importorskip("flambeau.compiler", reason="needs flambeau-export")
    pytest.importorskip("flambeau.distributed", reason="needs flambeau-distributed")
    run(
        """
        import torch._dynamo
        assert not torch._dynamo.is_compiling()
        torch._dynamo.reset_code_caches()
        torch._dynamo.config.cache_size_limit = 64
        assert torch._disable_dynamo(len)([1, 2]) == 2 and torch._disable_dynamo(recursive=False)(len)("abc") == 3
        model = torch.nn.Linear(2, 2)
        assert isinstance(torch.compile(model), torch._dynamo.OptimizedModule)
        assert not isinstance(model, torch._dynamo.OptimizedModule)
        x = torch.ones(2, 3)
        utils = torch._dynamo.utils
        with utils.disable_cache_limit(), utils.maybe_enable_compiled_autograd(False):
            torch._dynamo.mark_dynamic(x, 0)
        torch._dynamo.maybe_mark_dynamic(x, [0, 1])
        torch._dynamo.mark_static(x)
        try:
            torch._dynamo.mark_dynamic(x, 2)
        except IndexError:
            pass
        else:
            raise AssertionError
        def f(x):
            y = x + 1
            torch._dynamo.graph_break()
            return y * 2
        compiled = torch.compile(f)
        for _ in range(2):
            assert torch.equal(compiled(x), f(x))
        assert torch._dynamo.explain(f)(x).graph_count == 2
        graphs = []
        def backend(graph, inputs):
            graphs.append(graph)
            return graph.forward
        for _ in range(2):
            assert torch.equal(torch._dynamo.optimize(backend)(f)(x), f(x))
        assert len(graphs) == 4
        try:
            torch._dynamo.optimize_assert(backend)(f)(x)
        except RuntimeError as error:
            assert "graph_break() was called" in str(error)
        else:
            raise AssertionError
        from torch.distributed import rpc
        assert not rpc.is_available()
        """
    )


def test_type_aliases_of_pytorch_can_be_imported(run):
    run(
        """
        import torch
        from torch.types import Device, IntLikeType, Number, _device, _dispatchkey, _int, _qscheme, _size, _symsize
        from torch.types import BoolLikeType, FloatLikeType, PySymType, _TensorOrTensorsOrGradEdge, py_sym_types
        assert _int is int and _device is torch.device and Number == int | float | bool
        assert isinstance(2, IntLikeType) and isinstance(True, BoolLikeType) and not isinstance(2, py_sym_types)
        assert {"Number", "_int", "_qscheme"} <= set(dir(torch.types))
        assert isinstance(_qscheme, type) and str not in FloatLikeType.__args__
        """
    )


def test_tensor_types_can_be_used_in_annotations():
    import typing

    order = fb.LongTensor | None
    assert typing.get_args(order) == (fb.LongTensor, type(None))
    assert typing.get_args(None | fb.LongTensor) == (type(None), fb.LongTensor)


def test_types_of_the_arguments_of_load_can_be_imported():
    import typing

    from flambeau.serialization import FILE_LIKE, MAP_LOCATION

    assert str in typing.get_args(FILE_LIKE) and fb.device in typing.get_args(MAP_LOCATION)


def test_private_names_that_libraries_read_have_the_expected_values(run):
    pytest.importorskip("flambeau.distributed", reason="needs flambeau-distributed")
    run("""
        import torch
        from torch.distributed import Backend, ReduceOp
        from torch.distributed.constants import default_pg_timeout
        assert isinstance(ReduceOp.SUM, ReduceOp.RedOpType) and "RedOpType" not in ReduceOp.__members__
        assert Backend.default_device_backend_map["cpu"] == "gloo" and default_pg_timeout.seconds == 1800
        assert isinstance(torch.Tensor, torch._C._TensorMeta)
        assert torch._C._nn._parse_to("cpu", torch.float64) == (torch.device("cpu"), torch.float64, False, None)
        assert torch._C._nn._parse_to(torch.zeros(1), True) == (torch.device("cpu"), torch.float32, True, None)
        parsed = torch._C._nn._parse_to(dtype=torch.int8, memory_format=torch.channels_last)
        assert parsed == (None, torch.int8, False, torch.channels_last)
    """)


def test_the_attribute_torch_of_torch_is_torch(run):
    run("import torch\nassert torch.torch is torch and torch.torch.Tensor is torch.Tensor")


def test_functional_optimizers_are_in_the_modules_of_their_classes(run):
    pytest.importorskip("flambeau.optim")
    run(
        """
        import torch
        from torch.optim import _functional
        from torch.optim._multi_tensor import SGD
        from torch.optim._stateless import swap_in_optimizer_params_and_state
        from torch.optim.adam import Adam, adam
        from torch.optim.sgd import sgd
        assert torch.optim.adam.adam is adam is _functional.adam and torch.optim.adam.Adam is Adam is torch.optim.Adam
        assert sgd is _functional.sgd and torch.optim.lbfgs.LBFGS is torch.optim.LBFGS
        assert issubclass(SGD, torch.optim.SGD) and not hasattr(torch.optim.adam, "_single_tensor_adam")
        """
    )


def test_importing_a_submodule_does_not_replace_a_function_of_its_name(run):
    pytest.importorskip("flambeau.autograd", reason="needs flambeau-autograd")
    run("""
        import torch
        import torch.autograd.gradcheck
        from torch.autograd.gradcheck import gradgradcheck
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(torch.sin, x) and gradgradcheck(torch.sin, x)
    """)


def test_optree_flattens_the_registries_of_modules(run, tmp_path):
    pytest.importorskip("flambeau.nn")
    (tmp_path / "optree.py").write_text(
        textwrap.dedent("""
        import types

        known = {}
        registry = types.SimpleNamespace(__GLOBAL_NAMESPACE="everywhere")

        def register_pytree_node(cls, flatten, unflatten, *, namespace):
            known[cls, namespace] = flatten, unflatten

        register_pytree_node.get = lambda cls, *, namespace: known.get((cls, namespace))
        """)
    )
    run("""
        import inspect
        import optree
        import torch

        parameters = torch.nn.Linear(2, 3)._parameters
        flatten, unflatten = optree.known[type(parameters), "everywhere"]
        values, names, entries = flatten(parameters)
        assert names == entries == ("bias", "weight") and values[1] is parameters["weight"]
        assert unflatten(names, values) == parameters
        assert "known = {}" in inspect.getsource(optree)
    """)


def test_names_can_be_imported_from_several_modules_of_pytorch(run):
    pytest.importorskip("flambeau.fx")
    pytest.importorskip("flambeau.vision")
    pytest.importorskip("flambeau.distributions")
    run("""
        import torch, torchvision
        from functorch.experimental.control_flow import cond as functorch_cond
        from torch._higher_order_ops import cond, map, scan, while_loop
        from torch._higher_order_ops.map import map as map_of_module
        from torch._higher_order_ops.out_dtype import out_dtype
        from torch._higher_order_ops.scan import scan as scan_of_module
        from torch._inductor.decomposition import register_decomposition
        from torch._library.infer_schema import infer_schema
        from torch._subclasses.functional_tensor import FunctionalTensor
        from torch.distributions.transforms import _clipped_sigmoid
        from torch.fx._compatibility import compatibility
        from torch.nn.parameter import _ParameterMeta
        from torch.sparse._triton_ops_meta import get_meta
        from torchvision.transforms.transforms import Compose

        assert cond is torch.cond is functorch_cond and while_loop is torch.while_loop
        assert map is map_of_module and scan is scan_of_module and torch._higher_order_ops.map is map
        assert Compose is torchvision.transforms.Compose and infer_schema is torch.library.infer_schema
        assert isinstance(torch.nn.Parameter, _ParameterMeta)
        assert compatibility(is_backward_compatible=False)(abs) is abs and register_decomposition([])(abs) is abs
        far = torch.tensor([-200.0, 200.0])
        assert _clipped_sigmoid(far).equal(torch.distributions.SigmoidTransform()(far))
        rows = torch.tensor([[100, 2]], dtype=torch.int8)
        product = out_dtype(torch.ops.aten.mm.default, torch.int32, rows, rows.T)
        assert product.dtype is torch.int32 and product.tolist() == [[10004]]
    """)


def test_int_mm_multiplies_int8_matrices_into_int32(run):
    pytest.importorskip("flambeau.library")
    run("""
        import torch
        rows = torch.tensor([[100, -100], [1, 2]], dtype=torch.int8)
        product = torch._int_mm(rows, rows)
        assert product.dtype is torch.int32 and product.tolist() == [[9900, -10200], [102, -96]]
        assert torch.equal(torch.ops.aten._int_mm(rows, rows), product)
        for wrong in (rows[0], rows.to(torch.int32)):
            try:
                torch._int_mm(rows, wrong)
            except RuntimeError as error:
                assert "expected mat2 to be a matrix of the dtype int8" in str(error)
            else:
                raise AssertionError
    """)


def test_scaled_mm_multiplies_float8_matrices(run):
    pytest.importorskip("flambeau.library")
    run("""
        import torch
        a = torch.tensor([[1.0, 2.0], [4.0, -8.0]]).to(torch.float8_e4m3fn)
        rows, columns = torch.tensor([[0.5], [2.0]]), torch.tensor([[1.0, 10.0]])
        product = torch._scaled_mm(a, a.t(), rows, columns, bias=torch.ones(2), out_dtype=torch.float32)
        expected = torch.tensor([[1.0, 2.0], [4.0, -8.0]]) * rows @ (torch.tensor([[1.0, 4.0], [2.0, -8.0]]) * columns)
        assert torch.equal(product, expected + 1)
        assert torch.equal(torch.ops.aten._scaled_mm(a, a.t(), rows, columns, out_dtype=torch.float32), expected)
        assert torch._scaled_mm(a, a.t(), torch.tensor(0.25), torch.tensor(1.0)).dtype is torch.float8_e4m3fn
        try:
            torch._scaled_mm(a.float(), a, rows, columns)
        except RuntimeError as error:
            assert "Expected mat1 to be Float8 matrix got torch.float32" in str(error)
        else:
            raise AssertionError
    """)


def test_softmax_backward_data_computes_the_gradient_from_the_result(run):
    pytest.importorskip("flambeau.autograd")
    run("""
        import torch
        x, g = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
        for function, backward in (
            (torch.softmax, torch._softmax_backward_data), (torch.log_softmax, torch._log_softmax_backward_data)
        ):
            result = function(x, 1)
            (expected,) = torch.autograd.grad(result, x, g)
            torch.testing.assert_close(backward(g, result.detach(), 1, torch.float32), expected)
    """)


def test_shallow_copy_types_depend_on_layout_and_device(run):
    run("""
        import torch
        dense, sparse, meta = torch.ones(2), torch.ones(2).to_sparse(), torch.ones(2, device="meta")
        can = torch._has_compatible_shallow_copy_type
        assert can(dense, torch.ones(3, dtype=torch.int8)) and can(sparse, sparse) and can(meta, meta)
        assert not can(dense, sparse) and not can(sparse, dense) and not can(dense, meta)
    """)


def test_names_that_published_libraries_import_exist(run):
    for package in ("jit", "nn", "vision"):
        pytest.importorskip(f"flambeau.{package}")
    run(
        """
        import torch
        from torch.quantization.observer import HistogramObserver, MinMaxObserver, PerChannelMinMaxObserver
        from torchvision._internally_replaced_utils import load_state_dict_from_url
        assert torch._C._is_tracing() is False
        assert torch._jit_internal.Optional[int] == int | None
        assert torch._jit_internal.List[int].__args__ == (int,)
        assert torch.nn.init._no_grad_uniform_(torch.ones(1), 2.0, 2.0) == 2
        assert torch.nn.init._no_grad_fill_(torch.ones(1), 3.0) == 3
        """
    )


def test_weight_int8pack_mm_multiplies_by_int8_rows_with_scales(run):
    pytest.importorskip("flambeau.library")
    run("""
        import torch
        rows = torch.tensor([[100, -100], [1, 2], [0, 3]], dtype=torch.int8)
        scales = torch.tensor([0.5, 1.0, 2.0])
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            x = torch.tensor([[2.0, 1.0]], dtype=dtype)
            product = torch._weight_int8pack_mm(x, rows, scales.to(dtype))
            assert product.dtype is dtype and product.tolist() == [[50.0, 4.0, 6.0]]
            assert torch.equal(torch.ops.aten._weight_int8pack_mm(x, rows, scales.to(dtype)), product)
        for wrong, message in (
            ((x.double(), rows, scales), "32-bit or 16-bit float"),
            ((x[0], rows, scales), "A to be 2D"),
            ((x, rows.int(), scales), "B to be int8"),
            ((x, rows[:, :1], scales), "B.size(1) == 2"),
            ((x, rows, scales[:2]), "1d tensor with size 3"),
        ):
            try:
                torch._weight_int8pack_mm(*wrong)
            except RuntimeError as error:
                assert message in str(error)
            else:
                raise AssertionError
    """)


def test_enumerations_of_the_onnx_exporter_are_in_the_private_module(run):
    pytest.importorskip("flambeau.export", reason="needs flambeau-export")
    run("""
        import torch._C._onnx as private
        import torch
        assert torch._C._onnx is private
        assert private.TrainingMode.EVAL is torch.onnx.TrainingMode.EVAL
        assert private.OperatorExportTypes.ONNX is torch.onnx.OperatorExportTypes.ONNX
    """)


def test_a_function_without_setup_context_has_that_of_the_base_class_of_function(run):
    pytest.importorskip("flambeau.autograd", reason="needs flambeau-autograd")
    run("""
        import torch
        base = torch.autograd.function._SingleLevelFunction

        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return 2 * x

        class Triple(torch.autograd.Function):
            @staticmethod
            def forward(x):
                return 3 * x

            @staticmethod
            def setup_context(ctx, inputs, output):
                pass

        assert issubclass(Double, base) and Double.setup_context is base.setup_context
        assert Triple.setup_context is not base.setup_context
    """)
