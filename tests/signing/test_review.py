"""Attacks on the whole of signing, from outside: what a hostile reader of the code tried."""

import base64
import errno
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    DigestMismatchError,
    ModelSecError,
    StaleModelError,
    UnsafeTreeError,
    VerificationError,
)
from modelsec.signing import (
    OMS,
    DigestCache,
    ModelSigner,
    PrivateKey,
    Release,
    Signed,
    TrustedKey,
    TrustedKeys,
    TrustStore,
    Verifier,
    sign,
)
from modelsec.signing.bundles.bundle import pae, write_bundle
from modelsec.signing.x509.certificates import CertifiedKey, TrustedRoots
from tests.support.certificates import authority, issue

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
"""Aware, and not to be told in UTC."""

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_bytes(b"{}")
    (path / "weights.bin").write_bytes(b"w" * 5000)
    return path


def verifier(*keys: PrivateKey, **options: Any) -> Verifier:
    options.setdefault("clock", lambda: NOW)
    return Verifier(TrustedKeys([key.public for key in keys or (KEY,)]), **options)


def resigned(signed: Signed, edit: Callable[[dict[str, Any]], None], path: Path) -> Path:
    """Write a bundle whose statement is another one, with a right signature."""
    envelope = json.loads(signed.bundle.read_bytes())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    edit(statement)
    payload = json.dumps(statement).encode()
    path.write_bytes(write_bundle(payload, KEY.sign(pae(payload)), KEY.material()))
    return path


# --- What passes, and must not ---------------------------------------------------------------


def test_one_identity_with_two_certificates_is_one_signer(model: Path, tmp_path: Path) -> None:
    """Whoever can get one certificate can get two: they do not make a quorum."""
    root = authority("CN=root")
    bundles = []
    for number in range(2):
        leaf = issue("CN=alice", root)
        signer = CertifiedKey(leaf.private, leaf.pem)
        bundles.append(sign(model, signer, signature=tmp_path / f"{number}.sig").bundle)
    trust = TrustedRoots(root.pem, identity=["CN=alice", "CN=bob"])
    with pytest.raises(VerificationError):
        Verifier(trust, threshold=2, clock=lambda: NOW).verify(model, bundles)


def test_a_name_that_was_not_signed_is_told(model: Path, tmp_path: Path) -> None:
    """A bundle that calls the model "." fits it under every name; the receipt has to say so."""

    def unnamed(statement: dict[str, Any]) -> None:
        statement["predicate"]["resources"][0]["name"] = "."

    signed = sign(model / "weights.bin", KEY, signature=tmp_path / "a.sig")
    bundle = resigned(signed, unnamed, tmp_path / "b.sig")
    script = (model / "weights.bin").rename(tmp_path / "setup.py")
    named = verifier(name=None, version=None).verify(script, bundle)
    assert any("file" in gap and "name" in gap for gap in named.unchecked)


def test_a_bundle_that_was_refused_is_an_unsigned_file(model: Path, tmp_path: Path) -> None:
    """Strictly, nothing exists in a model but signed files and the signatures that count."""
    good = sign(model, KEY, signature=tmp_path / "good.sig").bundle
    planted = model / "planted.sig"
    planted.write_bytes(b"import os")
    with pytest.raises(DigestMismatchError):
        verifier().verify(model, [good, planted])


def test_links_are_followed_only_if_every_signer_said_so(model: Path, tmp_path: Path) -> None:
    """As with paths that are left out: the strictest of several signers counts."""
    first = sign(model, KEY, signature=tmp_path / "a.sig", profile=OMS)
    second = sign(model, OTHER, signature=tmp_path / "b.sig", profile=OMS)

    def links(statement: dict[str, Any]) -> None:
        statement["predicate"]["serialization"]["allow_symlinks"] = True

    loose = resigned(first, links, tmp_path / "c.sig")
    both = verifier(KEY, OTHER, threshold=2, profile=OMS)
    assert not both.authenticate(model, [loose, second.bundle]).manifest.layout.allow_symlinks


@pytest.mark.parametrize("where", ["loop/store.json", "s" * 300])
def test_a_store_that_cannot_be_reached_is_not_an_empty_one(tmp_path: Path, where: str) -> None:
    """Otherwise whoever breaks the path rolls models back (at least until the first bytes)."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError):
        TrustStore(tmp_path / where).admit("model", 1, "ab" * 32)


@pytest.mark.parametrize(
    ("name", "serial"), [("m", 10**30), ("m", "5"), ("\ud800", 5), ("m", -1), ("m", 1.5)]
)
def test_a_store_never_writes_what_it_cannot_read(tmp_path: Path, name: Any, serial: Any) -> None:
    """One bad call must not leave a store that refuses every model from then on."""
    store = TrustStore(tmp_path / "store.json")
    with pytest.raises(ConfigurationError):
        store.remember(name, serial, "ab" * 32)
    store.admit("other", 1, "cd" * 32)


# --- Foreign exceptions ----------------------------------------------------------------------


def test_the_end_of_the_calendar_is_no_foreign_error(model: Path) -> None:
    """A verification in the last hours of year 9999 is refused, or has a receipt."""
    sign(model, KEY)
    try:
        receipt = verifier(clock=lambda: LATEST).verify(model)
    except ModelSecError:
        return
    assert receipt.to_dict()["verified_at"]


def test_a_key_may_be_trusted_from_the_end_of_the_calendar(model: Path) -> None:
    """The refusal of a key tells its time, whatever time that is."""
    sign(model, KEY)
    try:
        trust = TrustedKeys([TrustedKey(KEY.public, not_before=LATEST)])
        Verifier(trust, clock=lambda: NOW).verify(model)
    except ModelSecError:
        return
    pytest.fail("a key that is not trusted yet was trusted")


@pytest.mark.parametrize("now", [datetime(2026, 1, 1), "2026-01-01", LATEST])  # noqa: DTZ001
def test_a_shared_secret_receipt_needs_a_real_time(model: Path, now: Any) -> None:
    """A time without a zone, or no time at all, is the caller's mistake."""
    signer = ModelSigner(b"k" * 32)
    with pytest.raises(ConfigurationError):
        signer.verify(model, signer.sign_model(model), now=now)


def test_a_cache_with_a_late_clock_is_no_foreign_error(model: Path, tmp_path: Path) -> None:
    """A clock behind the year 2262 is refused, or nothing is remembered."""
    cache = DigestCache(tmp_path / "cache", clock=lambda: datetime(9999, 1, 1, tzinfo=UTC))
    sign(model, KEY)
    try:
        verifier().verify(model, cache=cache)
    except ConfigurationError:
        return


def test_a_path_is_no_cache(model: Path, tmp_path: Path) -> None:
    """The natural mistake is told as one."""
    sign(model, KEY)
    with pytest.raises(ConfigurationError):
        verifier().verify(model, cache=str(tmp_path / "cache"))  # type: ignore[arg-type]


@pytest.mark.parametrize("trust", [TrustedKeys, TrustedRoots, verifier()])
def test_a_class_or_a_verifier_is_no_trust(model: Path, trust: Any) -> None:
    """The natural mistakes are told as such, not as a TypeError of the call."""
    sign(model, KEY)
    with pytest.raises(ConfigurationError):
        Verifier(trust, clock=lambda: NOW).verify(model)


def test_a_signature_needs_the_name_of_a_file(model: Path) -> None:
    """A folder is no place for a signature, and is told as such."""
    with pytest.raises(ConfigurationError):
        sign(model, KEY, signature="/")


def test_a_small_file_takes_one_descriptor(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second descriptor of a bundle or a store can be the one too many."""
    sign(model, KEY, release=Release("m", serial=1))
    store = TrustStore(tmp_path / "store.json")
    store.remember("m", 1, "ab" * 32)

    def exhausted(_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "dup", exhausted)
    assert verifier().verify(model).files
    store.admit("m", 1, "ab" * 32)


# --- What is refused, and stays so -----------------------------------------------------------


def test_refusals_leave_no_descriptor_thread_or_file(model: Path, tmp_path: Path) -> None:
    """Whatever was refused, nothing is left open, running or lying about."""
    signed = sign(model, KEY, shard_size=1000)
    others = sign(model, OTHER, signature=tmp_path / "other.sig")
    (tmp_path / "junk.sig").write_bytes(b"{")

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    before = sorted(os.listdir(tmp_path))  # noqa: PTH208 - names
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    for _ in range(3):
        for bundle in (others.bundle, tmp_path / "junk.sig", tmp_path / "none"):
            with pytest.raises(ModelSecError):
                verifier().verify(model, bundle)
        with pytest.raises(KeyboardInterrupt):
            verifier().verify(model, signed.bundle, on_progress=stop, workers=4)
        (model / "link").symlink_to("config.json")
        with pytest.raises(UnsafeTreeError):
            verifier().verify(model)
        (model / "link").unlink()
        with pytest.raises(KeyboardInterrupt):
            sign(model, KEY, signature=tmp_path / "new.sig", on_progress=stop)
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "content",
    [b'{"a":' + b"[" * 100_000, b'"' * 10_000_000, b"[" * 2_000_001, b"\\ud800" * 100, b"\x00"],
)
def test_a_costly_bundle_is_refused_soon(model: Path, tmp_path: Path, content: bytes) -> None:
    """Nesting, quotes, separators and halves of characters end before the parser."""
    (tmp_path / "bad.sig").write_bytes(content)
    with pytest.raises(BundleFormatError):
        verifier().verify(model, tmp_path / "bad.sig")


def test_a_sparse_bundle_of_a_terabyte_is_refused(model: Path, tmp_path: Path) -> None:
    """No more than the limit is read, whatever the size."""
    with (tmp_path / "huge.sig").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BundleFormatError):
        verifier().verify(model, tmp_path / "huge.sig")


@pytest.mark.parametrize("only", [5, [["a"]], [1, "a"], b"ab", [], (), ""])
def test_only_takes_names_in_a_list(model: Path, only: Any) -> None:
    """Wrong types are the caller's mistake; nothing named never means nothing to check."""
    sign(model, KEY)
    with pytest.raises(ConfigurationError):
        verifier().verify(model, only=only)


def test_a_generator_does_not_become_an_empty_choice(model: Path) -> None:
    """What is used up by the first look must not leave nothing to verify."""
    sign(model, KEY)
    with pytest.raises(ModelSecError):
        verifier().verify(model, only=(name for name in ["config.json"]))  # type: ignore[arg-type]


def test_a_text_is_no_list_of_paths_to_ignore(model: Path) -> None:
    """``ignore="ab"`` must not leave out the files ``a`` and ``b``."""
    sign(model, KEY)
    (model / "z").write_bytes(b"import os")
    with pytest.raises(ModelSecError):
        verifier(profile=OMS).verify(model, ignore="zq")


def test_an_ignored_path_cannot_hide_a_signed_file(model: Path) -> None:
    """A caller who leaves out what was signed is told that it is missing."""
    sign(model, KEY)
    with pytest.raises(DigestMismatchError) as caught:
        verifier(profile=OMS).verify(model, ignore=["weights.bin"])
    assert caught.value.missing == ("weights.bin",)


def test_an_unsigned_empty_file_does_not_disable_the_second_look(model: Path) -> None:
    """OMS lets an empty file pass beside shards; others must not be added meanwhile."""
    sign(model, KEY, shard_size=1024, profile=OMS)
    (model / "__init__.py").touch()

    def plant(*_: int) -> None:
        (model / "evil.py").write_text("import os", "utf-8")

    with pytest.raises(DigestMismatchError):
        verifier(profile=OMS).verify(model, on_progress=plant)


def test_a_shard_that_cannot_fit_is_not_hashed(model: Path) -> None:
    """The sizes of shards are signed: a file of petabytes is refused before it is read."""
    sign(model, KEY, shard_size=1 << 40)
    with (model / "weights.bin").open("ab") as file:
        file.truncate(1 << 42)
    told: list[int] = []
    with pytest.raises(DigestMismatchError):
        verifier().verify(model, on_progress=lambda *done: told.extend(done))
    assert not told


def test_a_legacy_signature_does_not_carry_a_new_statement(model: Path) -> None:
    """Text encoding and SHA-256 count for statements of OMS 0.2.0 only."""
    signed = sign(model, KEY)
    envelope = json.loads(signed.bundle.read_bytes())["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    kind = "application/vnd.in-toto+json"
    text = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    signed.bundle.write_bytes(write_bundle(payload, KEY.sign(text), KEY.material()))
    for profile in (OMS, replace(OMS, legacy=True)):
        with pytest.raises(VerificationError):
            verifier(profile=profile).verify(model)


def test_the_highest_serial_is_the_last(model: Path, tmp_path: Path) -> None:
    """2^63 - 1 is remembered and compared; one more cannot be signed."""
    store = TrustStore(tmp_path / "store.json")
    sign(model, KEY, release=Release("m", serial=2**63 - 1))
    verifier(releases=store).verify(model)
    sign(model, KEY, release=Release("m", serial=2**63 - 2))
    with pytest.raises(StaleModelError):
        verifier(releases=store).verify(model)
    with pytest.raises(ConfigurationError):
        sign(model, KEY, release=Release("m", serial=2**63))


def test_two_bundles_of_one_key_are_one_signer(model: Path, tmp_path: Path) -> None:
    """ECDSA makes a new signature each time: neither that nor a copy makes a quorum."""
    bundles = [sign(model, KEY, signature=tmp_path / f"{n}.sig").bundle for n in range(3)]
    with pytest.raises(VerificationError):
        verifier(KEY, OTHER, threshold=2).verify(model, bundles)


def test_names_of_255_bytes_and_deep_folders_are_signed(tmp_path: Path) -> None:
    """The longest component, and 40 folders of 90 bytes, round trip."""
    root = tmp_path / "m"
    deep = root.joinpath(*["d" * 90] * 30)
    deep.mkdir(parents=True)
    (deep / ("n" * 255)).write_bytes(b"1")
    (root / ("é" * 127)).write_bytes(b"2")
    sign(root, KEY)
    assert len(verifier().verify(root).files) == 2


def test_threads_that_remember_at_once_keep_the_newest(tmp_path: Path) -> None:
    """Of releases that race for a store, the highest serial stays, and the file is whole."""
    store = TrustStore(tmp_path / "store.json")

    def remember(serial: int) -> None:
        try:
            TrustStore(tmp_path / "store.json").remember("m", serial, f"{serial:064x}")
        except StaleModelError:
            return

    crew = [threading.Thread(target=remember, args=(n,)) for n in range(1, 17)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    store.admit("m", 16, f"{16:064x}")
    with pytest.raises(StaleModelError):
        store.admit("m", 15, f"{15:064x}")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".lock"]
