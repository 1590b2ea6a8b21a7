"""Bodies of every kind, made from their types: one full example of each, and hypothesis strategies."""

from __future__ import annotations

from typing import Any

import msgspec.inspect as mi
from hypothesis import strategies as st

from sessions.events import Body


def example(kind: type[Body]) -> Body:
    """A body with a value in every field."""
    made = _example(mi.type_info(kind))
    assert isinstance(made, kind)
    return made


def bodies(kind: type[Body]) -> st.SearchStrategy[Body]:
    """Any body of this kind."""
    return _strategy(mi.type_info(kind))


def _example(info: Any) -> Any:
    match info:
        case mi.Metadata():
            return _example(info.type)
        case mi.StructType():
            return info.cls(**{field.name: _example(field.type) for field in info.fields})
        case mi.UnionType():
            return _example(next(kind for kind in info.types if not isinstance(kind, mi.NoneType)))
        case mi.LiteralType():
            return info.values[-1]
        case mi.VarTupleType():
            return (_example(info.item_type),)
        case mi.DictType():
            return {"key": _example(info.value_type)}
        case mi.IntType():
            return 3
        case mi.FloatType():
            return 0.25
        case mi.BoolType():
            return True
        case mi.StrType():
            return "text"
        case mi.AnyType():
            return "any"
        case _:
            raise NotImplementedError(f"no example for {info}")


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_INT = st.integers(-(2**53), 2**53)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)


def _strategy(info: Any) -> st.SearchStrategy[Any]:
    match info:
        case mi.Metadata():
            return _strategy(info.type)
        case mi.StructType():
            return st.builds(info.cls, **{field.name: _strategy(field.type) for field in info.fields})
        case mi.UnionType():
            return st.one_of(*map(_strategy, info.types))
        case mi.NoneType():
            return st.none()
        case mi.LiteralType():
            return st.sampled_from(info.values)
        case mi.VarTupleType():
            return st.lists(_strategy(info.item_type), max_size=3).map(tuple)
        case mi.DictType():
            return st.dictionaries(_TEXT, _strategy(info.value_type), max_size=3)
        case mi.IntType():
            return _INT
        case mi.FloatType():
            return _FLOAT
        case mi.BoolType():
            return st.booleans()
        case mi.StrType():
            return _TEXT
        case mi.AnyType():
            return st.recursive(
                st.none() | st.booleans() | _INT | _FLOAT | _TEXT,
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
                max_leaves=4,
            )
        case _:
            raise NotImplementedError(f"no strategy for {info}")
