"""What the maker of a model says about it: read from outside, so checked to the last field.

All of it is a claim. There is no field for "verified", "safe" or "approved": only a check that
this library makes, or a signature that it verifies, puts such a word into a card.
"""

import difflib
from collections.abc import Mapping
from itertools import islice
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.cards.card_fields import (
    Activity,
    Amount,
    Approach,
    Day,
    Digest,
    Email,
    EnergySource,
    LicenceName,
    Line,
    Lines,
    Many,
    Measurement,
    Number,
    Scalar,
    Some,
    Text,
    Texts,
    Url,
)

_LISTED = 20
_MOST_KEYS = 200
_MOST_ENTRIES = 1000
_EXAMPLES = {
    "name": '"sentiment"',
    "version": '"1.2.0"',
    "format": '".safetensors"',
    "source": '"https://models.example.org/sentiment"',
    "training_date": '"2026-01-15"',
    "training_data_description": '"Reviews of films."',
    "metrics": "{ accuracy = 0.93 }",
    "limitations": '["English only"]',
}
_OURS = frozenset(
    ("verified", "hash_verified", "format_safe", "safe", "scanned", "approved", "approver")
) | {"deployment_approval", "security_review", "receipts", "signature", "signed"}


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )


class Metric(_Part):
    """One number that somebody measured.

    Attributes:
        value: what was measured.
        type: what kind of metric; "" for the name under which it is listed.
        dataset: on which data.
        split: of the data.
        group: the slice of the data, e.g. an age group.
        lower, upper: the confidence interval.
        confidence: its level, e.g. ``95 %, bootstrap``.
    """

    value: Measurement
    type: Line | None = None
    dataset: Line | None = None
    split: Line | None = None
    group: Line | None = None
    lower: Number | None = None
    upper: Number | None = None
    confidence: Line | None = None


class Dataset(_Part):
    """Data that the model was trained or tested on."""

    name: Line
    url: Url | None = None
    description: Text | None = None
    license: LicenceName | None = None
    classification: Line | None = None
    sensitive_data: Lines = ()
    owner: Line | None = None


class Contact(_Part):
    """Whom to ask."""

    name: Line
    email: Email | None = None
    role: Line | None = None


class Energy(_Part):
    """What one activity cost.

    Attributes:
        activity: what used the energy.
        kwh: kilowatt-hours.
        provider: who supplied them.
        source: where they came from.
        co2_tonnes: tonnes of CO2 equivalent.
    """

    activity: Activity
    kwh: Amount
    provider: Line | None = None
    source: EnergySource = "unknown"
    co2_tonnes: Amount | None = None


class Risk(_Part):
    """What can go wrong, and what is done about it."""

    name: Text
    mitigation: Text | None = None


class Fairness(_Part):
    """Who may be treated worse."""

    group_at_risk: Text
    benefits: Text | None = None
    harms: Text | None = None
    mitigation: Text | None = None


def _named(value: object) -> object:
    """Take names for datasets that say no more than their name."""
    entries = (value,) if isinstance(value, str | dict) else value
    if isinstance(entries, list | tuple) and len(entries) <= _MOST_ENTRIES:
        return tuple({"name": one} if isinstance(one, str) else one for one in entries)
    return entries


def _measured(value: object) -> object:
    """Take bare values for metrics that say no more than their value."""
    if not isinstance(value, dict):
        return value
    return {
        name: found if isinstance(found, dict | Metric) else {"value": found}
        for name, found in value.items()
    }


class CardInfo(_Part):
    """What a card says on its maker's word; the field names are the keys of a TOML or JSON file.

    The first twelve are those of the lesson; ``hash`` is a *claimed* digest: SHA-256 of the file,
    or the tree digest of a folder. The others are optional and grouped by who asks for them.
    """

    name: Line
    version: Line
    hash: Digest | None = None
    format: Line
    source: Line
    training_date: Day
    training_data_description: Text
    metrics: Annotated[dict[Line, Metric], BeforeValidator(_measured), Many]
    limitations: Texts
    reviewer: Line | None = None
    review_date: Day | None = None
    vuln_scan_result: Text | None = None

    # What it is and what it is for.
    description: Text | None = None
    supplier: Line | None = None
    contacts: Annotated[tuple[Contact, ...], Some] = ()
    license: LicenceName | None = None
    tags: Lines = ()
    languages: Lines = ()
    library: Line | None = None
    task: Line | None = None
    intended_use: Texts = ()
    intended_users: Lines = ()
    out_of_scope: Texts = ()
    inputs: Lines = ()
    outputs: Lines = ()

    # How it was made.
    approach: Approach | None = None
    architecture_family: Line | None = None
    architecture: Line | None = None
    base_models: Lines = ()
    datasets: Annotated[tuple[Dataset, ...], Many, BeforeValidator(_named)] = ()
    hyperparameters: Annotated[dict[Line, Scalar], Many] = {}
    energy: Annotated[tuple[Energy, ...], Some] = ()
    environmental_impact: Text | None = None

    # How it is kept in hand.
    validation: Text | None = None
    metric_rationale: Text | None = None
    performance_tradeoffs: Texts = ()
    ethical_considerations: Annotated[tuple[Risk, ...], Some] = ()
    fairness: Annotated[tuple[Fairness, ...], Some] = ()
    human_oversight: Text | None = None
    monitoring: Text | None = None
    cybersecurity: Text | None = None
    risk_management: Text | None = None
    lifecycle_changes: Texts = ()
    standards: Lines = ()
    declaration_of_conformity: Text | None = None
    post_market_monitoring: Text | None = None

    @model_validator(mode="after")
    def _intervals(self) -> "CardInfo":
        for name, metric in self.metrics.items():
            if (
                metric.lower is not None
                and metric.upper is not None
                and metric.lower > metric.upper
            ):
                raise ValueError(f"metrics: the interval of {shown(name)} ends before it starts")
        return self

    @classmethod
    def read(cls, info: "Mapping[str, object] | CardInfo") -> "CardInfo":
        """Return checked information.

        Raises:
            ConfigurationError: one or more fields are missing, unknown or not what they must be;
                all of them are listed.
        """
        if isinstance(info, CardInfo):
            return info
        if not isinstance(info, Mapping):
            raise ConfigurationError(
                f"the model's information must be a mapping, not {shown(info)}"
            )
        if len(info) > _MOST_KEYS:
            raise ConfigurationError(f"{len(info)} keys are too many for a model card")
        # A mapping of the caller's may tell another length than it has.
        given = {key: info[key] for key in islice(info, _MOST_KEYS + 1)}
        if not all(isinstance(key, str) for key in given):
            raise ConfigurationError("the keys of the model's information must be strings")
        unknown = [_unknown(key) for key in given if key not in cls.model_fields]
        known = {key: value for key, value in given.items() if key in cls.model_fields}
        try:
            read = cls.model_validate(known)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False, include_context=False)
            raise _bad(unknown + [_fault(one["loc"], one["msg"]) for one in wrong]) from None
        except RecursionError:
            raise _bad([*unknown, "it is nested too deep"]) from None
        if unknown:
            raise _bad(unknown)
        return read


def _unknown(key: str) -> str:
    if key in _OURS:
        return (
            f"{key}: a card says this only of what was checked: give the path of the model, "
            "and for approval a signed one"
        )
    close = difflib.get_close_matches(key[:60], CardInfo.model_fields, n=1)
    return f"{shown(key)}: there is no such field" + (
        f"; did you mean {close[0]}?" if close else ""
    )


def _fault(where: tuple[int | str, ...], message: str) -> str:
    place = ".".join(map(_step, where)) or "it"
    example = _EXAMPLES.get(place)
    hint = f", e.g. {place} = {example}" if example and message == "Field required" else ""
    return f"{place}: {message.removeprefix('Value error, ')}{hint}"


def _step(step: object) -> str:
    if isinstance(step, str) and step.isidentifier() and step.isascii():
        return step[:60]
    return f"[{shown(step)}]"


def _bad(faults: list[str]) -> ConfigurationError:
    listed = "".join(f"\n  {fault:.300}" for fault in faults[:_LISTED])
    more = f"\n  ... and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    return ConfigurationError(f"the model's information cannot be used:{listed}{more}")
