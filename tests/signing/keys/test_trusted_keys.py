from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import (
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
)
from modelsec.signing.bundles.bundle import (
    Bundle,
    ChainMaterial,
    KeylessMaterial,
    KeyMaterial,
    pae,
    parse_bundle,
    write_bundle,
)
from modelsec.signing.keys import PrivateKey, TrustedKey, TrustedKeys
from modelsec.signing.trust import Signatory, Trust

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW, FOREIGN = (PrivateKey.generate() for _ in range(3))
PAYLOAD = b"{}"


def signed(key: PrivateKey, **material: Any) -> Bundle:
    """Sign with a key; the bundle names it, or what is given instead."""
    raw = write_bundle(PAYLOAD, key.sign(pae(PAYLOAD)), key.material())
    named = KeyMaterial(**material) if material else KeyMaterial(hint=key.key_id)
    return replace(parse_bundle(raw), material=named)


def who(bundle: Bundle, *keys: Any, now: datetime = NOW) -> Signatory:
    return TrustedKeys(keys).authenticate(bundle, now=now)


def test_a_set_of_keys() -> None:
    """Each key of the set is trusted; the receipt says which one it was."""
    trust = TrustedKeys([OLD.public, NEW.public])
    assert isinstance(trust, Trust)
    for key in (OLD, NEW):
        signatory = trust.authenticate(signed(key), now=NOW)
        assert signatory == Signatory("key", key.key_id, "ecdsa-p256-sha256")
    with pytest.raises(UntrustedSignerError, match="not among the 2 trusted"):
        trust.authenticate(signed(FOREIGN), now=NOW)


def test_all_ways_to_give_a_key(tmp_path: Path) -> None:
    """Objects, PEM, paths and keys with times."""
    OLD.public.save(tmp_path / "old.pem")
    path = tmp_path / "old.pem"
    for key in (OLD.public, OLD.public.pem, path, str(path), TrustedKey(OLD.public)):
        assert who(signed(OLD), key, NEW.public).key_id == OLD.key_id


def test_a_hint_selects_and_never_grants() -> None:
    """A hint of a trusted key over a foreign signature, and the other way round, are refused."""
    with pytest.raises(SignatureMismatchError):
        who(signed(FOREIGN, hint=OLD.key_id), OLD.public)
    with pytest.raises(SignatureMismatchError):
        who(signed(NEW, hint=OLD.key_id), OLD.public, NEW.public)
    with pytest.raises(UntrustedSignerError):
        who(signed(OLD, hint=FOREIGN.key_id), OLD.public)
    with pytest.raises(UntrustedSignerError):
        who(signed(OLD, hint=OLD.key_id.upper()), OLD.public)


def test_without_a_hint_every_key_is_tried() -> None:
    """As bundles before OMS 1.1.0 may be."""
    assert who(signed(NEW, hint=None), OLD.public, NEW.public).key_id == NEW.key_id
    with pytest.raises(SignatureMismatchError):
        who(signed(FOREIGN, hint=None), OLD.public, NEW.public)


def test_a_key_in_the_bundle_is_never_used() -> None:
    """It has to be one of the trusted ones, in either form; with a hint, the same."""
    for raw in (OLD.public.pem, OLD.public.pem.strip(), OLD.public.der):
        assert who(signed(OLD, raw_bytes=raw), OLD.public, NEW.public).key_id == OLD.key_id
    with pytest.raises(UntrustedSignerError):
        who(signed(FOREIGN, raw_bytes=FOREIGN.public.pem), OLD.public)
    with pytest.raises(UntrustedSignerError):
        who(signed(OLD, raw_bytes=b"garbage"), OLD.public)
    with pytest.raises(UntrustedSignerError):
        who(signed(OLD, raw_bytes=NEW.public.pem, hint=OLD.key_id), OLD.public, NEW.public)
    with pytest.raises(SignatureMismatchError):
        who(signed(OLD, raw_bytes=NEW.public.pem), OLD.public, NEW.public)


def test_times() -> None:
    """A key is trusted from its first moment to its last, both included."""
    key = TrustedKey(OLD.public, not_before=NOW - DAY, not_after=NOW + DAY, label="2026")
    for moment in (NOW - DAY, NOW, NOW + DAY):
        assert who(signed(OLD), key, now=moment).key_id == OLD.key_id
    with pytest.raises(UntrustedSignerError, match=r"'2026'\) is trusted from 2026-05-31"):
        who(signed(OLD), key, now=NOW - DAY - timedelta(seconds=1))
    with pytest.raises(UntrustedSignerError, match="was trusted until 2026-06-02"):
        who(signed(OLD), key, now=NOW + DAY + timedelta(seconds=1))


def test_revocation() -> None:
    """A revoked key stays in the set, so that its refusal says why."""
    revoked = TrustedKey(OLD.public, revoked=True)
    with pytest.raises(UntrustedSignerError, match="was revoked"):
        who(signed(OLD), revoked, NEW.public)
    with pytest.raises(UntrustedSignerError, match="was revoked"):
        who(signed(OLD, hint=None), revoked, NEW.public)


def test_doubles() -> None:
    """The same entry twice is one; two entries for one key contradict each other."""
    assert len(TrustedKeys([OLD.public, OLD.public.pem]).keys) == 1
    with pytest.raises(ConfigurationError, match="occurs twice"):
        TrustedKeys([OLD.public, TrustedKey(OLD.public, revoked=True)])


@pytest.mark.parametrize(
    ("material", "other"),
    [(ChainMaterial((b"c",)), "TrustedRoots"), (KeylessMaterial(b"c"), "TrustedIdentity")],
)
def test_other_methods(material: Any, other: str) -> None:
    """A bundle with a certificate needs another trust, which is named."""
    bundle = replace(signed(OLD), material=material)
    with pytest.raises(UnsupportedBundleError, match=other):
        who(bundle, OLD.public)


def test_the_legacy_encoding() -> None:
    """It is reported, so that the caller can hold the payload to the legacy predicate."""
    text = f"DSSEV1 28 application/vnd.in-toto+json {len(PAYLOAD)} {PAYLOAD!r}".encode()
    bundle = replace(signed(OLD), signature=OLD.sign(text))
    trust = TrustedKeys([OLD.public])
    assert trust.authenticate(bundle, now=NOW, legacy=True).compatibility
    with pytest.raises(SignatureMismatchError):
        trust.authenticate(bundle, now=NOW)


@pytest.mark.parametrize(
    "keys",
    [[], (), iter([]), OLD.public.pem, "key.pem", Path("key.pem"), None, 3, OLD.public, [OLD], [3],
     [None], [b"garbage"], ["no such file"]],
    ids=range(14),
)  # fmt: skip
def test_nothing_to_trust(keys: Any) -> None:
    """An empty set, one key that is no list, private keys and garbage are refused."""
    with pytest.raises(ConfigurationError):
        TrustedKeys(keys)


@pytest.mark.parametrize(
    "options",
    [
        {"not_before": NOW + DAY, "not_after": NOW},
        {"not_before": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"not_after": "2026-01-01"},
        {"label": 3},
        {"revoked": "no"},
        {"public": OLD},
    ],
    ids=range(6),
)
def test_bad_entries(options: dict[str, Any]) -> None:
    """Times without zone, in the wrong order, and other types."""
    with pytest.raises(ConfigurationError):
        TrustedKey(**{"public": OLD.public, **options})


@pytest.mark.parametrize("now", [None, datetime(2026, 1, 1), 0], ids=range(3))  # noqa: DTZ001
def test_the_time_is_needed(now: Any) -> None:
    """No clock is read: the caller says when it is."""
    with pytest.raises(ConfigurationError):
        who(signed(OLD), OLD.public, now=now)


def test_only_parsed_bundles() -> None:
    """Bytes are not guessed at."""
    with pytest.raises(ConfigurationError, match="parsed Bundle"):
        who(b"{}", OLD.public)  # type: ignore[arg-type]


def test_repr_is_short() -> None:
    """It shows ids and labels."""
    trust = TrustedKeys([TrustedKey(OLD.public, label="2025"), NEW.public])
    assert repr(trust) == f"TrustedKeys([key {OLD.key_id[:16]} ('2025'), key {NEW.key_id[:16]}])"


def test_a_signer_in_a_key_service() -> None:
    """Four members are all that signing needs: no class of ours is involved."""

    class Service:
        key_id = OLD.key_id
        predicate_type = OLD.predicate_type

        def material(self) -> dict[str, object]:
            return {"publicKey": {"hint": self.key_id}}

        def sign(self, message: bytes) -> bytes:
            return OLD.sign(message)

    signer = Service()
    raw = write_bundle(PAYLOAD, signer.sign(pae(PAYLOAD)), signer.material())
    assert who(parse_bundle(raw), OLD.public).key_id == OLD.key_id
