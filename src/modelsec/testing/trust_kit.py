"""A contract suite for trusts: whoever writes one runs :func:`check_trust` on it."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from modelsec.errors import VerificationError
from modelsec.signing.bundles.bundle import Bundle, pae, parse_bundle, write_bundle
from modelsec.signing.keys.private_key import PrivateKey
from modelsec.signing.parties import trusted_parties, unchecked_by
from modelsec.signing.trust import Method, Signatory, Trust

_MAX_TEXT = 4_096


@dataclass(frozen=True, slots=True)
class _Case:
    """A trust, a bundle that it accepts, and when."""

    trust: Trust
    raw: bytes
    now: datetime

    def ask(self, bundle: Bundle) -> object:
        return self.trust.authenticate(bundle, now=self.now, legacy=False, identity=True)


def check_trust(trust: Trust, good_bundle: bytes, *, now: datetime) -> None:
    """Hold a trust to the contract of :class:`~modelsec.signing.Trust`.

    Call it from an ordinary test function. It forges some thirty bundles out of the good one:
    with other payloads, other signatures, and other signers who vouch for themselves.

    Args:
        trust: what decides.
        good_bundle: the bytes of a bundle that it accepts.
        now: a time (aware) at which it does.

    Raises:
        AssertionError: the message names the clause that the trust breaks, and how.
    """
    case = _Case(trust, good_bundle, now)
    for clause in _CLAUSES:
        fact = f"the trust breaks the contract: {' '.join((clause.__doc__ or '').split())}"
        try:
            clause(case)
        except AssertionError as broken:
            raise AssertionError(f"{fact} But: {broken}") from None
        except Exception as error:
            raise AssertionError(f"{fact} But it raised {type(error).__name__}: {error}") from error


def _it_has_the_shape(case: _Case) -> None:
    """A trust has authenticate(bundle, *, now, legacy, identity); unchecked, if there, is a tuple.

    Of sentences, which the receipt tells.
    """
    trusted_parties(case.trust)
    sentences = unchecked_by(case.trust)
    _hold(all(sentences), "a sentence of unchecked is empty")


def _it_names_the_signer(case: _Case) -> None:
    """Of a good bundle it returns the Signatory, the same each time: method, key id, algorithm."""
    bundle = parse_bundle(case.raw)
    found = case.ask(bundle)
    if not isinstance(found, Signatory):
        raise AssertionError(f"it returned a {type(found).__name__}")  # noqa: TRY004 - a kit
    _hold(case.ask(bundle) == found, "it returned another one the second time")
    _hold(found.method in get_args(Method), f"the method is {found.method!r}")
    for what, text in (
        *(("key_id", found.key_id), ("algorithm", found.algorithm)),
        *(("identity", found.identity), ("issuer", found.issuer)),
    ):
        if text is None and what in {"identity", "issuer"}:
            continue
        _hold(isinstance(text, str) and 0 < len(text) <= _MAX_TEXT, f"{what} is {text!r}")
    _hold(not found.compatibility, "it tried the encoding of OMS 0.2.0 without being asked")


def _it_refuses_other_payloads(case: _Case) -> None:
    """A payload that was changed, cut or extended is a VerificationError."""
    payload = parse_bundle(case.raw).payload
    for how, changed in _changes(payload):
        _refused(case, _edited(case.raw, payload=changed), f"a payload {how}")


def _it_refuses_other_signatures(case: _Case) -> None:
    """A signature that was changed, cut, or made by somebody else is a VerificationError."""
    bundle = parse_bundle(case.raw)
    for how, changed in _changes(bundle.signature):
        _refused(case, _edited(case.raw, signature=changed), f"a signature {how}")
    for kind in ("ecdsa-p256", "ed25519"):
        other = PrivateKey.generate(kind).sign(pae(bundle.payload))
        _refused(case, _edited(case.raw, signature=other), f"a signature by another key ({kind})")


def _it_refuses_other_signers(case: _Case) -> None:
    """Who signs with a key of his own is refused, whatever he writes into the bundle about it."""
    payload = parse_bundle(case.raw).payload
    known: Any = json.loads(case.raw)["verificationMaterial"]
    stranger = PrivateKey.generate()
    pem = base64.b64encode(stranger.public.pem).decode()
    signature = stranger.sign(pae(payload))
    for what, material in (
        ("his own key id", stranger.material()),
        ("no key id", {"publicKey": {}, "tlogEntries": []}),
        ("his public key", {"publicKey": {"rawBytes": pem}, "tlogEntries": []}),
        ("what the good signer writes", known),
    ):
        _refused(case, write_bundle(payload, signature, material), f"a stranger with {what}")


def _changes(data: bytes) -> Iterator[tuple[str, bytes]]:
    for at in sorted({len(data) * part // 6 for part in range(6)} | {len(data) - 1}):
        flipped = bytes((data[at] ^ 1,))
        yield f"with another byte {at}", data[:at] + flipped + data[at + 1 :]
    if len(data) > 1:
        yield "that was cut off", data[:-1]
    yield "with a byte too many", data + b"\x00"
    yield "of zeros", bytes(len(data))


def _edited(raw: bytes, *, payload: bytes | None = None, signature: bytes | None = None) -> bytes:
    document: Any = json.loads(raw)
    envelope = document["dsseEnvelope"]
    if payload is not None:
        envelope["payload"] = base64.b64encode(payload).decode()
    if signature is not None:
        envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(document).encode()


def _refused(case: _Case, raw: bytes, what: str) -> None:
    bundle = parse_bundle(raw)
    try:
        case.ask(bundle)
    except VerificationError:
        return
    except Exception as error:
        raise AssertionError(f"{what} gave {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what} was accepted")


def _hold(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert takes it
    if not fact:
        raise AssertionError(otherwise)


_CLAUSES: tuple[Callable[[_Case], None], ...] = (
    _it_has_the_shape,
    _it_names_the_signer,
    _it_refuses_other_payloads,
    _it_refuses_other_signatures,
    _it_refuses_other_signers,
)
