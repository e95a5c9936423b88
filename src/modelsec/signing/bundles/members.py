"""Typed members of parsed JSON: taken out, or refused with their place."""

from collections.abc import Collection
from typing import cast

from modelsec.errors import BundleFormatError, shown

_KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number"}


def kind_of(value: object) -> str:
    """Name the kind of a JSON value; the value itself may be too large to show."""
    return _KINDS.get(type(value), "a number" if isinstance(value, float) else "null")


def as_object(value: object, where: str) -> dict[str, object]:
    """Return a JSON object.

    Raises:
        BundleFormatError: it is something else.
    """
    if not isinstance(value, dict):
        raise BundleFormatError(f"{where} must be a JSON object, not {kind_of(value)}")
    return cast("dict[str, object]", value)


def list_of_objects(value: object, where: str) -> list[dict[str, object]]:
    """Return a JSON array that holds objects only.

    Raises:
        BundleFormatError: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BundleFormatError(f"{where} must be a list of JSON objects")
    return cast("list[dict[str, object]]", value)


def list_of_texts(value: object, where: str) -> list[str]:
    """Return a JSON array that holds strings only.

    Raises:
        BundleFormatError: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BundleFormatError(f"{where} must be a list of texts")
    return cast("list[str]", value)


def text_in(holder: dict[str, object], key: str, where: str) -> str:
    """Return a string member.

    Raises:
        BundleFormatError: it is missing or something else.
    """
    value = holder.get(key)
    if not isinstance(value, str):
        found = kind_of(value) if key in holder else "missing"
        raise BundleFormatError(f"{where}: {key} must be text, it is {found}")
    return value


def only_keys(
    holder: dict[str, object],
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    where: str,
) -> None:
    """Refuse an object that lacks a member, or has one that its format does not know.

    Raises:
        BundleFormatError: it does.
    """
    if missing := [key for key in required if key not in holder]:
        raise BundleFormatError(f"{where} lacks {', '.join(missing)}")
    if unknown := [key for key in holder if key not in required and key not in optional]:
        raise BundleFormatError(f"{where} has an unknown member {shown(unknown[0])}")
