"""A folder with an honest model in it, and the hands that sign and change it."""

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from . import foreign
from .foreign import Document
from .probe import Attempt, Key

HONEST: Mapping[str, bytes] = {
    "config.json": b'{"architectures": ["Demo"], "torch_dtype": "float32"}\n',
    "modeling.py": b'"""The code that comes with the model."""\n',
    "tokenizer/merges.txt": b"#version: 0.2\ne r\n",
    "tokenizer/vocab.txt": b"[PAD]\n[UNK]\nthe\n\n",
    "weights.bin": bytes(range(256)) * 16,
}
"""The two files in ``tokenizer`` have the same size."""

EVIL = b'print("inert")\n'


class Workshop:
    """Make models and bundles below one folder.

    Args:
        folder: empty; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model"
        self.bundle = folder / "model.sig"
        self.key = new_key()
        self.attacker = new_key()

    def make(self, files: Mapping[str, bytes] = HONEST, where: Path | None = None) -> Path:
        """Write a model's files."""
        model = where or self.model
        for name, content in files.items():
            put(model / name, content)
        return model

    def trusted(self, key: ec.EllipticCurvePrivateKey | None = None, name: str = "key") -> Key:
        """Write a public key for the verifier, by default the honest signer's."""
        path = self.folder / f"{name}.pub"
        path.write_bytes(foreign.public_pem(key or self.key))
        return Key(path)

    def statement(self, **options: object) -> Document:
        """Return the statement of the model as it is now."""
        return foreign.statement(self.model, **options)

    def signed(
        self,
        document: object = None,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        to: Path | None = None,
        **more: object,
    ) -> Attempt:
        """Make the honest model unless there is one, sign it, and return the honest request.

        Args:
            document: the statement, or a payload of bytes; default: the model's.
            key: signs; default: the honest signer, who is the one trusted.
            to: the bundle; default: beside the model.
            more: fields of the attempt.
        """
        if not os.path.lexists(self.model):
            self.make()
        document = self.statement() if document is None else document
        payload = document if isinstance(document, bytes) else foreign.encoded(document)
        where = to or self.bundle
        self.write(foreign.bundle(payload, key or self.key), where)
        return replace(Attempt(self.model, (where,), keys=(self.trusted(),)), **more)

    def signed_as_it_is(self, public_pem: bytes, **more: object) -> Attempt:
        """Return the request for a bundle that is there already, by the signer of this key."""
        path = self.folder / "signer.pub"
        path.write_bytes(public_pem)
        return replace(Attempt(self.model, (self.bundle,), keys=(Key(path),)), **more)

    def write(self, document: Document, to: Path | None = None) -> None:
        """Write a bundle."""
        (to or self.bundle).write_bytes(foreign.encoded(document))

    def read(self) -> Document:
        """Return the bundle that was written."""
        return dict(json.loads(self.bundle.read_bytes()))

    def payload(self) -> bytes:
        """Return the payload of the bundle that was written."""
        return base64.b64decode(self.read()["dsseEnvelope"]["payload"])


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Give a workshop in a temporary folder that every user may enter."""
    folder = open_folder()
    try:
        yield Workshop(folder)
    finally:
        remove(folder)


def open_folder() -> Path:
    """Make a temporary folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="signing-attack-"))
    folder.chmod(0o755)
    return folder


def remove(folder: Path) -> None:
    """Remove what probes leave: deeper than Python's rmtree can follow, and locked."""
    for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        subprocess.run([*command, str(folder)], check=True)  # noqa: S603 - our own folder


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a fresh key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def put(path: Path, content: bytes = EVIL) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
