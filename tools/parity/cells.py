"""Row of the parity table: the checks of one variant in one dtype, over all samples."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch

import flambeau as fb
from tools.parity.bridge import flat, tensor_to_flambeau, to_flambeau
from tools.parity.cell import Cell, arguments, error_text, quiet, record_failures, seeded, shown
from tools.parity.compare import difference
from tools.parity.derivatives import derivatives, without_zeros
from tools.parity.forward_ad import tangents_differ
from tools.parity.modes import autocast_differs, cuda_differs, meta_differs
from tools.parity.rebind import rebind, unseeded
from tools.parity.scope import expected_to_fail, is_uninitialised, title

WIDER = {"float16": "float64", "bfloat16": "float64", "float32": "float64", "complex64": "complex128"}


class Variant:
    """An operator of the table in one dtype."""

    def __init__(self, op: Any, dtype: str, limit: int | None, kinds: set[str]) -> None:
        self.op, self.dtype, self.limit, self.kinds = op, dtype, limit, kinds
        self.torch_dtype = getattr(torch, dtype)
        self.call = unseeded(op.op)
        self.values = not is_uninitialised(op)

    def cells(self) -> Iterator[Cell]:
        """Yield the cells of the variant in this dtype, for the checks that PyTorch itself passes."""
        if "forward" in self.kinds:
            yield from self._calls("forward", self.call, self.op.name)
        if "method" in self.kinds and (method := self.op.get_method()):
            yield from self._calls("method", unseeded(method), f"Tensor.{self.op.name}")
        if "in-place" in self.kinds and (in_place := self.op.get_inplace()):
            yield from self._calls("in-place", unseeded(in_place), f"Tensor.{self.op.name}_", changes=True)
        if "out" in self.kinds and self.op.supports_out:
            yield from self._outs()
        if self.kinds & {"gradient", "second"} and self._has_gradient():
            yield from self._gradients()
        for kind, check in (("gradcheck", fb.autograd.gradcheck), ("gradgradcheck", fb.autograd.gradgradcheck)):
            tested = self._has_gradient() and not expected_to_fail(self.op, self.torch_dtype, kind, skips=True)
            if kind in self.kinds and tested and (kind == "gradcheck" or self._has_second()):
                yield from self._checks(kind, check)

        if "forward_ad" in self.kinds and self.op.supports_forward_ad and self._has_gradient():
            yield from self._forward_ad()
        if "autocast" in self.kinds:
            yield from self._difference_cell("autocast", functools.partial(autocast_differs, self.call))
        if "meta" in self.kinds:
            yield from self._difference_cell("meta", meta_differs)
        if "cuda" in self.kinds:
            yield from self._difference_cell("cuda", self._cuda_differs)

    def _difference_cell(self, kind: str, differs: Callable[[Any, Any], str | None]) -> Iterator[Cell]:
        cell = Cell(title(self.op), self.dtype, kind)
        counterpart = rebind(self.call, self.op.name)
        for sample in self.samples():
            with record_failures(cell, sample), contextlib.suppress(LookupError), quiet():
                problem = differs(counterpart, sample)
                cell.samples += 1
                if problem:
                    raise AssertionError(problem)
        if cell.samples or cell.failures:
            yield cell

    def _cuda_differs(self, counterpart: Any, sample: Any) -> str | None:
        expected = self._expected(self.call, sample, False)
        if expected is None:
            raise LookupError
        process = rebind(sample.output_process_fn_grad)  # the function removes undetermined parts of the result
        return cuda_differs(lambda *a, **k: process(counterpart(*a, **k)), sample, values=expected[1])

    def _forward_ad(self) -> Iterator[Cell]:
        """Yield the cell that compares forward-mode tangents with PyTorch's."""
        cell = Cell(title(self.op), self.dtype, "forward_ad")
        wrapper = self.op.gradcheck_wrapper  # function that makes inputs symmetric, if needed
        call = functools.partial(wrapper, self.call)
        counterpart = functools.partial(rebind(wrapper), rebind(self.call, self.op.name))
        for sample in self.samples(requires_grad=True):
            expected = self._expected(self.call, sample, False)
            if expected is None:
                continue
            with record_failures(cell, sample), contextlib.suppress(LookupError), quiet():
                problem = tangents_differ(call, counterpart, sample, expected[1])
                cell.samples += 1
                if problem:
                    raise AssertionError(problem)
        if cell.samples or cell.failures:
            yield cell

    def _has_gradient(self) -> bool:
        wide = self.dtype in ("float64", "complex128")
        supported = self.op.supports_autograd and self.torch_dtype in self.op.supported_backward_dtypes("cpu")
        return wide and supported and not expected_to_fail(self.op, self.torch_dtype, "gradient")

    def _has_second(self) -> bool:
        return self.op.supports_gradgrad and not expected_to_fail(self.op, self.torch_dtype, "second")

    def samples(self, requires_grad: bool = False) -> Iterator[Any]:
        """Return the table's sample inputs."""
        with quiet():
            torch.manual_seed(0)
            samples = self.op.sample_inputs("cpu", self.torch_dtype, requires_grad=requires_grad)
            yield from itertools.islice(samples, self.limit)

    def _expected(self, call: Any, sample: Any, changes: bool) -> tuple[Any, bool] | None:
        """Return PyTorch's result, and True if it does not depend on the seed. Return None if PyTorch raises."""
        try:
            first = seeded(call, *arguments(sample, changes), **sample.kwargs)
            others = []
            for seed in range(1, 5):
                start = torch.manual_seed(seed).get_state()
                with quiet():
                    others.append(call(*arguments(sample, changes), **sample.kwargs))
                if torch.equal(torch.get_rng_state(), start):  # nothing was drawn, so the seed has no effect
                    break
        except Exception:  # calls that PyTorch rejects are not tried with flambeau
            return None
        return first, self.values and all(difference(first, other) is None for other in others)

    def _exact(self, call: Any, sample: Any) -> Any:
        """Return PyTorch's result in a wider dtype, to judge which of two different results is closer, or None."""
        if self.dtype not in WIDER:
            return None
        wide = getattr(torch, WIDER[self.dtype])

        def widened(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return value.detach().to(wide) if value.dtype is self.torch_dtype else value
            if value is self.torch_dtype:
                return wide
            if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
                return type(value)(widened(v) for v in value)
            return {k: widened(v) for k, v in value.items()} if isinstance(value, dict) else value

        try:
            return seeded(call, *map(widened, (sample.input, *sample.args)), **widened(sample.kwargs))
        except Exception:  # no exact result is available
            return None

    def _calls(self, kind: str, call: Any, name: str, changes: bool = False) -> Iterator[Cell]:
        """Yield the cell that compares results of ``call``, which ``changes`` its first argument if it is in-place."""
        cell = Cell(title(self.op), self.dtype, kind)
        for sample in self.samples():
            expected = self._expected(call, sample, changes)
            if expected is None:
                continue
            cell.samples += 1
            with record_failures(cell, sample):
                counterpart = rebind(call, name)
                args = [to_flambeau(a, rebind, copy=changes) for a in (sample.input, *sample.args)]
                kwargs = to_flambeau(sample.kwargs, rebind)
                got = seeded(counterpart, *args, **kwargs)
                if problem := self._problem(call, sample, expected, got):
                    raise AssertionError(problem)
        if cell.samples:
            yield cell

    def _problem(self, call: Any, sample: Any, expected: tuple[Any, bool], got: Any) -> str | None:
        """Return the problem of a result, or None."""
        result, same = expected
        if difference(result, got, values=same) is None:
            return None
        if difference(result, got, self._exact(call, sample), same) is None:
            return None
        problem = self._processed(sample, result, got, same)
        return problem and self._ties(sample, result, got, problem)

    def _processed(self, sample: Any, result: Any, got: Any, same: bool) -> str | None:
        """Return the difference of the results without undetermined parts, such as signs of eigenvectors, or None."""
        process = sample.output_process_fn_grad
        return difference(process(result), rebind(process)(got), values=same)

    def _ties(self, sample: Any, result: Any, got: Any, problem: str) -> str | None:
        """Return None if the positions differ only among equal values, otherwise the problem."""
        source = sample.input
        if self.op.name == "argsort":
            wanted, given = result, torch.from_numpy(got.numpy())
            same = any(torch.equal(source.gather(d, wanted), source.gather(d, given)) for d in range(source.dim()))
            return None if same else problem
        if not isinstance(result, tuple) or len(result) != 2 or not hasattr(result, "indices"):
            return problem
        if difference(result[0], got[0]):
            return problem
        for dim in range(source.dim()):
            index = torch.from_numpy(got[1].numpy())
            index = index.unsqueeze(dim) if index.dim() < source.dim() else index
            with contextlib.suppress(RuntimeError):
                if torch.equal(source.gather(dim, index).reshape(result[0].shape), result[0]):
                    return None
        return problem

    def _outs(self) -> Iterator[Cell]:
        """Yield the cell that checks that ``out=`` receives the result and is returned."""
        cell = Cell(title(self.op), self.dtype, "out")
        for sample in self.samples():
            expected = self._expected(self.call, sample, False)
            if expected is None or not all(isinstance(t, torch.Tensor) for t in flat(expected[0])):
                continue
            result, _ = expected
            try:
                with quiet():
                    fresh = _like(result, lambda t: torch.empty_like(t))
                    self.call(*arguments(sample, False), **sample.kwargs, out=fresh)
            except Exception:  # PyTorch does not accept out= for this sample
                continue
            cell.samples += 1
            with record_failures(cell, sample):
                args = [to_flambeau(a, rebind) for a in (sample.input, *sample.args)]
                target = _like(result, lambda t: tensor_to_flambeau(torch.zeros_like(t).detach()))
                kwargs = to_flambeau(sample.kwargs, rebind)
                returned = seeded(rebind(self.call, self.op.name), *args, **kwargs, out=target)
                problem = self._problem(self.call, sample, expected, target)
                if problem is None and flat(returned)[0] is not flat(target)[0]:
                    problem = "the result is not out"
                if problem:
                    raise AssertionError(problem)
        if cell.samples:
            yield cell

    def _gradients(self) -> Iterator[Cell]:
        """Yield the cells that compare first and, where PyTorch has them, second derivatives with PyTorch's."""
        first, second = (Cell(title(self.op), self.dtype, kind) for kind in ("gradient", "second"))
        twice = self._has_second()
        for sample in self.samples(requires_grad=True):
            expected = self._expected(self.call, sample, False)
            if expected is None:
                continue
            try:
                with quiet():
                    wanted = derivatives(torch, self.call, sample, lambda v: v, twice)
            except Exception:  # PyTorch has no gradient for this sample
                continue
            if wanted is None:
                continue
            problems: dict[str, str] = {}
            try:
                with quiet():
                    given = derivatives(fb, rebind(self.call, self.op.name), sample, _to_leaf, len(wanted) > 1)
                for kind, a, b in zip(("gradient", "second"), wanted, given or (), strict=False):
                    if problem := difference(*without_zeros(a, b), values=expected[1]):
                        problems[kind] = problem
                if given is None:
                    problems = {"gradient": "no gradient", "second": "no gradient"}
            except Exception as error:  # any exception counts as a failure of both cells
                problems = {"gradient": error_text(error), "second": error_text(error)}
            for cell in (first, second)[: len(wanted)]:
                cell.samples += 1
                if cell.kind in problems:
                    cell.failures.append(f"{problems[cell.kind]} for {shown(sample)}")
        yield from (cell for cell in (first, second) if cell.samples)

    def _checks(self, kind: str, check: Callable[..., bool]) -> Iterator[Cell]:
        """Yield a cell that compares flambeau's derivatives with finite differences. ``check`` is e.g. gradcheck."""
        cell = Cell(title(self.op), self.dtype, kind)
        for sample in self.samples(requires_grad=True):
            if self._expected(self.call, sample, False) is None:
                continue
            with record_failures(cell, sample), quiet():
                args = [to_flambeau(a, rebind, copy=True) for a in (sample.input, *sample.args)]
                kwargs = to_flambeau(sample.kwargs, rebind, copy=True)
                leaves = [t for t in flat([args, *kwargs.values()]) if getattr(t, "requires_grad", False)]
                if not leaves:
                    continue
                cell.samples += 1
                call = functools.partial(self._of_leaves, rebind(sample.output_process_fn_grad), args, kwargs)
                check(call, leaves, fast_mode=True, nondet_tol=self.op.gradcheck_nondet_tol)
        if cell.samples:
            yield cell

    def _of_leaves(self, process: Any, args: list[Any], kwargs: dict[str, Any], *leaves: Any) -> Any:
        """Return the operator as a function of the tensors in args and kwargs that require gradients."""
        remaining = iter(leaves)

        def replaced(value: Any) -> Any:
            if isinstance(value, (tuple, list)):
                return type(value)(replaced(v) for v in value)
            return next(remaining) if getattr(value, "requires_grad", False) else value

        positional, named = [replaced(a) for a in args], {k: replaced(v) for k, v in kwargs.items()}
        wrapped = rebind(self.op.gradcheck_wrapper)
        return process(seeded(wrapped, rebind(self.call, self.op.name), *positional, **named))


def _like(result: Any, make: Callable[[torch.Tensor], Any]) -> Any:
    return make(result) if isinstance(result, torch.Tensor) else tuple(_like(r, make) for r in result)


def _to_leaf(value: Any) -> Any:
    return to_flambeau(value, rebind, copy=True)
