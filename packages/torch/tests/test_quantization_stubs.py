"""Modules that mark where a model would be quantised."""

import pytest


def test_models_with_quantisation_stubs_compute_in_floating_point(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        from torch.ao.quantization import DeQuantStub, QuantStub
        from torch.quantization import observer, prepare

        x = torch.tensor([1.0, -2.0])
        model = torch.nn.Sequential(QuantStub(), torch.nn.Linear(2, 2), DeQuantStub(qconfig="named"))
        assert model(x).equal(model[1](x)) and list(model.state_dict()) == ["1.weight", "1.bias"]
        assert torch.quantization.QuantStub is QuantStub and model[2].qconfig == "named"
        f = torch.nn.quantized.FloatFunctional()
        assert isinstance(f, torch.ao.nn.quantized.FloatFunctional)
        sums = f.add(x, x), f.add_scalar(x, 1.0), f.add_relu(x, x), f.cat([x, x])
        assert [each.tolist() for each in sums] == [[2.0, -4.0], [2.0, -1.0], [2.0, 0.0], [1.0, -2.0, 1.0, -2.0]]
        products = f.mul(x, x), f.mul_scalar(x, 2.0), f.matmul(x, x)
        assert [each.tolist() for each in products] == [[1.0, 4.0], [2.0, -4.0], 5.0]
        for call in (lambda: f(x), lambda: prepare(model), observer.MinMaxObserver):
            try:
                call()
            except (NotImplementedError, RuntimeError):
                continue
            raise AssertionError(call)
    """)
