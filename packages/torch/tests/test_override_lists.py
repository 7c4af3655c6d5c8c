"""Lists of the functions that ``__torch_function__`` can handle."""

import pytest


def test_functions_with_operands_are_overridable(run):
    run("""
        import torch
        from torch.overrides import get_ignored_functions, get_overridable_functions

        functions, ignored = get_overridable_functions(), get_ignored_functions()
        assert {torch.add, torch.ones_like, torch.stack} <= set(functions[torch])
        assert {torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.grad.__get__} <= set(functions[torch.Tensor])
        assert torch.linalg.svd in functions[torch.linalg]
        assert {torch.zeros, torch.arange, torch.tensor, torch.manual_seed} <= ignored
        assert not ignored & {each for some in functions.values() for each in some}
    """)


def test_layers_and_initialisers_are_overridable(run):
    pytest.importorskip("flambeau.nn")
    run("""
        import torch
        from torch.overrides import get_ignored_functions, get_overridable_functions

        functions = get_overridable_functions()
        assert {torch.nn.functional.linear, torch.nn.functional.mse_loss} <= set(functions[torch.nn.functional])
        assert torch.nn.init.normal_ in functions[torch.nn.init]
        assert torch.nn.init.calculate_gain in get_ignored_functions()
    """)


def test_each_overridable_operator_calls_its_handler(run):
    run("""
        import inspect
        import torch
        from torch.overrides import get_overridable_functions

        class Handler:
            _handles_functions = False

            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return "handled"

        def is_handled(function):
            for operand in (Handler(), [Handler()]):
                for count in range(1, 5):
                    try:
                        return function(*[operand] * count) == "handled"
                    except (TypeError, ValueError, RuntimeError):
                        continue
            return False

        operators = [each for each in get_overridable_functions()[torch] if type(each) is type(torch.add)]
        assert len(operators) > 400
        assert [each.__name__ for each in operators if not is_handled(each)] == []
    """)


def test_testing_overrides_have_the_parameters_of_the_functions(run):
    run("""
        import inspect
        import torch
        from torch.overrides import get_testing_overrides

        override = get_testing_overrides()[torch.clamp]
        assert list(inspect.signature(override).parameters)[:3] == ["input", "min", "max"]
        assert override(torch.ones(2), 0) == -1
    """)


def test_modes_and_subclasses_can_be_disabled_together(run):
    run("""
        import torch
        from torch._C import DisableTorchFunction
        from torch.overrides import BaseTorchFunctionMode

        class Counted(BaseTorchFunctionMode):
            calls = 0

            def __torch_function__(self, func, types, args=(), kwargs=None):
                self.calls += 1
                return func(*args, **(kwargs or {}))

        with Counted() as mode:
            torch.ones(2)
            with DisableTorchFunction():
                torch.ones(2)
            torch.ones(2)
        assert mode.calls == 2 and issubclass(torch.Tensor, torch._C.TensorBase)
    """)
