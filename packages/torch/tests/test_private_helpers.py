"""Helpers in PyTorch's private modules that training libraries use."""

import pytest


def test_device_indices_follow_the_options(run):
    run("""
        import torch
        from torch._utils import _get_device_index, _get_device_module
        assert _get_device_module("cuda") is torch.cuda
        try:
            _get_device_module("gpu")
        except RuntimeError as error:
            assert "does not have a corresponding module" in str(error)
        else:
            raise AssertionError

        assert _get_device_index("cuda:1") == 1 and _get_device_index(2) == 2
        assert _get_device_index(torch.device("cpu"), allow_cpu=True) == -1
        for device in ("cpu", "cuda", None):
            try:
                _get_device_index(device)
            except ValueError:
                continue
            raise AssertionError(device)
    """)


def test_tensors_can_be_rebuilt_from_storages(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch

        tensor = torch._utils._rebuild_tensor_v2(torch.arange(6.0).storage(), 2, (2, 2), (2, 1), False, None)
        assert tensor.tolist() == [[2.0, 3.0], [4.0, 5.0]]
        parameter = torch._utils._rebuild_parameter(tensor, False, None)
        assert isinstance(parameter, torch.nn.Parameter) and not parameter.requires_grad
    """)


def test_the_switch_of_the_fast_path_of_attention_keeps_its_value(run):
    run("""
        import torch

        assert torch.backends.mha.get_fastpath_enabled() is True
        torch.backends.mha.set_fastpath_enabled(False)
        assert torch.backends.mha.get_fastpath_enabled() is False
    """)


def test_modules_have_the_names_that_they_import_in_pytorch(run):
    run("""
        import pickle
        import torch
        from torch.utils._foreach_utils import _foreach_supported_types

        assert torch.serialization.pickle is pickle and torch.Tensor in _foreach_supported_types
    """)


def test_packages_have_the_private_names_of_their_submodules(run):
    pytest.importorskip("flambeau.jit")
    run("""
        from torch.jit import TracerWarning, _get_trace_graph

        try:
            _get_trace_graph(len, ())
        except NotImplementedError as error:
            assert "torch.jit._trace._get_trace_graph" in str(error)
        else:
            raise AssertionError("not absent")
        import torch

        assert not hasattr(torch.jit, "_get_trace_graph")
    """)


def test_losses_have_the_numbers_of_their_reductions(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import warnings
        import torch.nn._reduction
        import torch.nn.functional as F
        from torch.nn.modules.loss import _Reduction

        assert [F._Reduction.get_enum(name) for name in ("none", "mean", "sum")] == [0, 1, 2]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert _Reduction.legacy_get_enum(False, None) == 2
            assert torch.nn._reduction.legacy_get_string(None, False, emit_warning=False) == "none"
        assert [str(each.message)[:37] for each in caught] == ["size_average and reduce args will be "]
    """)


def test_operators_have_the_names_of_the_cpp_modules(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        import torch.nn.functional as F

        assert torch._VF.lstm is torch.lstm and F._VF.gru is torch.gru
        assert torch._C._VariableFunctions.add is torch.add and "add" in dir(torch._VF)
        assert torch._C._linalg.linalg_norm(torch.tensor([3.0, 4.0])) == 5
        assert torch._C._fft.fft_rfftfreq(4).tolist() == [0, 0.25, 0.5]
    """)


def test_transformers_recognise_causal_masks(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        from torch.nn.modules.transformer import (
            _detect_is_causal_mask, _generate_square_subsequent_mask, _get_seq_len
        )

        mask = _generate_square_subsequent_mask(3)
        assert mask.tolist()[1] == [0, 0, float("-inf")]
        assert _detect_is_causal_mask(mask) and not _detect_is_causal_mask(mask, size=4)
        assert not _detect_is_causal_mask(mask, is_causal=False) and not _detect_is_causal_mask(None)
        assert [_get_seq_len(torch.ones(2, 3, 4), first) for first in (True, False)] == [3, 2]
        assert _get_seq_len(torch.ones(5, 4), True) == 5
    """)


def test_checkpoints_know_the_state_of_autocast(run):
    pytest.importorskip("flambeau.autograd")
    run("""
        import torch
        from torch.utils.checkpoint import _get_autocast_kwargs, _infer_device_type

        assert _infer_device_type(torch.ones(1), {"a": 2}) == "cuda"
        assert _infer_device_type([torch.ones(1, device="meta")], torch.ones(1)) == "meta"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            own, cpu = _get_autocast_kwargs("cpu")
        assert own == cpu == {"enabled": True, "dtype": torch.bfloat16, "cache_enabled": True}
    """)


def test_context_managers_can_decorate_functions(run):
    run("""
        from torch.autograd.grad_mode import _DecoratorContextManager

        entered = []

        class Counted(_DecoratorContextManager):
            def __enter__(self):
                entered.append(1)

            def __exit__(self, *error):
                pass

        @Counted()
        def two():
            return 2

        assert two() + two() == 4 and len(entered) == 2
    """)


def test_distributions_have_their_helpers(run):
    pytest.importorskip("flambeau.distributions")
    run("""
        import math
        import torch
        from torch.distributions.kl import _x_log_x
        from torch.distributions.utils import _Number
        from torch.distributions.von_mises import _log_modified_bessel_fn

        assert _x_log_x(torch.tensor([0.0, 1.0, 2.0])).tolist() == [0, 0, 2 * torch.tensor(2.0).log()]
        assert isinstance(1.5, _Number) and not isinstance("1", _Number)
        x = torch.tensor([0.5, 2.0, 20.0], dtype=torch.float64)
        for order, exact in enumerate((torch.special.i0, torch.special.i1)):
            torch.testing.assert_close(_log_modified_bessel_fn(x, order), exact(x).log())
    """)


def test_losses_of_pruning_leave_out_one_dimension(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        from torch.nn.utils.prune import _compute_norm

        assert _compute_norm(torch.tensor([[3.0, 0.0], [4.0, 1.0]]), 2, -1).tolist() == [5, 1]
    """)


def test_layers_have_the_names_that_pytorch_imports(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        from torch.nn.modules.activation import _arg_requires_grad, _check_arg_device, _is_make_fx_tracing
        from torch.nn.modules.batchnorm import _LazyNormBase
        from torch.nn.modules.conv import _ConvTransposeMixin, _pair, _size_2_t
        from torch.nn.modules.pooling import _size_any_opt_t

        assert issubclass(torch.nn.LazyBatchNorm1d, _LazyNormBase) and _pair(1) == (1, 1)
        assert issubclass(torch.nn.ConvTranspose2d, _ConvTransposeMixin)
        assert _check_arg_device(None) and not _arg_requires_grad(torch.ones(1)) and not _is_make_fx_tracing()
        assert torch.nn.functional.math.pi == torch.pi
    """)


def test_data_loaders_draw_a_seed(run):
    pytest.importorskip("flambeau.data")
    run("""
        import torch
        from torch.utils.data.dataloader import _share_dist_seed, _utils

        seeds = [_share_dist_seed(torch.Generator().manual_seed(3), None) for _ in range(2)]
        assert seeds[0] == seeds[1] and _utils.collate.default_collate([1, 2]).tolist() == [1, 2]
    """)


def test_tensors_can_be_printed_by_the_private_function(run):
    run("""
        import torch

        assert torch._tensor_str._str(torch.ones(2)) == "tensor([1., 1.])"
    """)


def test_vmap_has_a_level(run):
    pytest.importorskip("flambeau.func")
    run("""
        import torch
        from torch._C._functorch import maybe_current_level

        levels = []
        torch.vmap(lambda x: levels.append(maybe_current_level()) or x)(torch.ones(2))
        assert maybe_current_level() is None and levels == [1]
    """)


def test_the_number_of_programs_of_a_function_can_be_unlimited(run):
    pytest.importorskip("flambeau.jit")
    run("""
        import warnings
        import torch
        from torch._dynamo.utils import disable_cache_limit

        @torch.compile
        def scaled(x, factor):
            for _ in range(10):
                x = x * factor + 1
            return x

        x = torch.ones(3)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with disable_cache_limit():
                for factor in range(12):
                    scaled(x, factor)
            assert caught == []
    """)
