"""Kinds of text that may stand in a card: bounded, printable, and what they seem to be."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, datetime
from numbers import Integral, Real
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from modelsec.errors import ConfigurationError
from modelsec.provenance.cards.licences import read_licence
from modelsec.provenance.integrity import full_digest
from modelsec.signing.trees.names import hidden_fault

_LARGEST = 1 << 63
_LINE = 300
_LONGEST_URL = 2000
_LONGEST_LIST = 1000
_URL = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
    r"(?:/(?:[A-Za-z0-9._~:/@!$&'()+*,;=-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~:/?@!$&'()+*,;=-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:#(?:[A-Za-z0-9._~:/?@!$&'()+*,;=-]|%[0-9A-Fa-f]{2})*)?"
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _one_line(text: str) -> str:
    text = _plain(text)
    _refuse(text)
    if text != text.strip():
        raise ValueError("white space at its ends")
    return text


def _text(text: str) -> str:
    text = _plain(text).replace("\r\n", "\n")
    # Lines and tabs are what prose may have besides what is printed.
    _refuse(text.replace("\n", " ").replace("\t", " "))
    if not text.strip():
        raise ValueError("empty")
    return text


def _plain(text: str) -> str:
    # A subclass could show as another text than the one whose digest is approved.
    return str.__str__(text)


def _refuse(text: str) -> None:
    """Refuse characters that do not show, or that make text read as another."""
    if fault := hidden_fault(text):
        raise ValueError(f"it {fault}, which is no printable character")
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise ValueError("it has half a character (a lone surrogate), which is not printable")


def bounded(most: int) -> Callable[[object], object]:
    """Return a check that refuses a long collection before any of it is looked at."""

    def check(value: object) -> object:
        if not isinstance(value, list | tuple | dict):
            raise ValueError("no list or table")  # noqa: TRY004 - pydantic collects ValueErrors
        if len(value) > most:
            raise ValueError(f"{len(value)} entries; at most {most} are taken")
        return value

    return check


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _day(value: object) -> object:
    # TOML has dates; a card has their text.
    return value.isoformat() if isinstance(value, datetime | date) else value


def _number(value: object) -> int | float:
    # By hand: pydantic's unions report every type that was tried.
    if isinstance(value, bool) or not isinstance(value, int | float | Real):
        raise ValueError("no number")  # noqa: TRY004 - pydantic collects ValueErrors
    number = _exact(value)
    if not abs(number) <= _LARGEST:
        raise ValueError("no finite number within 2**63")
    return number


def _exact(value: float | Real) -> int | float:
    """Return Python's own number: that of numpy, or a subclass, may show as another."""
    if isinstance(value, int):
        return int.__pos__(value)
    if isinstance(value, float):
        return float.__pos__(value)
    try:
        return int.__pos__(int(value)) if isinstance(value, Integral) else float(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ValueError("no number that Python can take") from error


def _amount(value: object) -> int | float:
    number = _number(value)
    if number < 0:
        raise ValueError("negative")
    return number


def _measurement(value: object) -> int | float | str:
    return _short(value) if isinstance(value, str) else _number(value)


def _scalar(value: object) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool):
        return value
    return _measurement(value)


def _short(text: str) -> str:
    if not 0 < len(text) <= _LINE:
        raise ValueError(f"no text of 1 to {_LINE} characters")
    return _one_line(text)


def is_url(text: str) -> bool:
    """Say whether text is an http or https URL in plain ASCII (RFC 3986)."""
    return len(text) <= _LONGEST_URL and _URL.fullmatch(text) is not None


def _url(text: str) -> str:
    if not is_url(text):
        raise ValueError("no http or https URL (other characters are written as %XX)")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("no e-mail address")
    return text


def _digest(value: str) -> str:
    try:
        return full_digest(value)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _licence(text: str) -> str:
    if text.strip().lower() == "other":
        raise ValueError("other than what? name it LicenseRef-<name>")
    try:
        return read_licence(text).name
    except ConfigurationError as error:
        if "pip install" in str(error):
            raise
        raise ValueError(str(error)) from error


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


Many = BeforeValidator(bounded(_LONGEST_LIST))
Some = BeforeValidator(bounded(100))

Line = Annotated[str, Field(min_length=1, max_length=_LINE), AfterValidator(_one_line)]
"""One line that shows as what it is."""

Text = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_text)]
"""Prose of one or more lines."""

Day = Annotated[Line, BeforeValidator(_day)]
"""A date, as text or as TOML's."""

Lines = Annotated[
    tuple[Line, ...],
    BeforeValidator(bounded(_LONGEST_LIST)),
    BeforeValidator(_listed),
    AfterValidator(_unique),
]
"""Lines; a single string is one of them."""

Texts = Annotated[
    tuple[Text, ...], BeforeValidator(bounded(_LONGEST_LIST)), BeforeValidator(_listed)
]
"""Pieces of prose; a single string is one of them."""

Url = Annotated[str, Field(max_length=_LONGEST_URL), AfterValidator(_url)]
Email = Annotated[str, Field(max_length=320), AfterValidator(_email)]
Digest = Annotated[str, Field(max_length=100), AfterValidator(_digest)]
LicenceName = Annotated[str, Field(max_length=300), AfterValidator(_licence)]

Number = Annotated[int | float, PlainValidator(_number)]
"""Finite; a Boolean is none."""

Amount = Annotated[int | float, PlainValidator(_amount)]
Measurement = Annotated[int | float | str, PlainValidator(_measurement)]
Scalar = Annotated[bool | int | float | str | None, PlainValidator(_scalar)]

Approach = Literal[
    "supervised", "unsupervised", "reinforcement-learning", "semi-supervised", "self-supervised"
]
"""How it learnt (the five words of CycloneDX)."""

Activity = Literal[
    "design",
    "data-collection",
    "data-preparation",
    "training",
    "fine-tuning",
    "validation",
    "deployment",
    "inference",
    "other",
]
"""What used the energy (the words of CycloneDX)."""

EnergySource = Literal[
    "coal",
    "oil",
    "natural-gas",
    "nuclear",
    "wind",
    "solar",
    "geothermal",
    "hydropower",
    "biofuel",
    "unknown",
    "other",
]
"""Where the energy came from (the words of CycloneDX)."""
