"""A signed decision as it travels: a DSSE envelope, read strictly.

The payload type is its own, so that no signature over a model, or over anything else, can be
taken for an approval.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from modelsec.errors import BundleFormatError, ConfigurationError, shown
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.signing.bundles.bundle import decoded
from modelsec.signing.bundles.members import as_object, list_of_objects, only_keys, text_in
from modelsec.signing.moments import parse_rfc3339, rfc3339
from modelsec.signing.trees.names import hidden_fault

PAYLOAD_TYPE = "application/vnd.modelsec.card-approval.v1+json"
"""Signed together with the payload: the signature can mean nothing else."""

Decision = Literal["approve", "reject"]

_LIMIT = 1 << 18  # bytes of an approval file
_LONGEST = 2000
_KEYS = (
    *("card", "decision", "approver", "decided_at", "key_id"),
    *("conditions", "despite", "environment", "not_after"),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What the person who decided has signed.

    Attributes:
        card: digest of the card, hex.
        decision: ``approve`` or ``reject``.
        approver: who decided, in their own words; who it was is what the key says.
        decided_at: when, by the signer's clock (aware, UTC).
        key_id: of the key that signed.
        conditions: under which the model may be deployed.
        despite: why it is approved although a check in the card failed or was not made.
        not_after: the decision must not be used later than this.
        environment: the only one that the decision is about, e.g. ``staging``; None: any.
    """

    card: str
    decision: Decision
    approver: str
    decided_at: datetime
    key_id: str
    conditions: str | None = None
    despite: str | None = None
    not_after: datetime | None = None
    environment: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the statement as JSON-ready values: all keys, always."""
        return {
            "card": self.card,
            "decision": self.decision,
            "approver": self.approver,
            "decided_at": rfc3339(self.decided_at),
            "key_id": self.key_id,
            "conditions": self.conditions,
            "despite": self.despite,
            "environment": self.environment,
            "not_after": None if self.not_after is None else rfc3339(self.not_after),
        }


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed decision that nobody has verified yet; it says nothing until then.

    Attributes:
        payload: the statement, as it was signed.
        signature: over its pre-authentication encoding (DSSE v1, protocol).
        key_id: which key to try; a hint, trusted for nothing.

    Raises:
        ConfigurationError: a part is of the wrong type.
    """

    payload: bytes
    signature: bytes
    key_id: str

    def __post_init__(self) -> None:
        for part, kind in ((self.payload, bytes), (self.signature, bytes), (self.key_id, str)):
            if not isinstance(part, kind):
                raise ConfigurationError(
                    f"an approval holds bytes, bytes and a key id, not {shown(part)}"
                )

    def to_json(self) -> str:
        """Return the DSSE envelope."""
        envelope = {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(self.payload).decode(),
            "signatures": [
                {"keyid": self.key_id, "sig": base64.b64encode(self.signature).decode()}
            ],
        }
        return canonical(envelope).decode() + "\n"

    @classmethod
    def from_json(cls, raw: bytes | str) -> "Approval":
        """Read an envelope strictly: one signature, no further keys.

        Raises:
            BundleFormatError: it is something else.
        """
        if not isinstance(raw, bytes | str):
            raise ConfigurationError(f"an approval is read from bytes or text, not {shown(raw)}")
        envelope = _object(raw.encode(errors="replace") if isinstance(raw, str) else raw, "it")
        where = "an approval"
        only_keys(envelope, required=("payloadType", "payload", "signatures"), where=where)
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise BundleFormatError(
                f"the payload type is {shown(envelope['payloadType'])}, not {PAYLOAD_TYPE}: this "
                "is no approval"
            )
        signatures = list_of_objects(envelope["signatures"], "signatures")
        if len(signatures) != 1:
            raise BundleFormatError("an approval has exactly one signature")
        only_keys(signatures[0], required=("keyid", "sig"), where="a signature")
        key_id = signatures[0]["keyid"]
        if not isinstance(key_id, str) or not re.fullmatch(r"[0-9a-f]{64}", key_id):
            raise BundleFormatError(f"{shown(key_id)} is no key id")
        return cls(
            _bytes(text_in(envelope, "payload", where), "payload"),
            _bytes(text_in(signatures[0], "sig", "a signature"), "sig"),
            key_id,
        )


def read_statement(payload: bytes) -> Statement:
    """Read what was signed: after the signature was verified, not before.

    Raises:
        BundleFormatError: it is no decision.
    """
    fields = _object(payload, "a decision")
    only_keys(fields, required=_KEYS, where="a decision")
    hexes = [fields["card"], fields["key_id"]]
    if not all(isinstance(one, str) and re.fullmatch(r"[0-9a-f]{64}", one) for one in hexes):
        raise BundleFormatError("a decision names the digests of a card and of a key")
    if fields["decision"] not in ("approve", "reject"):
        raise BundleFormatError(f"{shown(fields['decision'])} is no decision")
    try:
        said = {
            name: None if fields[name] is None else words(fields[name], name)
            for name in ("approver", "conditions", "despite", "environment")
        }
    except ConfigurationError as error:
        raise BundleFormatError(str(error)) from error
    if said["approver"] is None:
        raise BundleFormatError("nobody is named who decided")
    not_after = fields["not_after"]
    return Statement(
        card=cast("str", fields["card"]),
        decision=fields["decision"],
        approver=said["approver"],
        decided_at=_moment(fields["decided_at"]),
        key_id=cast("str", fields["key_id"]),
        conditions=said["conditions"],
        despite=said["despite"],
        not_after=None if not_after is None else _moment(not_after),
        environment=said["environment"],
    )


def _object(raw: bytes, what: str) -> dict[str, object]:
    from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only who reads needs it

    return as_object(loads(raw, limit=_LIMIT), what)


def _bytes(text: str, where: str) -> bytes:
    data = decoded(text, where)
    if base64.b64encode(data).decode() != text:
        raise BundleFormatError(f"{where} is not base64 in the standard alphabet")
    return data


def _moment(value: object) -> datetime:
    moment = parse_rfc3339(value) if isinstance(value, str) else None
    if moment is None:
        raise BundleFormatError(f"{shown(value)} is no time like 2026-01-31T12:00:00Z")
    return moment


def words(value: object, name: str) -> str:
    """Return text that shows as what it is.

    Raises:
        ConfigurationError: it is no such text.
    """
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= _LONGEST:
        raise ConfigurationError(f"{name} must be 1 to {_LONGEST} characters, not {shown(value)}")
    if not value.isprintable() or hidden_fault(value):
        raise ConfigurationError(f"{name} must be one printable line, not {shown(value)}")
    return value
