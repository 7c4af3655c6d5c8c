"""Helpers in PyTorch's private modules that training libraries use."""

import pytest


def test_device_indices_follow_the_options(run):
    run("""
        import torch
        from torch._utils import _get_device_index

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
