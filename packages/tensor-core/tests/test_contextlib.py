"""Tests of flambeau.utils._contextlib: user-defined context managers that decorate functions."""

from __future__ import annotations

import asyncio
import contextlib
import copy

import pytest

from flambeau.utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager, context_decorator

LOG: list[str] = []


class Logged(_DecoratorContextManager):
    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        LOG.append(f"+{self.name}")

    def __exit__(self, *error: object) -> None:
        LOG.append(f"-{self.name}")

    def clone(self) -> Logged:
        return type(self)(self.name)


class Plain(_NoParamDecoratorContextManager):
    def __enter__(self) -> None:
        LOG.append("+")

    def __exit__(self, *error: object) -> None:
        LOG.append("-")


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


def test_a_manager_decorates_functions_generators_and_coroutines() -> None:
    @Logged("f")
    def function(x: int) -> int:
        LOG.append("call")
        return x

    @Logged("g")
    def generator():
        yield 1
        yield 2

    @Logged("c")
    async def coroutine() -> int:
        return 3

    assert function(4) == 4 and LOG == ["+f", "call", "-f"]
    LOG.clear()
    for item in generator():
        LOG.append(str(item))
    assert LOG == ["+g", "-g", "1", "+g", "-g", "2", "+g", "-g"]
    assert asyncio.run(coroutine()) == 3 and LOG[-2:] == ["+c", "-c"]


def test_a_manager_without_parameters_needs_no_parentheses() -> None:
    assert Plain(lambda: LOG.append("bare"))() is None and Plain()(lambda: LOG.append("called"))() is None
    with Plain():
        pass
    assert LOG == ["+", "bare", "-", "+", "called", "-", "+", "-"]


def test_copies_of_a_context_manager_keep_their_parameters() -> None:
    assert copy.copy(Logged("kept")).name == "kept"


def test_a_function_is_wrapped_in_any_context_manager() -> None:
    reusable = contextlib.nullcontext()
    assert context_decorator(reusable, lambda: 1)() == context_decorator(Plain, lambda: 1)() == 1
    assert LOG == ["+", "-"]
    with pytest.raises(RuntimeError, match="Cannot decorate classes, got Logged"):
        context_decorator(Plain, Logged)


def test_decorating_a_class_warns_and_wraps_its_construction() -> None:
    with pytest.warns(FutureWarning, match="decorate __init__"):
        made = Plain()(Logged)
    assert made("x").name == "x" and LOG == ["+", "-"]
