"""Keys, certificates and files as others write them, through the adapter."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from modelsec.cli import main
from tests.signing.conformance.pki import LONG, Chain, new_chain, sign_with, verify_with, write
from tests.signing.conformance.workbench import Bench, KeyPair, adapter
from tests.support.certificates import authority


@pytest.fixture(scope="module")
def chain() -> Chain:
    return new_chain()


@pytest.mark.parametrize("form", ["both in one", "root first", "with text", "crlf", "der"])
def test_files_of_roots(bench: Bench, chain: Chain, form: str) -> None:
    """A file of certificates holds several, in any order, with text around them, or one as DER."""
    assert sign_with(bench, chain.leaf, chain.intermediate) == 0
    root, middle = chain.root.pem, chain.intermediate.pem
    stranger = authority("CN=stranger", **LONG).pem
    parts = {
        "both in one": (middle, root),
        "root first": (root, stranger, middle),
        "with text": ("# unser Stammzertifikat: gültig\n\n".encode(), stranger, b"\ntext\n", root),
        "crlf": (root.replace(b"\n", b"\r\n"),),
        "der": (chain.root.der,),
    }[form]
    assert verify_with(bench, write(bench.folder, "roots", *parts)) == 0
    assert verify_with(bench, write(bench.folder, "roots", stranger)) == 1


def test_a_root_file_with_the_intermediate(bench: Bench, chain: Chain) -> None:
    """An intermediate that the verifier brings fills the gap of a bundle with a leaf alone."""
    assert sign_with(bench, chain.leaf) == 0
    both = write(bench.folder, "roots", chain.intermediate.pem, chain.root.pem)
    assert verify_with(bench, both) == 0
    assert verify_with(bench, chain.root, chain.intermediate) == 0


@pytest.mark.parametrize("content", [b"", b"\n", b"not PEM", b"-----BEGIN CERTIFICATE-----\n"])
def test_files_without_roots(bench: Bench, chain: Chain, content: bytes) -> None:
    """A file without a certificate is refused, also beside a good one."""
    assert sign_with(bench, chain.leaf, chain.intermediate) == 0
    assert verify_with(bench, chain.root, write(bench.folder, "roots", content)) == 2


def test_a_bundle_of_pem_as_signing_certificate(bench: Bench, chain: Chain) -> None:
    """The leaf's file may hold the chain behind it, as ``fullchain.pem`` does."""
    full = write(bench.folder, "fullchain", chain.leaf.pem, chain.intermediate.pem)
    key = write(bench.folder, "leaf-key", chain.leaf.key_pem)
    call: tuple[Any, ...] = (
        "sign-model",
        "--method",
        "certificate",
        "--model-path",
        bench.model,
    )
    call += ("--output-bundle", bench.bundle, "--private-key", key, "--signing-cert", full)
    assert adapter(*call) == 0
    assert verify_with(bench, chain.root) == 0


def test_the_leaf_in_its_own_chain(bench: Bench, chain: Chain) -> None:
    """Chains that begin with the leaf do not double it."""
    assert sign_with(bench, chain.leaf, chain.leaf, chain.intermediate, chain.root) == 0
    found = bench.document()["verificationMaterial"]["x509CertificateChain"]["certificates"]
    assert len(found) == 3
    assert verify_with(bench, chain.root) == 0


def test_certificate_of_another_key(bench: Bench, chain: Chain) -> None:
    """A certificate that is not of the key signs nothing."""
    leaf = type(chain.leaf)(chain.leaf.certificate, new_chain().leaf.key)
    assert sign_with(bench, leaf, chain.intermediate) == 2
    assert not bench.bundle.exists()


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_keys_as_openssl_wrote_them(bench: Bench, pairs: dict[str, KeyPair], curve: str) -> None:
    """``EC PRIVATE KEY`` (SEC 1), with the ``EC PARAMETERS`` of ``openssl ecparam`` before it."""
    key = pairs[curve].key
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    for content in (pem, parameters + pem):
        path = write(bench.folder, "sec1", content)
        bench.pair = KeyPair(key, path, pairs[curve].public)
        assert bench.sign() == 0
        assert bench.verify() == 0


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "sec1"]
)
def test_keys_with_a_password(bench: Bench, form: PrivateFormat) -> None:
    """An encrypted key needs its password from a file; without it nothing is asked or signed."""
    key = bench.pair.key
    pem = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
    path = write(bench.folder, "locked", pem)
    bench.pair = KeyPair(key, path, bench.pair.public)
    assert bench.sign() == 2
    word = bench.folder / "password"
    for content, code in ((b"secret\n", 0), (b"secret", 0), (b"wrong", 2)):
        word.write_bytes(content)
        call = ["sign", str(bench.model), "--key", str(path), "--password-file", str(word)]
        assert main(call) == code
    assert bench.verify() == 0


AROUND: dict[str, Callable[[bytes], bytes]] = {
    "text before": lambda pem: b"key of the release team\n\n" + pem,
    "text behind": lambda pem: pem + b"\nthat was it\n",
    "attributes": lambda pem: (
        b"Bag Attributes\n    friendlyName: x\nKey Attributes: <none>\n" + pem
    ),
    "crlf": lambda pem: pem.replace(b"\n", b"\r\n"),
    "no end of line": lambda pem: pem.rstrip(b"\n"),
    "blank lines": lambda pem: b"\n\n" + pem + b"\n\n",
    "byte order mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "latin-1": lambda pem: "Schlüssel\n".encode("latin-1") + pem,
}


@pytest.mark.parametrize("spell", AROUND.values(), ids=AROUND)
def test_text_around_keys(bench: Bench, spell: Callable[[bytes], bytes]) -> None:
    """RFC 7468: text around a block is ignored; lines may end in any way."""
    for name in ("private", "public"):
        path = write(bench.folder, name, spell(getattr(bench.pair, name).read_bytes()))
        pair = bench.pair
        bench.pair = KeyPair(
            pair.key,
            path if name == "private" else pair.private,
            path if name == "public" else pair.public,
        )
    assert bench.sign() == 0
    assert bench.verify() == 0


@pytest.mark.parametrize("width", [1, 16, 63, 76, 1000])
def test_lines_of_other_lengths(bench: Bench, width: int) -> None:
    """RFC 7468: parsers take lines of any length."""
    bench.forge()
    body = b"".join(bench.pair.public.read_bytes().splitlines()[1:-1])
    wrapped = b"\n".join(body[at : at + width] for at in range(0, len(body), width))
    pem = b"-----BEGIN PUBLIC KEY-----\n" + wrapped + b"\n-----END PUBLIC KEY-----\n"
    pair = KeyPair(bench.pair.key, bench.pair.private, write(bench.folder, "wrapped", pem))
    assert bench.verify(pair=pair) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"\x30\x59",
        b"\x00" * 99,
    ],
    ids=["empty", "text", "no content", "der", "zeros"],
)
def test_files_that_are_no_keys(bench: Bench, content: bytes) -> None:
    """A file that is no key is refused, on both sides."""
    bench.forge()
    path = write(bench.folder, "nothing", content)
    pair = KeyPair(bench.pair.key, path, path)
    assert bench.verify(pair=pair) == 2
    assert bench.sign(pair=pair) == 2


def test_keys_exchanged(bench: Bench) -> None:
    """A private key is no public one, nor the other way round."""
    bench.forge()
    pair = KeyPair(bench.pair.key, bench.pair.public, bench.pair.private)
    assert bench.verify(pair=pair) == 2
    assert bench.sign(pair=pair) == 2


def test_read_only_models(bench: Bench) -> None:
    """A model that nobody may write to, as on a mounted image, is signed and verified."""
    for path in [*bench.model.rglob("*"), bench.model]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert bench.sign() == 0
        assert bench.verify() == 0
    finally:
        for path in [bench.model, bench.model / "sub"]:
            path.chmod(0o755)


@pytest.mark.parametrize("which", ["bundle", "key", "file"])
def test_without_permission(bench: Bench, which: str) -> None:
    """What cannot be read is a refusal with a reason."""
    if os.geteuid() == 0:
        pytest.skip("the superuser reads everything")
    bench.forge()
    path = {
        "bundle": bench.bundle,
        "key": write(bench.folder, "public", bench.pair.public.read_bytes()),
        "file": bench.model / "weights.bin",
    }[which]
    path.chmod(0)
    pair = KeyPair(bench.pair.key, bench.pair.private, path) if which == "key" else None
    assert bench.verify(pair=pair) == 1


@pytest.mark.parametrize("which", ["model", "bundle", "key"])
def test_pipes_and_devices(bench: Bench, which: str) -> None:
    """A pipe in the place of a file is refused, not waited for."""
    bench.forge()
    pipe = bench.folder / "pipe"
    os.mkfifo(pipe)
    code = bench.verify(
        model=pipe if which == "model" else None,
        bundle=pipe if which == "bundle" else None,
        pair=KeyPair(bench.pair.key, pipe, pipe) if which == "key" else None,
    )
    # A model that is a pipe is an unsafe one; any other file that is a pipe is the wrong file.
    assert code == (1 if which == "model" else 2)
