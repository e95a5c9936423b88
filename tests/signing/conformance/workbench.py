"""A model, keys, and the three who judge it: the adapter, the library, and the oracle."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks import oms_adapter
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from modelsec.errors import VerificationError
from modelsec.signing import OMS, STRICT, PublicKey, TrustedKeys, Verifier
from tests.signing.conformance import spec_signer, spec_verifier
from tests.signing.conformance.spec_signer import Document

Edit = Callable[[Document], object]
CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
}


@dataclass(frozen=True)
class KeyPair:
    """A key, and the files in which the suite hands it over."""

    key: ec.EllipticCurvePrivateKey
    private: Path
    public: Path


def new_pair(folder: Path, curve: str = "p256") -> KeyPair:
    """Make a key and write both halves."""
    key = ec.generate_private_key(CURVES[curve]())
    pair = KeyPair(key, folder / f"{curve}.pem", folder / f"{curve}.pub.pem")
    pair.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pair.public.write_bytes(spec_signer.public_pem(key))
    return pair


def adapter(*words: str | Path) -> int:
    """Call the adapter as the public suite does, and return its exit code."""
    try:
        return oms_adapter.main([str(word) for word in words])
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1


def each(option: str, values: Sequence[str | Path]) -> list[str | Path]:
    """Repeat an option."""
    return [word for value in values for word in (option, value)]


@dataclass
class Bench:
    """A model in a folder, and its bundle beside it."""

    folder: Path
    pair: KeyPair

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def bundle(self) -> Path:
        return self.folder / "model.sig"

    def put(self, name: str, content: bytes | None = None) -> Path:
        """Write a file of the model; by default every name has its own content."""
        path = self.model / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content of {name}".encode() if content is None else content)
        return path

    def sign(
        self,
        *,
        ignore: Sequence[str | Path] = (),
        model: Path | str | None = None,
        bundle: Path | None = None,
        pair: KeyPair | None = None,
    ) -> int:
        """Have the adapter sign with the key."""
        return adapter(
            *("sign-model", "--method", "key", "--model-path", model or self.model),
            *("--output-bundle", bundle or self.bundle),
            *("--private-key", (pair or self.pair).private),
            *each("--ignore-paths", ignore),
        )

    def verify(
        self,
        *more: str | Path,
        ignore: Sequence[str | Path] = (),
        model: Path | str | None = None,
        bundle: Path | None = None,
        pair: KeyPair | None = None,
    ) -> int:
        """Have the adapter verify with the key."""
        return adapter(
            *("verify-model", "--method", "key", "--model-path", model or self.model),
            *("--bundle", bundle or self.bundle),
            *("--public-key", (pair or self.pair).public),
            *each("--ignore-paths", ignore),
            *more,
        )

    def document(self, bundle: Path | None = None) -> Document:
        """Read the bundle."""
        document: Document = json.loads((bundle or self.bundle).read_bytes())
        return document

    def signed(self, bundle: Path | None = None) -> Document:
        """Read the statement in the bundle."""
        payload = self.document(bundle)["dsseEnvelope"]["payload"]
        statement: Document = json.loads(base64.b64decode(payload))
        return statement

    def names(self, bundle: Path | None = None) -> list[str]:
        """Read the names in the bundle, in its order."""
        return [entry["name"] for entry in self.signed(bundle)["predicate"]["resources"]]

    def serialization(self, bundle: Path | None = None) -> Document:
        """Read how the model was hashed."""
        found: Document = self.signed(bundle)["predicate"]["serialization"]
        return found

    def forge(
        self,
        edit: Edit | None = None,
        *,
        envelope: Edit | None = None,
        material: Document | None = None,
        rooted: bool = True,
        model: Path | None = None,
        **choices: Any,
    ) -> Document:
        """Have the oracle sign the model, after an edit of the statement, and write the bundle.

        Args:
            edit: of the statement, before it is signed.
            envelope: of the whole bundle, after it was signed.
            material: how the key is named; default: by its hint.
            rooted: make the root digest right again after the edit.
            model: what is signed.
            choices: of ``spec_signer.statement``.
        """
        statement = spec_signer.statement(model or self.model, **choices)
        if edit is not None:
            edit(statement)
            if rooted:
                _root_again(statement)
        key = self.pair.key
        named = spec_signer.by_hint(key) if material is None else material
        document = spec_signer.sealed(statement, key, named)
        if envelope is not None:
            envelope(document)
        self.bundle.write_text(json.dumps(document), "utf-8")
        return document

    def accepted(self, *, strict: bool = True, model: Path | None = None) -> None:
        """All three accept the bundle; the strict profile, too, unless it is said not to."""
        model = model or self.model
        assert self.verify(model=model) == 0
        spec_verifier.verify(self.bundle.read_bytes(), model, key=self.pair.key.public_key())
        trust = TrustedKeys([PublicKey.load(self.pair.public)])
        assert Verifier(trust, profile=OMS).verify(model, self.bundle).files
        if strict:
            assert Verifier(trust, profile=STRICT).verify(model, self.bundle).unsigned == ()

    def refused(
        self, error: type[VerificationError], match: str | None = None, *, oracle: bool = True
    ) -> None:
        """All three refuse the bundle; the library with this error, the adapter with exit code 1.

        Args:
            error: exactly this type.
            match: part of its message.
            oracle: False where the text leaves it to the verifier.
        """
        assert self.verify() == 1
        trust = TrustedKeys([PublicKey.load(self.pair.public)])
        with pytest.raises(error, match=match) as refusal:
            Verifier(trust, profile=OMS).verify(self.model, self.bundle)
        assert type(refusal.value) is error
        with pytest.raises(VerificationError):
            Verifier(trust, profile=STRICT).verify(self.model, self.bundle)
        if oracle:
            with pytest.raises(spec_verifier.RefusedError):
                spec_verifier.verify(
                    self.bundle.read_bytes(), self.model, key=self.pair.key.public_key()
                )

    def checked_by_the_oracle(self, **options: Any) -> Document:
        """Return the statement of our own bundle, as the oracle accepts it."""
        return spec_verifier.verify(
            self.bundle.read_bytes(), self.model, key=self.pair.key.public_key(), **options
        )


def _root_again(statement: Document) -> None:
    """Make the root digest right, so that only the edit itself can be refused."""
    try:
        root = spec_signer.root_digest(statement["predicate"]["resources"])
        statement["subject"][0]["digest"]["sha256"] = root
    except (LookupError, TypeError, ValueError, AttributeError):
        return  # edited beyond a root digest
