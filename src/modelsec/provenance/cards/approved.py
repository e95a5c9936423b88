"""A decision that was verified: there is none without its signature."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, SignatureMismatchError, VerificationError, shown
from modelsec.provenance.cards.approval_envelope import (
    PAYLOAD_TYPE,
    Approval,
    Statement,
    read_statement,
)
from modelsec.signing.bundles.bundle import pae
from modelsec.signing.moments import utc

if TYPE_CHECKING:
    from modelsec.signing.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Approved:
    """A decision whose signature fits a key; making one verifies it.

    Whether that key may decide is what ``verify_approval`` says, which makes these.

    Attributes:
        approval: the decision as it was signed.
        public: the key that its signature was verified with.
        verified_at: the reference time of the verification (aware, UTC).
        label: what the verifier calls the key; "" if nothing.
        statement: what was signed.

    Raises:
        ConfigurationError: a part is of the wrong type.
        SignatureMismatchError: the signature does not fit the key.
        BundleFormatError: what was signed is no decision.
        VerificationError: it was signed with another key than it names.
    """

    approval: Approval
    public: "PublicKey"
    verified_at: datetime
    label: str = ""
    statement: Statement = field(init=False)

    def __post_init__(self) -> None:
        from modelsec.signing.keys import PublicKey  # noqa: PLC0415 - the extra that verifies

        if not isinstance(self.approval, Approval) or not isinstance(self.public, PublicKey):
            raise ConfigurationError(
                "a verified decision is made of an Approval and a PublicKey, not of "
                f"{shown(self.approval)}"
            )
        object.__setattr__(self, "verified_at", utc(self.verified_at, "the reference time"))
        message = pae(self.approval.payload, PAYLOAD_TYPE)
        if not self.public.verify(message, self.approval.signature):
            raise SignatureMismatchError(
                "the signature of the approval does not fit: it is forged, damaged, or for another "
                "use"
            )
        statement = read_statement(self.approval.payload)
        if statement.key_id != self.public.key_id:
            raise VerificationError("the approval was signed with another key than it names")
        object.__setattr__(self, "statement", statement)

    @property
    def key_id(self) -> str:
        """Id of the key that verified it."""
        return self.public.key_id

    @property
    def approves(self) -> bool:
        """The decision was yes."""
        return self.statement.decision == "approve"
