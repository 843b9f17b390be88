"""Values of parameters as text, the only thing that workflows know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kubeflow_pipelines.translation.unsupported import UnsupportedError

TEXT, INTEGER, DOUBLE, BOOLEAN = "STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN"
LIST, STRUCT = "LIST", "STRUCT"
NOT_TEXT = (INTEGER, DOUBLE, BOOLEAN)
"""Types whose values in JSON have no quotes."""

_ESCAPED = "\b\f\n\r\t"
"""Control characters that Argo can pass on."""


def format_value(where: str, kind: str, value: Any) -> str:
    """Return a value as a container gets it.

    Args:
        where: the parameter, for an error.
        kind: its type in the IR, such as ``NUMBER_INTEGER``.
        value: the value in JSON, in which an integer may be ``3.0``.

    Raises:
        UnsupportedError: the value has another type, or Argo would change it.
    """
    text = _text(where, kind, value)
    if "{{" in text:
        raise UnsupportedError(where, "Argo takes {{ in a value for a template of its own")
    for character in text:
        if not _is_passed_on(character):
            raise UnsupportedError(where, f"Argo cannot pass on the character {character!r}")
    return text


def _is_passed_on(character: str) -> bool:
    r"""Return False if Argo's templates write a character in a way that is no JSON.

    ``strconv.Quote`` in ``util/template/simple_template.go`` of Argo writes ``\x01`` and
    ``\U000e0001`` for what is not printable.
    """
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return character in _ESCAPED
    return code <= 0xFFFF or character.isprintable()


def _text(where: str, kind: str, value: Any) -> str:
    if kind == TEXT and isinstance(value, str):
        return value
    if kind == BOOLEAN and isinstance(value, bool):
        return "true" if value else "false"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == INTEGER and is_number and float(value).is_integer():
        return str(int(value))
    if kind == DOUBLE and is_number:
        return _double(value)
    if (kind == LIST and isinstance(value, list)) or (kind == STRUCT and isinstance(value, dict)):
        return json.dumps(_whole_numbers(value), ensure_ascii=False, separators=(",", ":"))
    raise UnsupportedError(where, f"{value!r:.80} is not a value of type {kind}")


def _whole_numbers(value: Any) -> Any:
    """Return a value in which ``3.0``, as kfp's compiler writes every 3, is 3 again."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole_numbers(each) for key, each in value.items()}
    return value


def _double(value: float) -> str:
    """Return a number without an exponent, as upstream's backend passes it."""
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def run_values(
    definitions: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> dict[str, str]:
    """Return the values of a run's parameters as text; those without a value are left out.

    Args:
        definitions: the pipeline's inputs: types and defaults.
        given: values by name.

    Raises:
        UnsupportedError: a parameter is unknown, required, or has a wrong value.
    """
    for name in given:
        if name not in definitions:
            names = ", ".join(sorted(definitions)) or "none"
            raise UnsupportedError(
                f"parameter {name}", f"the pipeline has no such parameter: {names}"
            )
    found = {}
    for name, definition in definitions.items():
        value = given.get(name)
        if value is None:
            value = definition.get("defaultValue")
        if value is not None:
            kind = str(definition.get("parameterType"))
            found[name] = format_value(f"parameter {name}", kind, value)
        elif not definition.get("isOptional"):
            raise UnsupportedError(f"parameter {name}", "it has no value", "give it one")
    return found
