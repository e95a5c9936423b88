import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from modelsec.errors import ConfigurationError
from modelsec.signing import PrivateKey, PublicKey
from modelsec.signing.keys.plain_pem import plain_key
from modelsec.signing.keys.signatures import public_key_id

CURVES = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")


@pytest.mark.parametrize("kind", CURVES)
def test_it_reads_what_the_parser_reads(kind: str) -> None:
    """The same key and the same id, for twenty keys of each curve."""
    for _ in range(20):
        pem = PrivateKey.generate(kind).public.pem  # type: ignore[arg-type]
        plain, parsed = plain_key(pem), load_pem_public_key(pem)
        assert plain is not None
        assert plain[0] == parsed
        assert plain[1] == public_key_id(parsed)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CURVES)
def test_whatever_is_not_plain_is_left_to_the_parser(kind: str) -> None:
    """Other line widths, line ends, spaces, headers, kinds and lengths: never guessed at."""
    pem = PrivateKey.generate(kind).public.pem  # type: ignore[arg-type]
    head, *body, foot = pem.splitlines(keepends=True)
    joined = b"".join(body).replace(b"\n", b"")
    others = [
        head + joined + b"\n" + foot,
        pem.replace(b"\n", b"\r\n"),
        head + b" " + b"".join(body) + foot,
        head + b"".join(body)[4:] + foot,
        pem.replace(b"PUBLIC", b"PRIVATE"),
        PrivateKey.generate("ed25519").public.pem,
        b"",
    ]
    assert [plain_key(other) for other in others] == [None] * len(others)


@pytest.mark.parametrize("kind", CURVES)
def test_a_point_off_the_curve_is_refused(kind: str) -> None:
    """As the parser refuses it: with a typed error."""
    pem = PrivateKey.generate(kind).public.pem  # type: ignore[arg-type]
    lines = pem.splitlines(keepends=True)
    lines[2] = lines[2].swapcase()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PublicKey.from_pem(b"".join(lines))
