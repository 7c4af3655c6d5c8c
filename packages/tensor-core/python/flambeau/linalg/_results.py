"""Tuples with named fields."""

import collections


def result_type(name: str, *fields: str) -> type:
    """A tuple type with named fields that prints as ``flambeau.return_types.<name>(...)``; made from one sequence."""
    base = collections.namedtuple(name, fields)  # noqa: PYI024  (its fields are known here only)
    make = tuple.__new__

    def new(cls: type, values: tuple[object, ...]) -> tuple[object, ...]:
        return make(cls, values)

    def represent(self: tuple[object, ...]) -> str:
        parts = ",\n".join(f"{field}={value!r}" for field, value in zip(fields, self, strict=True))
        return f"flambeau.return_types.{name}(\n{parts})"

    return type(name, (base,), {"__slots__": (), "__new__": new, "__repr__": represent, "__module__": __name__})
