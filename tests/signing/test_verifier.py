import json
import os
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    DigestMismatchError,
    ModelSecError,
    SignatureMismatchError,
    StaleModelError,
    UnsafeTreeError,
    UntrustedSignerError,
)
from modelsec.signing import (
    OMS,
    STRICT,
    Authenticator,
    PrivateKey,
    Release,
    Signatory,
    TrustedKey,
    TrustedKeys,
    TrustStore,
    Verifier,
    sign,
)
from modelsec.signing.bundles.bundle import Bundle, pae, write_bundle

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "sub").mkdir(parents=True)
    (path / "config.json").write_text("{}", "utf-8")
    (path / "sub" / "weights.bin").write_bytes(b"w" * 5000)
    (path / "empty").write_bytes(b"")
    return path


def verifier(*keys: PrivateKey, **options: object) -> Verifier:
    trusted = TrustedKeys([key.public for key in keys or (KEY,)])
    options.setdefault("clock", lambda: NOW)
    return Verifier(trusted, **options)  # type: ignore[arg-type]


def test_a_model_round_trips(model: Path) -> None:
    """The receipt names what was verified, by whom, and what was not asked for."""
    signed = sign(model, KEY)
    receipt = verifier().verify(model)
    assert receipt.files == ("config.json", "empty", "sub/weights.bin")
    assert receipt.key_id == KEY.key_id
    assert receipt.tree_digest == signed.manifest.tree_digest
    assert receipt.verified_at == NOW
    assert not receipt.partial
    assert len(receipt.unchecked) == 2
    assert json.loads(json.dumps(receipt.to_dict()))["verified"] is True


def test_a_single_file_round_trips(model: Path) -> None:
    """A file is signed by its own name, and may be found under that name only."""
    weights = model / "sub" / "weights.bin"
    signed = sign(weights, KEY)
    assert signed.bundle == weights.with_name("weights.bin.sig")
    assert verifier().verify(weights).files == ("weights.bin",)
    renamed = weights.rename(weights.with_name("other.bin"))
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(renamed, signed.bundle)
    assert (caught.value.added, caught.value.missing) == (("other.bin",), ("weights.bin",))


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shard_size", [None, 1024, 5000, 10**12])
def test_every_layout_round_trips(algorithm: str, shard_size: int | None, model: Path) -> None:
    """Whole files and shards, with every algorithm; a flipped bit is found in each."""
    sign(model, KEY, algorithm=algorithm, shard_size=shard_size)  # type: ignore[arg-type]
    assert verifier().verify(model).algorithm == algorithm
    (model / "sub" / "weights.bin").write_bytes(b"w" * 4999 + b"W")
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(model)
    assert caught.value.changed == ("sub/weights.bin",)


def test_a_bundle_inside_the_model_does_not_sign_itself(model: Path) -> None:
    """Beside the model or inside it: the bundle is no part of the model."""
    sign(model, KEY, signature=model / "model.sig")
    assert verifier().verify(model, model / "model.sig").ignored == ()


def test_a_bundle_inside_the_model_needs_a_plain_name(model: Path) -> None:
    """It is recorded as a path that is left out, and those must not hold globs."""
    with pytest.raises(ConfigurationError, match="beside the model"):
        sign(model, KEY, signature=model / "model*.sig")
    assert not (model / "model*.sig").exists()


def test_added_missing_and_changed_files_are_named(model: Path) -> None:
    """The error's fields say which."""
    sign(model, KEY)
    (model / "new.py").write_text("", "utf-8")
    (model / "empty").unlink()
    with pytest.raises(DigestMismatchError, match=r"not signed.*missing") as caught:
        verifier().verify(model)
    assert caught.value.added == ("new.py",)
    assert caught.value.missing == ("empty",)


def test_empty_files_are_signed_in_shards(model: Path) -> None:
    """OMS leaves them out there; ours are in the signed annotation."""
    sign(model, KEY, shard_size=1024)
    (model / "__init__.py").write_bytes(b"")
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(model)
    assert caught.value.added == ("__init__.py",)
    (model / "__init__.py").unlink()
    (model / "empty").unlink()
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(model)
    assert caught.value.missing == ("empty",)


def test_unsigned_files_can_be_permitted_and_are_named(model: Path) -> None:
    """What is signed still has to be right."""
    sign(model, KEY)
    (model / "notes.txt").write_text("mine", "utf-8")
    receipt = verifier().verify(model, ignore_unsigned=True)
    assert receipt.unsigned == ("notes.txt",)
    assert "notes.txt" not in receipt.files
    (model / "config.json").write_text("[]", "utf-8")
    with pytest.raises(DigestMismatchError):
        verifier().verify(model, ignore_unsigned=True)


def test_single_files_can_be_verified(model: Path) -> None:
    """The receipt is partial and says so; a change elsewhere is not its business."""
    sign(model, KEY)
    (model / "config.json").write_text("[]", "utf-8")
    receipt = verifier().verify(model, only=["sub/weights.bin"])
    assert receipt.files == ("sub/weights.bin",)
    assert receipt.partial
    assert any("only the named files" in gap for gap in receipt.unchecked)
    with pytest.raises(DigestMismatchError):
        verifier().verify(model, only=["config.json"])


@pytest.mark.parametrize("only", [[], "config.json", (), 5, [["x"]], [1, "a"], b"x"])
def test_only_needs_names(only: object, model: Path) -> None:
    """An empty list must not verify nothing, a text is no list of letters."""
    sign(model, KEY)
    with pytest.raises(ConfigurationError, match="at least one file"):
        verifier().verify(model, only=only)  # type: ignore[arg-type]


def test_a_file_that_nobody_signed_cannot_be_verified(model: Path) -> None:
    """Asking for it is refused, whether it exists or not."""
    sign(model, KEY)
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(model, only=["nothing.bin"])
    assert caught.value.added == ("nothing.bin",)


def test_strict_leaves_nothing_out(model: Path) -> None:
    """An existing ``.git`` is refused by the strict profile, and left out by that of OMS."""
    sign(model, KEY)
    (model / ".git").mkdir()
    (model / ".git" / "hook").write_text("", "utf-8")
    with pytest.raises(UnsafeTreeError, match=r"\.git"):
        verifier().verify(model)
    assert verifier(profile=OMS).verify(model).ignored == (".git",)
    with pytest.raises(ConfigurationError, match="leaves nothing out"):
        verifier().verify(model, ignore=["notes.txt"])


def test_paths_can_be_left_out_with_the_profile_of_oms(model: Path) -> None:
    """They are in the bundle, and in the receipt if they exist."""
    (model / "cache").mkdir()
    (model / "cache" / "x").write_bytes(b"1")
    sign(model, KEY, ignore=["cache"], profile=OMS)
    (model / "cache" / "x").write_bytes(b"2")
    assert verifier(profile=OMS).verify(model).ignored == ("cache",)
    with pytest.raises(UnsafeTreeError, match="cache"):
        verifier().verify(model)


def test_another_key_is_not_trusted(model: Path) -> None:
    """A right signature by a stranger is refused."""
    sign(model, OTHER)
    with pytest.raises(UntrustedSignerError):
        verifier().verify(model)
    assert verifier(KEY, OTHER).verify(model).key_id == OTHER.key_id


def test_ed25519_has_its_own_predicate(model: Path) -> None:
    """It is outside the registry of OMS: another type, and the same guarantees."""
    key = PrivateKey.generate("ed25519")
    sign(model, key)
    assert verifier(key).verify(model).signatories[0].algorithm == "ed25519"
    assert b"model-signature" in _payload(model.with_name("model.sig"))


def test_several_trusts_are_alternatives(model: Path) -> None:
    """One of them has to agree."""
    sign(model, OTHER)
    both = [TrustedKeys([KEY.public]), TrustedKeys([OTHER.public])]
    assert Verifier(both).verify(model).key_id == OTHER.key_id


def test_a_trust_of_ones_own_is_ten_lines(model: Path) -> None:
    """The protocol is all that is needed."""

    class Everybody:
        def authenticate(
            self, bundle: Bundle, *, now: datetime, legacy: bool = False, identity: bool = True
        ) -> Signatory:
            del now, legacy, identity
            if not KEY.public.verify(pae(bundle.payload), bundle.signature):
                raise SignatureMismatchError("no")
            return Signatory("key", "mine", "mine")

    sign(model, KEY)
    assert Verifier(Everybody()).verify(model).key_id == "mine"


@pytest.mark.parametrize("trust", [(), [], None, "key.pem", [None], [b"x"]])
def test_somebody_must_be_trusted(trust: object) -> None:
    """Nobody, and what is no trust, is refused at once."""
    with pytest.raises(ConfigurationError, match="somebody to trust"):
        Verifier(trust)  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0, -1, True, 1.0, "2", None])
def test_the_threshold_is_a_positive_number(threshold: object) -> None:
    """Zero signers would trust everybody."""
    with pytest.raises(ConfigurationError, match="threshold"):
        verifier(threshold=threshold)


def test_two_signers_can_be_required(model: Path) -> None:
    """Two bundles of one key are one signer; a broken one beside enough good ones is noted."""
    one = sign(model, KEY, signature=model.with_name("one.sig")).bundle
    again = sign(model, KEY, signature=model.with_name("again.sig")).bundle
    two = sign(model, OTHER, signature=model.with_name("two.sig")).bundle
    both = verifier(KEY, OTHER, threshold=2)
    assert len(both.verify(model, [one, two]).signatories) == 2
    for too_few in ([one], [one, again], [one, one]):
        with pytest.raises(UntrustedSignerError, match="2 different keys"):
            both.verify(model, too_few)
    broken = model.with_name("broken.sig")
    broken.write_bytes(b"{}")
    with pytest.raises(BundleFormatError):
        both.verify(model, [one, broken])
    receipt = both.verify(model, [one, two, broken])
    assert any("broken.sig" in gap for gap in receipt.unchecked)


def test_signers_have_to_agree(model: Path) -> None:
    """Two right signatures for different models are none for either."""
    one = sign(model, KEY, signature=model.with_name("one.sig")).bundle
    (model / "config.json").write_text("[]", "utf-8")
    two = sign(model, OTHER, signature=model.with_name("two.sig")).bundle
    for order in ([one, two], [two, one]):
        with pytest.raises(SignatureMismatchError, match="not for the same model"):
            verifier(KEY, OTHER).verify(model, order)


def test_what_one_signer_leaves_out_the_other_can_require(model: Path) -> None:
    """A path is left out only if every signer left it out."""
    one = sign(model, KEY, signature=model.with_name("one.sig"), ignore=["later"]).bundle
    two = sign(model, OTHER, signature=model.with_name("two.sig")).bundle
    (model / "later").write_text("code", "utf-8")
    assert verifier(profile=OMS).verify(model, one).ignored == ("later",)
    with pytest.raises(DigestMismatchError):
        verifier(KEY, OTHER, profile=OMS, threshold=2).verify(model, [one, two])


@pytest.mark.parametrize("signature", [[], (), 7, {}])
def test_signatures_are_paths(signature: object, model: Path) -> None:
    """Anything else is the caller's fault."""
    with pytest.raises(ConfigurationError):
        verifier().verify(model, signature)  # type: ignore[arg-type]


def test_the_release_is_what_is_meant(model: Path) -> None:
    """Name and version are compared with what the signer states."""
    sign(model, KEY, release=Release("churn", version="2", serial=5))
    receipt = verifier(name="churn", version="2").verify(model)
    assert receipt.release == Release("churn", version="2", serial=5)
    for wrong in ({"name": "fraud"}, {"version": "1"}, {"name": "churn", "version": "3"}):
        with pytest.raises(StaleModelError, match="was expected"):
            verifier(**wrong).verify(model)


def test_a_signature_without_a_release_proves_none(model: Path) -> None:
    """Who asks for a name, a version or the newest needs a signer that states them."""
    sign(model, KEY)
    store = TrustStore(model.with_name("releases.json"))
    for question in ({"name": "churn"}, {"version": "1"}, {"releases": store}):
        with pytest.raises(StaleModelError, match="does not say which"):
            verifier(**question).verify(model)


def test_an_expired_signature_is_refused(model: Path) -> None:
    """``not_after`` is inclusive, to the second."""
    sign(model, KEY, release=Release("churn", not_after=NOW))
    verifier().verify(model)
    with pytest.raises(StaleModelError, match="expired"):
        verifier(clock=lambda: NOW + timedelta(seconds=1)).verify(model)


def test_ignored_paths_are_a_list(model: Path) -> None:
    """A text is no list of letters."""
    sign(model, KEY)
    for wrong in ("cache", 5, [5], b"x"):
        with pytest.raises(ConfigurationError, match="list of paths"):
            verifier(profile=OMS).verify(model, ignore=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{"clock": 5}, {"clock": lambda: None}, {"name": 5}, {"version": 5}, {"releases": 5}],
    ids=["no clock", "no time", "name", "version", "releases"],
)
def test_wrong_options_are_the_callers_fault(options: dict[str, object], model: Path) -> None:
    """Each is told as a configuration error, at once or when it is needed."""
    sign(model, KEY, release=Release("churn", version="1", serial=1))
    with pytest.raises(ConfigurationError):
        verifier(**options).verify(model)
    with pytest.raises(ConfigurationError):
        verifier().verify(model, on_progress=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "\ud800", "/dev/null/x"])
def test_a_path_that_no_file_has(path: str, model: Path) -> None:
    """As model, as signature and as trust store: a configuration error."""
    sign(model, KEY)
    for act in (
        lambda: verifier().verify(path, model.with_name("model.sig")),
        lambda: verifier().verify(model, path),
        lambda: sign(model, KEY, signature=path),
        lambda: TrustStore(path).remember("churn", 1, "a"),
    ):
        with pytest.raises(ConfigurationError):
            act()


def test_a_signature_behind_links_in_a_circle(model: Path) -> None:
    """It cannot be written, and that is said."""
    model.with_name("one").symlink_to(model.with_name("two"))
    model.with_name("two").symlink_to(model.with_name("one"))
    with pytest.raises(ConfigurationError):
        sign(model, KEY, signature=model.with_name("one") / "model.sig")


def test_code_beside_empty_files_is_seen(model: Path) -> None:
    """Files without bytes are permitted in shards of others; the whole tree is looked at again."""
    (model / "big.bin").write_bytes(bytes(5_000_000))
    sign(model, KEY, shard_size=1024 * 1024)
    (model / "later").write_bytes(b"")
    assert verifier(profile=OMS).verify(model).unsigned == ("later",)

    def add(_done: int, _total: int) -> None:
        (model / "code.py").write_text("import os", "utf-8")

    with pytest.raises(DigestMismatchError) as caught:
        verifier(profile=OMS).verify(model, on_progress=add)
    assert caught.value.added == ("code.py",)


def test_a_longer_shard_is_refused_before_it_is_read(model: Path) -> None:
    """The manifest tells the size: a sparse terabyte costs nothing."""
    sign(model, KEY, shard_size=1024)
    os.truncate(model / "sub" / "weights.bin", 1 << 40)
    with pytest.raises(DigestMismatchError) as caught:
        verifier().verify(model)
    assert caught.value.changed == ("sub/weights.bin",)


def test_a_time_without_a_zone_is_no_time(model: Path) -> None:
    """It would mean another moment on another machine."""
    sign(model, KEY)
    with pytest.raises(ConfigurationError, match="with a time zone"):
        verifier(clock=lambda: datetime(2026, 1, 1)).verify(model)  # noqa: DTZ001 - the point


def test_older_releases_are_refused_once_a_newer_one_was_accepted(model: Path) -> None:
    """Also those of another key: rotating keys does not open the past."""
    store = TrustStore(model.with_name("releases.json"))
    old = sign(model, KEY, signature=model.with_name("old"), release=Release("churn", serial=6))
    new = sign(model, OTHER, signature=model.with_name("new"), release=Release("churn", serial=7))
    judge = verifier(KEY, OTHER, releases=store)
    judge.verify(model, old.bundle)
    judge.verify(model, new.bundle)
    with pytest.raises(StaleModelError, match="older"):
        judge.verify(model, old.bundle)


def test_a_refused_model_is_not_remembered(model: Path) -> None:
    """A newer signature beside broken files must not lock out the release that works."""
    store = TrustStore(model.with_name("releases.json"))
    old = sign(model, KEY, signature=model.with_name("old"), release=Release("churn", serial=6))
    new = sign(model, KEY, signature=model.with_name("new"), release=Release("churn", serial=7))
    content = (model / "config.json").read_bytes()
    (model / "config.json").write_text("[]", "utf-8")
    with pytest.raises(DigestMismatchError):
        verifier(releases=store).verify(model, new.bundle)
    with pytest.raises(DigestMismatchError):
        verifier(releases=store).verify(model, new.bundle, only=["config.json"])
    (model / "config.json").write_bytes(content)
    verifier(releases=store).verify(model, old.bundle)


def test_a_release_is_remembered_as_soon_as_part_of_it_is_in_use(model: Path) -> None:
    """Whoever verifies single files uses them; asking what a bundle claims uses nothing."""
    store = TrustStore(model.with_name("releases.json"))
    old = sign(model, KEY, signature=model.with_name("old"), release=Release("churn", serial=6))
    new = sign(model, KEY, signature=model.with_name("new"), release=Release("churn", serial=7))
    claim = verifier(releases=store).authenticate(model, new.bundle)
    verifier(releases=store).verify(model, old.bundle)
    verifier(releases=store).verify(model, new.bundle, only=["empty"])
    with pytest.raises(StaleModelError):
        verifier(releases=store).verify(model, old.bundle)
    claim.accept()


def test_a_release_without_a_serial_cannot_be_remembered(model: Path) -> None:
    """A trust store without numbers would protect nobody."""
    sign(model, KEY, release=Release("churn", version="2"))
    with pytest.raises(StaleModelError, match="no serial"):
        verifier(releases=TrustStore(model.with_name("r.json"))).verify(model)


def test_keys_have_their_time(model: Path) -> None:
    """A key that is not valid yet, or no longer, signs nothing."""
    sign(model, KEY)
    day = timedelta(days=1)
    for window in ((NOW + day, None), (None, NOW - day)):
        rotated = TrustedKeys([TrustedKey(KEY.public, not_before=window[0], not_after=window[1])])
        with pytest.raises(UntrustedSignerError):
            Verifier(rotated, clock=lambda: NOW).verify(model)


def test_a_missing_model_or_bundle_is_named(model: Path) -> None:
    """Both are files that the caller has to provide."""
    with pytest.raises(ConfigurationError, match=r"model\.sig"):
        verifier().verify(model)
    sign(model, KEY)
    with pytest.raises(ConfigurationError, match="nowhere"):
        verifier().verify(model.with_name("nowhere"), model.with_name("model.sig"))


def test_a_bundle_that_is_a_pipe_does_not_hang(model: Path) -> None:
    """Only regular files are read."""
    os.mkfifo(model.with_name("model.sig"))
    with pytest.raises(ConfigurationError, match="not a regular file"):
        verifier().verify(model)


def test_progress_is_told_and_can_cancel(model: Path) -> None:
    """The last word is that all is done; what it raises ends the verification."""
    sign(model, KEY)
    told: list[tuple[int, int]] = []
    verifier().verify(model, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (5002, 5002)

    def cancel(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verifier().verify(model, on_progress=cancel)
    with pytest.raises(KeyboardInterrupt):
        sign(model, KEY, signature=model.with_name("cancelled.sig"), on_progress=cancel)
    assert not model.with_name("cancelled.sig").exists()


def test_signing_twice_gives_the_same_manifest(model: Path) -> None:
    """The payload depends on model and release only."""
    payloads = []
    for _ in range(2):
        sign(model, KEY, release=Release("churn", serial=1))
        payloads.append(_payload(model.with_name("model.sig")))
    assert payloads[0] == payloads[1]


@pytest.mark.parametrize("wrong", [None, 7, b"model", ["model"]])
def test_a_model_is_a_path(wrong: object, model: Path) -> None:
    """Anything else is a typed error."""
    sign(model, KEY)
    for act in (
        lambda: verifier().verify(wrong),  # type: ignore[arg-type]
        lambda: sign(wrong, KEY),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigurationError):
            act()


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "md5"},
        {"algorithm": None},
        {"shard_size": 0},
        {"shard_size": -1},
        {"shard_size": 1.5},
        {"shard_size": True},
        {"ignore": "cache"},
        {"ignore": ["../up"]},
        {"ignore": ["/etc"]},
        {"ignore": ["."]},
        {"ignore": ["*.bin"]},
        {"ignore": [7]},
        {"release": "churn"},
        {"release": Release("")},
        {"release": Release("churn", serial=-1)},
        {"release": Release("churn", not_after=datetime(2026, 1, 1))},  # noqa: DTZ001
        {"workers": 0},
        {"profile": "strict"},
    ],
    ids=str,
)
def test_what_cannot_be_signed_is_a_configuration_error(
    options: dict[str, object], model: Path
) -> None:
    """Nonsense is refused before anything is written."""
    with pytest.raises(ConfigurationError):
        sign(model, KEY, **options)  # type: ignore[arg-type]
    assert not model.with_name("model.sig").exists()


def test_an_empty_model_is_refused(tmp_path: Path) -> None:
    """A signature over nothing would fit every empty directory."""
    (tmp_path / "model").mkdir()
    with pytest.raises(UnsafeTreeError, match="empty"):
        sign(tmp_path / "model", KEY)


def test_a_profile_can_be_derived(model: Path) -> None:
    """It is data: OMS without its exclusions."""
    sign(model, KEY)
    (model / ".gitattributes").write_text("", "utf-8")
    profile = replace(OMS, excluded_files=False)
    with pytest.raises(UnsafeTreeError):
        verifier(profile=profile).verify(model)
    assert STRICT.excluded_files is False


def test_a_verifier_is_an_authenticator(model: Path) -> None:
    """Verified loading starts from its claim, which reads nothing of the model."""
    sign(model, KEY)
    judge: Authenticator = verifier()
    (model / "config.json").write_text("[]", "utf-8")
    claim = judge.authenticate(model)
    assert claim.manifest.names == ("config.json", "empty", "sub/weights.bin")


def test_nothing_but_typed_errors_escapes_a_mutated_bundle(model: Path) -> None:
    """Every byte of the bundle changed in turn: refused, or the payload is as it was."""
    path = sign(model, KEY).bundle
    content, payload = path.read_bytes(), _payload(path)
    judge = verifier()
    survivors = 0
    for position in range(0, len(content), 7):
        mutated = bytearray(content)
        mutated[position] ^= 0x15
        path.write_bytes(mutated)
        try:
            judge.verify(model)
        except ModelSecError:
            continue
        survivors += 1
        assert _payload(path) == payload
    assert survivors < 20


def _payload(bundle: Path) -> bytes:
    return b64decode(json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"])


def test_a_refused_bundle_is_named(model: Path, tmp_path: Path) -> None:
    """Whoever verifies a hundred models learns which file is meant."""
    sign(model, KEY)
    sign(model, OTHER, signature=tmp_path / "other.sig")
    (tmp_path / "cut.sig").write_bytes((tmp_path / "model.sig").read_bytes()[:300])
    with pytest.raises(UntrustedSignerError, match=r"other\.sig': the bundle names the key"):
        verifier().verify(model, tmp_path / "other.sig")
    with pytest.raises(BundleFormatError, match=r"cut\.sig': not complete JSON \(cut short\?\)"):
        verifier().verify(model, tmp_path / "cut.sig")


def test_a_receipt_says_how_its_digest_is_computed(model: Path) -> None:
    """The size of shards is in the receipt; without it nobody gets the tree digest again."""
    for size in (None, 1000):
        signed = sign(model, KEY, shard_size=size)
        receipt = verifier().verify(model)
        assert receipt.shard_size == size
        assert receipt.to_dict()["shard_size"] == size
        assert receipt.tree_digest == signed.manifest.tree_digest


def test_a_receipt_of_nothing_does_not_say_verified(model: Path) -> None:
    """A model that is opened lazily has a receipt before its first file is read."""
    sign(model, KEY)
    receipt = verifier().verify(model)
    assert receipt.to_dict()["verified"] is True
    assert replace(receipt, files=()).to_dict()["verified"] is False


def test_a_trust_that_returns_no_signatory_is_told(model: Path) -> None:
    """To forget the `return` must not be an AttributeError, far less an acceptance."""

    class Forgetful:
        def authenticate(self, bundle: Bundle, **_: object) -> None:
            bundle.material  # noqa: B018

    sign(model, KEY)
    with pytest.raises(ConfigurationError, match=r"Forgetful answered None: .* returns a Sig"):
        Verifier(Forgetful()).verify(model)  # type: ignore[arg-type]


def test_what_is_unchecked_is_sentences(model: Path) -> None:
    """One text would be told letter by letter."""
    trust = TrustedKeys([KEY.public])

    class Talkative:
        unchecked = "nothing"
        authenticate = trust.authenticate

    sign(model, KEY)
    with pytest.raises(ConfigurationError, match="a tuple of sentences"):
        Verifier(Talkative()).verify(model)


def test_a_verifier_and_what_was_signed_are_shown_short(model: Path) -> None:
    """Their repr tells the policy, and what and who, but neither digests nor keys."""
    assert repr(verifier(name="churn")) == "Verifier(profile='strict', name='churn', threshold=1)"
    shown = repr(sign(model, KEY))
    assert shown.startswith("Signed('")
    assert len(shown) < 300


def test_a_file_that_was_not_named_has_the_digest_of_its_name(tmp_path: Path) -> None:
    """A bundle that says "." gives the tree digest that the file has as it is called."""
    (tmp_path / "w.bin").write_bytes(b"w")
    signed = sign(tmp_path / "w.bin", KEY)
    document = json.loads(signed.bundle.read_bytes())
    statement = json.loads(b64decode(document["dsseEnvelope"]["payload"]))
    statement["predicate"]["resources"][0]["name"] = "."
    payload = json.dumps(statement).encode()
    signed.bundle.write_bytes(write_bundle(payload, KEY.sign(pae(payload)), KEY.material()))
    receipt = verifier().verify(tmp_path / "w.bin")
    assert receipt.tree_digest == signed.manifest.tree_digest
    assert "the name of the file is not signed: it would pass under any other" in receipt.unchecked
