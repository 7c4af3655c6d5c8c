"""``jit.isinstance`` with generic types."""

import typing
from typing import Any, Optional, Union

import pytest

import flambeau as fb

Dict, List, Tuple = typing.Dict, typing.List, typing.Tuple  # noqa: UP006  as programs write them


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (fb.ones(2), fb.Tensor, True),
        ([fb.ones(2)], List[fb.Tensor], True),
        ([fb.ones(2), 1], List[fb.Tensor], False),
        ([], List[int], True),
        ((1, "a"), Tuple[int, str], True),
        ((1, "a", 2), Tuple[int, str], False),
        ((1, 2, 3), tuple[int, ...], True),
        ({"a": [1]}, Dict[str, List[int]], True),
        ({"a": [1.0]}, dict[str, list[int]], False),
        (None, Optional[int], True),  # noqa: UP045
        ("a", Union[int, None], False),  # noqa: UP007
        (3, int | str, True),
        (3, (str, List[int]), False),
        ([1], (str, List[int]), True),
        ([object()], List[Any], True),
    ],
)
def test_jit_isinstance_checks_container_types(value, kind, expected):
    assert fb.jit.isinstance(value, kind) is expected


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match=r"flambeau\.jit.*no_such_name"):
        getattr(fb.jit, "no_such_" + "name")
