"""A signed decision as it travels: a DSSE envelope, read strictly.

The payload type is its own, so that no signature over a model, or over anything else, can be
taken for an approval.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from modelsec.errors import BundleFormatError, ConfigurationError, shown
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.signing.receipt import rfc3339

PAYLOAD_TYPE = "application/vnd.modelsec.card-approval.v1+json"
"""Signed together with the payload: the signature can mean nothing else."""

Decision = Literal["approve", "reject"]

_LIMIT = 1 << 18  # bytes of an approval file
_LONGEST = 2000
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_KEYS = (
    *("card", "decision", "approver", "decided_at", "key_id"),
    *("conditions", "despite", "not_after"),
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
    """

    card: str
    decision: Decision
    approver: str
    decided_at: datetime
    key_id: str
    conditions: str | None = None
    despite: str | None = None
    not_after: datetime | None = None

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
            "not_after": None if self.not_after is None else rfc3339(self.not_after),
        }


@dataclass(frozen=True, slots=True)
class Approval:
    """A signed decision that nobody has verified yet; it says nothing until then.

    Attributes:
        payload: the statement, as it was signed.
        signature: over its pre-authentication encoding (DSSE v1, protocol).
        key_id: which key to try; a hint, trusted for nothing.
    """

    payload: bytes
    signature: bytes
    key_id: str

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
        envelope = _read(raw.encode(errors="replace") if isinstance(raw, str) else raw)
        fields = _exactly(envelope, ("payloadType", "payload", "signatures"), "an approval")
        if fields["payloadType"] != PAYLOAD_TYPE:
            raise BundleFormatError(
                f"the payload type is {shown(fields['payloadType'])}, not {PAYLOAD_TYPE}: this is "
                "no approval"
            )
        signatures = fields["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise BundleFormatError("an approval has exactly one signature")
        signed = _exactly(signatures[0], ("keyid", "sig"), "a signature")
        key_id = signed["keyid"]
        if not isinstance(key_id, str) or not re.fullmatch(r"[0-9a-f]{64}", key_id):
            raise BundleFormatError(f"{shown(key_id)} is no key id")
        return cls(_base64(fields["payload"]), _base64(signed["sig"]), key_id)


def read_statement(payload: bytes) -> Statement:
    """Read what was signed: after the signature was verified, not before.

    Raises:
        BundleFormatError: it is no decision.
    """
    fields = _exactly(_read(payload), _KEYS, "a decision")
    hexes = [fields["card"], fields["key_id"]]
    if not all(isinstance(one, str) and re.fullmatch(r"[0-9a-f]{64}", one) for one in hexes):
        raise BundleFormatError("a decision names the digests of a card and of a key")
    if fields["decision"] not in ("approve", "reject"):
        raise BundleFormatError(f"{shown(fields['decision'])} is no decision")
    try:
        said = {
            name: None if fields[name] is None else words(fields[name], name)
            for name in ("approver", "conditions", "despite")
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
    )


def _read(raw: bytes) -> object:
    from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only who reads needs it

    return loads(raw, limit=_LIMIT)


def _exactly(value: object, names: tuple[str, ...], what: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise BundleFormatError(f"{what} has exactly the keys {', '.join(names)}")
    return value


def _base64(value: object) -> bytes:
    try:
        data = base64.b64decode(cast("str", value), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise BundleFormatError(f"{shown(value)} is not base64") from error
    if base64.b64encode(data).decode() != value:
        raise BundleFormatError(f"{shown(value)} is not canonical base64")
    return data


def _moment(value: object) -> datetime:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise BundleFormatError(f"{shown(value)} is no time like 2026-01-31T12:00:00Z")


def words(value: object, name: str) -> str:
    """Return text that shows as what it is.

    Raises:
        ConfigurationError: it is no such text.
    """
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= _LONGEST:
        raise ConfigurationError(f"{name} must be 1 to {_LONGEST} characters, not {shown(value)}")
    if not value.isprintable():
        raise ConfigurationError(f"{name} must be one printable line, not {shown(value)}")
    return value
