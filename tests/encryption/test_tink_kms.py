"""Key wrapping through clients of Tink, real and imitated."""

import pytest
import tink
from tink import aead

from modelsec import ConfigurationError
from modelsec.encryption.tink_kms import Aead, TinkKmsWrapper
from modelsec.errors import DecryptionError, KeyServiceError
from modelsec.testing.wrapper import check_key_wrapper

URI = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k"
DATA, CONTEXT = b"data key of 32 random bytes ....", b"model 1.2.0"


class Client(tink.KmsClient):
    """A client of Tink whose service is a key in memory."""

    def __init__(self) -> None:
        aead.register()
        keyset = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        self._aead = keyset.primitive(aead.Aead)

    def does_support(self, key_uri: str) -> bool:
        return key_uri.startswith("gcp-kms://")

    def get_aead(self, key_uri: str) -> aead.Aead:
        del key_uri
        return self._aead


class Faulty:
    """Supports everything and gives, or raises, one answer."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def does_support(self, key_uri: str) -> bool:
        return bool(key_uri)

    def get_aead(self, key_uri: str) -> Aead:
        del key_uri
        return self  # type: ignore[return-value]

    def encrypt(self, *_: bytes) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    decrypt = encrypt


def test_it_keeps_the_contract() -> None:
    """A key of Tink's passes the conformance kit."""
    check_key_wrapper(TinkKmsWrapper(Client(), URI))


def test_tink_can_unwrap_it() -> None:
    """The blob is what Tink itself makes: nothing is added to it."""
    client = Client()
    wrapper = TinkKmsWrapper(client, URI)
    assert client.get_aead(URI).decrypt(wrapper.wrap(DATA, CONTEXT), CONTEXT) == DATA
    assert wrapper.unwrap(client.get_aead(URI).encrypt(DATA, CONTEXT), CONTEXT) == DATA


def test_the_client_has_to_be_for_the_key() -> None:
    """A URI that the client does not support is refused."""
    with pytest.raises(ConfigurationError, match="not for 'aws-kms://"):
        TinkKmsWrapper(Client(), "aws-kms://arn:aws:kms:eu-west-1:123456789012:key/k")


@pytest.mark.parametrize(
    "uri",
    ["", "no uri", "gcp-kms://\n", "gcp-kms://ü", "gcp-kms://" + "k" * 3_000, None, 5, b"x"],
    ids=lambda uri: repr(uri)[:20],
)
def test_a_uri_is_a_uri(uri: object) -> None:
    """What is no URI is refused before the client is asked."""
    with pytest.raises(ConfigurationError, match="key URI"):
        TinkKmsWrapper(Client(), uri)  # type: ignore[arg-type]


def test_no_access_is_service_trouble() -> None:
    """A client that fails to give access, or is none, gives KeyServiceError."""

    class Broken(Faulty):
        def get_aead(self, key_uri: str) -> Aead:
            raise ValueError(key_uri)

    for client in (Broken(None), object()):
        with pytest.raises(KeyServiceError, match="gives no access"):
            TinkKmsWrapper(client, URI)  # type: ignore[arg-type]


def test_a_broken_connection_is_service_trouble() -> None:
    """An OSError, bare or in an error of Tink's, is not a verdict on the blob."""
    for error in (ConnectionResetError("reset"), tink.TinkError(TimeoutError("slow"))):
        wrapper = TinkKmsWrapper(Faulty(error), URI)
        with pytest.raises(KeyServiceError, match="could not be reached") as caught:
            wrapper.unwrap(b"blob", CONTEXT)
        assert caught.value.__context__ is None
        with pytest.raises(KeyServiceError, match="failed to encrypt"):
            wrapper.wrap(DATA, CONTEXT)


def test_every_other_failure_is_a_refusal() -> None:
    """What a client raises otherwise is a DecryptionError."""
    with pytest.raises(DecryptionError, match="TinkError"):
        TinkKmsWrapper(Faulty(tink.TinkError("no")), URI).unwrap(b"blob", CONTEXT)


@pytest.mark.parametrize("answer", [None, "text", b"", bytes(9_000), 5], ids=lambda a: repr(a)[:9])
def test_strange_answers_are_refused(answer: object) -> None:
    """Answers that are neither ciphertext nor key are refused."""
    wrapper = TinkKmsWrapper(Faulty(answer), URI)
    with pytest.raises(KeyServiceError, match="no ciphertext"):
        wrapper.wrap(DATA, CONTEXT)
    with pytest.raises(DecryptionError, match="not a data key"):
        wrapper.unwrap(b"blob", CONTEXT)


def test_its_repr_is_the_uri() -> None:
    """The repr names the key."""
    assert repr(TinkKmsWrapper(Client(), URI)) == f"TinkKmsWrapper({URI!r})"
