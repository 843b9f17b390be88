"""Validation of tables, such as those of a TOML file, against types.

msgspec checks single values and stops at the first mistake; here every value
of a table is checked by itself, so that all mistakes are reported at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from msgspec import Meta


@dataclass(frozen=True)
class Check:
    """A rule in an ``Annotated`` type that a plain type and ``Meta`` cannot express.

    Attributes:
        problem: returns what is wrong with a value, after "VALUE"; empty if nothing is.
        may_be_secret: True if the value must not be shown.
    """

    problem: Callable[[Any], str]
    may_be_secret: bool = False


_DESCRIPTIONS: dict[Any, str] = {str: "is not text", bool: "is neither true nor false"}


def table_mistakes(
    table: Mapping[str, Any], fields: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Return every mistake of a table, one sentence each; empty if it is valid.

    Args:
        table: names and values, as TOML or JSON has them.
        fields: the type of each known name. A ``Meta(description=...)`` in an
            ``Annotated`` type completes the sentence "VALUE ..." for a value
            that does not fit: "is not a port from 1 to 65535".
        prefix: the path of the table within its file, such as ``airflow.``.
    """
    found = []
    for name, value in table.items():
        path = f"{prefix}{name}"
        if name in fields:
            found += _value_mistakes(value, fields[name], path)
        else:
            found.append(f"unknown setting {path!r}{suggest(name, fields)}")
    return found


def suggest(word: str, known: Iterable[str]) -> str:
    """Return a hint in parentheses: the name closest to ``word``, else all of them."""
    names = sorted(known)
    closest = closest_match(word, names)
    return f" (did you mean {closest!r}?)" if closest else f" (known: {', '.join(names)})"


def closest_match(word: str, known: Iterable[str]) -> str:
    """Return the name that resembles ``word`` most; empty if none does."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), "")


def _value_mistakes(value: Any, kind: Any, path: str) -> list[str]:
    plain, constraints = _split(kind)
    if is_typeddict(plain):
        fields = get_type_hints(plain, include_extras=True)
        is_table = isinstance(value, Mapping)
        return table_mistakes(value, fields, f"{path}.") if is_table else [_not_table(path, value)]
    if get_origin(plain) is dict:
        if not isinstance(value, Mapping):
            return [_not_table(path, value)]
        checks = [each for each in constraints if isinstance(each, Check)]
        if problems := [found for each in checks if (found := each.problem(value))]:
            return [f"{path} {problems[0]}"]
        entry = get_args(plain)[1]
        return [
            wrong
            for name in value
            for wrong in _value_mistakes(value[name], entry, f"{path}.{name}")
        ]
    if get_origin(plain) is tuple:
        if not isinstance(value, (list, tuple)):
            return [f"{path}: {value!r} is not a list"]
        return [
            wrong for item in value for wrong in _value_mistakes(item, get_args(plain)[0], path)
        ]
    return _leaf_mistakes(value, plain, constraints, path)


def _not_table(path: str, value: Any) -> str:
    return f"{path}: {value!r} is not a table"


def _split(kind: Any) -> tuple[Any, list[Meta | Check]]:
    """Return the type inside ``Annotated``, and its constraints."""
    if get_origin(kind) is not Annotated:
        return kind, []
    plain, *annotations = get_args(kind)
    return plain, [each for each in annotations if isinstance(each, (Meta, Check))]


def _leaf_mistakes(value: Any, plain: Any, constraints: list[Meta | Check], path: str) -> list[str]:
    for constraint in constraints or [Meta()]:
        if isinstance(constraint, Check):
            if problem := constraint.problem(value):
                shown = "its value" if constraint.may_be_secret else repr(value)
                return [f"{path}: {shown} {problem}"]
            continue
        try:
            msgspec.convert(value, Annotated[plain, constraint])
        except msgspec.ValidationError:
            return [f"{path}: {value!r} {_describe(value, plain, constraint)}"]
    return []


def _describe(value: Any, plain: Any, constraint: Meta) -> str:
    """Return what is wrong with a value, after "VALUE"."""
    if get_origin(plain) is not Literal:
        return constraint.description or _DESCRIPTIONS[plain]
    choices = get_args(plain)
    description = constraint.description or f"is none of {', '.join(choices)}"
    closest = closest_match(str(value), choices)
    return f"{description} (did you mean {closest!r}?)" if closest else description
