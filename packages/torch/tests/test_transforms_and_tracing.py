"""Names of PyTorch's function transforms, of functorch and of tracing."""

import subprocess
import sys
import textwrap

import pytest


def test_functorch_has_the_deprecated_make_functional(run):
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


def test_private_modules_of_functorch_have_the_public_transforms(run):
    pytest.importorskip("flambeau.func")
    run("""
        import torch
        from torch._functorch.apis import grad, grad_and_value, vmap
        from torch._functorch.eager_transforms import hessian, jacrev, jvp, vjp

        assert vmap is torch.vmap and grad is torch.func.grad and grad_and_value is torch.func.grad_and_value
        assert (hessian, jacrev, jvp, vjp) == (
            torch.func.hessian, torch.func.jacrev, torch.func.jvp, torch.func.vjp
        )
    """)


def test_libraries_can_extend_vmap_to_their_containers(run):
    pytest.importorskip("flambeau.func")
    run("""
        import torch
        import torch._functorch.vmap as source
        from torch._C._functorch import _add_batch_dim, _remove_batch_dim, get_unwrapped, maybe_get_bdim
        from torch._C._functorch import maybe_get_level

        class Pair:
            def __init__(self, a, b):
                self.a, self.b = a, b

        unwrap = source._unwrap_batched

        def process(in_dims, args, func):
            flat, spec = source.tree_flatten(args)
            return len(args[0].a), source._broadcast_to_and_flatten(in_dims, spec), flat, spec

        def create(dims, flat, level, spec):
            pairs = [Pair(_add_batch_dim(pair.a, dim, level), pair.b) for dim, pair in zip(dims, flat)]
            return source.tree_unflatten(pairs, spec)

        def unwrap_pair(output, out_dims, level, size, func):
            if not isinstance(output, Pair):
                return unwrap(output, out_dims, level, size, func)
            b = source._maybe_remove_batch_dim(source._get_name(func), output.b, level, size, out_dims)
            return Pair(_remove_batch_dim(output.a, level, size, out_dims), b)

        source._process_batched_inputs, source._create_batched_inputs = process, create
        source._unwrap_batched = unwrap_pair

        def double(pair):
            assert pair.a.shape == (3,) and maybe_get_level(pair.a) == 1 and maybe_get_bdim(pair.a) == 0
            assert get_unwrapped(pair.a).shape == (2, 3) and maybe_get_level(pair.b) == maybe_get_bdim(pair.b) == -1
            return Pair(pair.a * 2, pair.b)

        x = torch.arange(6.0).view(2, 3)
        result = torch.vmap(double, out_dims=1)(Pair(x, torch.ones(3)))
        assert result.a.tolist() == (2 * x.T).tolist() and result.b.tolist() == torch.ones(3, 2).tolist()
        assert torch.vmap(lambda pair: pair.a.sum())(Pair(x, None)).tolist() == [3, 12]
        try:
            get_unwrapped(x)
        except RuntimeError as error:
            assert "batched inside vmap" in str(error)
        else:
            raise AssertionError
    """)


def test_private_queries_about_transforms_and_tracing_return_the_expected_values(run):
    run("""
        import sys
        import torch
        from torch._C._functorch import is_batchedtensor, is_legacy_batchedtensor
        x = torch.ones(2)
        assert not is_batchedtensor(x) and not is_legacy_batchedtensor(x)
        assert not torch._C._are_functorch_transforms_active() and torch._C._get_tracing_state() is None
        assert not {"flambeau.jit", "flambeau.func"} & sys.modules.keys()
        assert torch._C._get_default_device() == "cpu"
        assert torch._C._get_accelerator() == (torch.accelerator.current_accelerator() or torch.device("cpu"))
        assert torch._C._get_privateuse1_backend_name() == "privateuseone" and torch._C.Future is torch.Future
        with torch.overrides.TorchFunctionMode():
            assert torch._C._is_torch_function_mode_enabled()
        assert not torch._C._is_torch_function_mode_enabled()
        assert isinstance(x.untyped_storage(), torch.StorageBase)
        assert torch._C._is_alias_of(x, x[1:]) and not torch._C._is_alias_of(x, x.clone())
    """)


def test_tensors_are_not_fake_outside_a_mode(run):
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


def test_pickled_graph_modules_load_without_the_alias(run, tmp_path):
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
