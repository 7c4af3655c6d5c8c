"""Test that programs that import torch get flambeau, by ``python -m flambeau.torch`` or ``flambeau.torch.install``."""

import subprocess
import sys
import textwrap

import pytest

import flambeau as fb
from flambeau.torch import _flattening, _module_names, version


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a program with ``python -m flambeau.torch`` and returns its stdout and stderr."""

    def run(program, *arguments, options=(), status=0):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(program))
        command = [sys.executable, "-W", "error", "-m", "flambeau.torch", *options, str(path), *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    return run


def test_torch_is_flambeau(run):
    printed = run(
        """
        import sys
        import torch
        import torch.linalg as linalg
        from torch import fft, tensor
        import flambeau
        assert torch.Tensor is flambeau.Tensor and torch.float32 is flambeau.float32
        assert torch.linalg is linalg is flambeau.linalg and fft is flambeau.fft
        assert flambeau.linalg.__name__ == "torch.linalg" and flambeau.linalg.__spec__.name == "flambeau.linalg"
        assert torch.functional.einsum is flambeau.einsum
        assert sys.argv[1:] == ["--seed", "3"] and __name__ == "__main__"
        print(torch.__version__, tensor([1.0]).pow(2))
    """,
        "--seed",
        "3",
    )
    assert printed == f"2.13.0+flambeau{fb.__version__} tensor([1.])\n"


def test_star_import_gives_functions_and_types(run):
    run("""
        from torch import *
        assert is_tensor(zeros(2, dtype=int64)) and Tensor is not None
        assert "linalg" not in globals()
    """)


def test_a_missing_name_is_an_attribute_error_that_names_the_nearest(run):
    printed = run("""
        import torch
        try:
            torch.linalg.choleski
        except AttributeError as error:
            print(error)
        try:
            torch.solve
        except AttributeError as error:
            print(error)
        print(hasattr(torch, "no_such_thing_anywhere"), hasattr(torch.Tensor, "add"))
    """)
    assert printed.splitlines() == [
        "flambeau has no torch.linalg.choleski; did you mean: torch.linalg.cholesky, torch.linalg.cholesky_ex",
        "flambeau has no torch.solve; did you mean: torch.linalg.solve, torch.lu_solve, torch.save",
        "False True",
    ]


@pytest.mark.parametrize(
    ("statement", "error", "text"),
    [
        ("from torch import add_up", "ImportError", "flambeau has no torch.add_up"),
        ("from torch.linalg import q_r", "ImportError", "no torch.linalg.q_r; did you mean: torch.linalg.qr"),
        ("import torch.nowhere", "ModuleNotFoundError", "flambeau has no torch.nowhere"),
        ("from torch.nowhere import name", "ModuleNotFoundError", "flambeau has no torch.nowhere"),
    ],
)
def test_a_missing_import_is_an_import_error(run, statement, error, text):
    printed = run(f"try:\n    {statement}\nexcept ImportError as error:\n    print(type(error).__name__, error)")
    assert printed.startswith(error) and text in printed


def test_the_report_lists_missing_names(run):
    program = """
        import torch
        if hasattr(torch, "nonsense"):
            print("impossible")
        torch.zeros(2).mull(3)
    """
    printed = run(program, options=["--report"], status=1)
    report = printed.partition("Missing in flambeau:\n")[2].splitlines()
    assert [line.split()[0] for line in report if line.startswith("  torch.")] == [
        "torch.nonsense",
        "torch.Tensor.mull",
    ]
    assert "program.py:3" in report[0] and "program.py:5" in report[1] and "torch.Tensor.mul" in report[1]
    assert run("import torch", options=["--report"]) == "flambeau has every name the program asked for.\n"


def test_exit_status_and_traceback_are_the_programs_own(run):
    assert run("import sys\nsys.exit(7)", status=7) == ""
    assert "ZeroDivisionError" in run("1 / 0", status=1)


def test_a_text_runs_as_the_main_module(tmp_path):
    (tmp_path / "beside.py").write_text("value = 3")
    text = """
import pickle, sys, torch, beside
class Point: pass
assert type(pickle.loads(pickle.dumps(Point()))) is Point and __name__ == "__main__"
print(torch.ones(beside.value), sys.argv)
"""
    command = [sys.executable, "-W", "error", "-m", "flambeau.torch", "-c"]
    printed = subprocess.check_output([*command, text, "--flag", "x"], cwd=tmp_path, text=True)
    assert printed == "tensor([1., 1., 1.]) ['-c', '--flag', 'x']\n"
    for arguments, status in ((["import sys; sys.exit(3)"], 3), (["1 / 0"], 1), ([], 2)):
        assert subprocess.run([*command, *arguments], capture_output=True, check=False).returncode == status


def test_a_module_runs_too(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text("import sys, torch\nprint(torch.ones(2), sys.argv[1:])")
    command = [sys.executable, "-m", "flambeau.torch", "-m", "package", "--flag"]
    assert subprocess.check_output(command, cwd=tmp_path, text=True) == "tensor([1., 1.]) ['--flag']\n"


def test_a_missing_program_prints_the_usage():
    done = subprocess.run([sys.executable, "-m", "flambeau.torch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected a program to run" in done.stderr


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_processes_that_the_program_starts_have_torch_too(run, method):
    run(f"""
        import multiprocessing
        import torch

        def double(x):
            import torchless_check
            return torch.__version__, (2 * x).tolist()

        if __name__ == "__main__":
            import pathlib
            pathlib.Path(__file__).with_name("torchless_check.py").write_text("import torch; torch.linalg.qr")
            with multiprocessing.get_context({method!r}).Pool(1) as pool:
                assert pool.map(double, [torch.ones(2)]) == [(torch.__version__, [2.0, 2.0])]
    """)


def test_pickles_have_pytorchs_names_and_those_of_flambeau_are_found(run):
    pytest.importorskip("flambeau.optim", reason="needs flambeau-optim")
    pytest.importorskip("flambeau.nn", reason="needs flambeau-nn")
    run("""
        import pickle
        import torch
        for value in (torch.Size, torch.nn.Linear, torch.optim.lr_scheduler.StepLR, torch.add):
            text = pickle.dumps(value, 0)
            assert text.startswith(b"ctorch") and pickle.loads(text) is value, text
        assert pickle.loads(b"cflambeau\\nSize\\n.") is torch.Size
        assert pickle.loads(b"cflambeau.nn.modules.linear\\nLinear\\n.") is torch.nn.Linear
    """)


def test_install_and_uninstall(run):
    run("""
        import sys
        import flambeau.torch
        suggesting = vars(flambeau.linalg)["__getattr__"]
        flambeau.torch.install()
        import torch
        assert sys.modules["torch"] is torch and hasattr(torch, "linalg") and not hasattr(torch.linalg, "foo")
        assert [entry.name for entry in flambeau.torch.missing()] == ["torch.linalg.foo"]
        flambeau.torch.uninstall()
        flambeau.torch.uninstall()
        assert "torch" not in sys.modules and vars(flambeau.linalg)["__getattr__"] is suggesting
        assert flambeau.torch.missing() == []
        sys.modules["torch"] = sys
        try:
            flambeau.torch.install()
        except RuntimeError as error:
            assert "torch is already imported" in str(error)
        else:
            raise AssertionError
    """)


def test_seeds_give_the_random_numbers_of_pytorch(run):
    # The expected values were computed by PyTorch 2.13.0 after torch.manual_seed(0).
    run("""
        import torch
        torch.manual_seed(0)
        assert torch.rand(2).tolist() == [0.49625658988952637, 0.7682217955589294]
        torch.manual_seed(0)
        assert torch.randperm(10).tolist() == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
        assert torch.get_rng_state().shape == (5056,) and torch.Generator().algorithm == "mt19937"
        import flambeau.torch
        flambeau.torch.uninstall()
        assert flambeau.get_rng_state().shape == (16,) and flambeau.Generator().algorithm == "philox"
    """)


def test_metadata_of_the_torch_distribution_is_found(run):
    run("""
        from importlib import metadata
        import flambeau.torch
        import torch
        assert metadata.version("torch") == torch.__version__
        assert metadata.version("torchvision").startswith("0.28.0")
        assert len([found for found in metadata.distributions() if "+flambeau" in found.version]) == 2
        flambeau.torch.uninstall()
        assert not [found for found in metadata.distributions() if "+flambeau" in found.version]
    """)


def test_the_version_compares_as_a_version():
    ours = version.TorchVersion("2.13.0+flambeau0.1.0")
    assert ours >= "2.2" and ours > "2.9.1" and ours < "3" and ours <= "2.13" and ours >= (2, 13) and not ours > (2, 13)
    assert ours == "2.13.0+flambeau0.1.0" and ours.split("+")[0] == "2.13.0"
    assert version.TorchVersion("2.13.0a1") < "2.13.1"


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
def test_modules_have_other_names(name, module):
    assert _module_names.native_name(name) == module


def test_private_names(run):
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

        from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
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


def test_private_names_of_loaders(run):
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


def test_modules_that_were_imported_before_answer_by_their_names_in_pytorch(run):
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


def test_errors_of_workers_are_raised_again():
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


def test_parts_of_texts(run):
    run(
        """
        import torch
        from torch._tensor_str import PRINT_OPTS, _add_suffixes, _tensor_str, printoptions
        x = torch.tensor([1.5, 2.25])
        text = _tensor_str(x, 6)
        assert text == "[1.5000, 2.2500]"
        assert _add_suffixes("Index(" + text, ["size=2"], 6, False) == "Index([1.5000, 2.2500], size=2)"
        assert _add_suffixes("Index(" + text, ["size=2"], 6, True) == "Index([1.5000, 2.2500],\\n      size=2)"
        with printoptions(precision=1):
            assert PRINT_OPTS.precision == 1 and str(x) == "tensor([1.5, 2.2])"
        assert PRINT_OPTS.precision == 4
        """
    )


def test_names_of_the_compiler_and_of_remote_calls(run):
    pytest.importorskip("flambeau.compiler", reason="needs flambeau-export")
    pytest.importorskip("flambeau.distributed", reason="needs flambeau-distributed")
    run(
        """
        import torch._dynamo
        assert not torch._dynamo.is_compiling()
        torch._dynamo.config.cache_size_limit = 64
        model = torch.nn.Linear(2, 2)
        assert isinstance(torch.compile(model), torch._dynamo.OptimizedModule)
        assert not isinstance(model, torch._dynamo.OptimizedModule)
        x = torch.ones(2, 3)
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
        from torch.distributed import rpc
        assert not rpc.is_available()
        """
    )


def test_types_of_tensors_in_annotations():
    import typing

    order = fb.LongTensor | None
    assert typing.get_args(order) == (fb.LongTensor, type(None))
    assert typing.get_args(None | fb.LongTensor) == (type(None), fb.LongTensor)


def test_types_of_load_arguments():
    import typing

    from flambeau.serialization import FILE_LIKE, MAP_LOCATION

    assert str in typing.get_args(FILE_LIKE) and fb.device in typing.get_args(MAP_LOCATION)


def test_private_names_that_libraries_read(run):
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


def test_torch_is_among_its_own_names(run):
    run("import torch\nassert torch.torch is torch and torch.torch.Tensor is torch.Tensor")


def test_functorch_has_the_older_make_functional(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch, functorch
        from functorch import combine_state_for_ensemble, grad, make_functional, make_functional_with_buffers, vmap
        model = torch.nn.Linear(2, 1)
        fmodel, params = make_functional(model)
        x = torch.tensor([[1.0, 2.0]])
        assert torch.equal(fmodel(params, x), model(x)) and params[0] is not model.weight and params[0].requires_grad
        gradient = grad(lambda params: fmodel(params, x).sum())(params)
        assert gradient[0].tolist() == [[1.0, 2.0]] and gradient[1].tolist() == [1.0]
        norm = torch.nn.BatchNorm1d(2).eval()
        call, params, buffers = make_functional_with_buffers(norm, disable_autograd_tracking=True)
        doubled = tuple(2 * buffer for buffer in buffers)
        assert torch.allclose(call(params, doubled, x), x / (2 + norm.eps) ** 0.5) and not params[0].requires_grad
        try:
            make_functional(norm)
        except RuntimeError as error:
            assert "`model` has buffers" in str(error)
        else:
            raise AssertionError
        models = [torch.nn.Linear(2, 1) for _ in range(3)]
        call, params, buffers = combine_state_for_ensemble(models)
        assert buffers == () and params[0].shape == (3, 1, 2)
        each = vmap(call, in_dims=(0, 0, None))(params, buffers, x)
        assert torch.allclose(each, torch.stack([model(x) for model in models]))
        assert functorch.jacrev is torch.func.jacrev
    """)


def test_libraries_import_the_parts_of_pytorchs_vmap_that_they_replace(run):
    run("""
        import torch._functorch.vmap as vmap_src
        from torch._functorch.vmap import _add_batch_dim, tree_flatten
        vmap_src._process_batched_inputs = lambda *args: None
        assert tree_flatten([1, 2])[0] == [1, 2]
        try:
            _add_batch_dim(1, 0, 0)
        except NotImplementedError as error:
            assert "use torch.vmap()" in str(error)
        else:
            raise AssertionError
    """)


def test_private_questions_about_transforms_and_tracing(run):
    run("""
        import sys
        import torch
        from torch._C._functorch import is_batchedtensor, is_legacy_batchedtensor
        x = torch.ones(2)
        assert not is_batchedtensor(x) and not is_legacy_batchedtensor(x)
        assert not torch._C._are_functorch_transforms_active() and torch._C._get_tracing_state() is None
        assert not {"flambeau.jit", "flambeau.func"} & sys.modules.keys()
        assert torch._C._get_default_device() == "cpu"
        assert torch._C._get_privateuse1_backend_name() == "privateuseone" and torch._C.Future is torch.Future
        with torch.overrides.TorchFunctionMode():
            assert torch._C._is_torch_function_mode_enabled()
        assert not torch._C._is_torch_function_mode_enabled()
        assert isinstance(x.untyped_storage(), torch.StorageBase)
    """)


def test_tensors_are_not_fake_outside_of_a_mode(run):
    pytest.importorskip("flambeau.autograd")
    run("""
        import torch
        from torch._subclasses.fake_tensor import FakeTensorMode, is_fake
        assert not is_fake(torch.ones(2))
        assert torch._guards.active_fake_mode() is None and torch._guards.detect_fake_mode([torch.ones(2)]) is None
        with FakeTensorMode() as mode:
            assert is_fake(torch.ones(2)) and torch._guards.active_fake_mode() is mode
    """)


def test_metadata_of_tensors_are_compared(run):
    run("""
        import torch, torch._prims as prims
        x = torch.ones(2, 3)
        compare = torch._prims_common.compare_tensor_meta
        assert prims.utils.compare_tensor_meta is compare and compare(x, torch.zeros(2, 3), check_strides=True) is None
        compare(x, torch.ones(3, 2).T)
        for error, other in (
            ("Shapes torch.Size([2, 3]) and torch.Size([3]) are not equal!", torch.ones(3)),
            ("Dtypes torch.float32 and torch.int64 are not equal!", torch.ones(2, 3, dtype=torch.int64)),
            ("Devices cpu and meta are not equal!", torch.ones(2, 3, device="meta")),
            ("Stride mismatch! Strides are (3, 1) and (1, 2)!", torch.ones(3, 2).T),
            ("Storage offset mismatch! Storage offsets are 0 and 3!", torch.ones(3, 3)[1:]),
            ("Expected Tensor, got <class 'int'>", 3),
        ):
            try:
                compare(x, other, check_strides=True)
            except (AssertionError, RuntimeError) as raised:
                assert str(raised) == error, raised
            else:
                raise SystemExit(error)
    """)


def test_optimizers_as_functions_stand_next_to_the_classes_of_pytorchs_files(run):
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


def test_a_function_stays_where_a_module_has_its_name(run):
    pytest.importorskip("flambeau.autograd", reason="needs flambeau-autograd")
    run("""
        import torch
        import torch.autograd.gradcheck
        from torch.autograd.gradcheck import gradgradcheck
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(torch.sin, x) and gradgradcheck(torch.sin, x)
    """)


def test_graph_modules_that_are_pickled_load_without_the_alias(run, tmp_path):
    pytest.importorskip("flambeau.fx")
    run(
        """
        import pickle, sys
        import torch
        from torch import fx
        from torch.nn import functional as F

        def program(x):
            return F.softplus(torch.relu(x)) + torch.linalg.norm(x)

        with open(sys.argv[1], "wb") as file:
            pickle.dump(fx.symbolic_trace(program), file)
        torch.save(fx.symbolic_trace(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.GELU())), sys.argv[2])
        """,
        str(tmp_path / "function"),
        str(tmp_path / "module"),
    )
    program = textwrap.dedent("""
        import pickle, sys
        import flambeau as fb
        from flambeau.nn import functional as F

        sys.modules["torch"] = None  # cannot be imported
        x = fb.tensor([[1.0, -2.0, 3.0]])
        with open(sys.argv[1], "rb") as file:
            assert fb.equal(pickle.load(file)(x), F.softplus(x.relu()) + fb.linalg.norm(x))
        module = fb.load(sys.argv[2], weights_only=False)
        assert module(x).shape == (1, 2)
    """)
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "function"), str(tmp_path / "module")], check=True, timeout=600
    )


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
