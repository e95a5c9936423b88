"""AWS KMS, as moto imitates it and as botocore's stub says it answers."""

import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.stub import Stubber
from moto import mock_aws

from modelsec import ConfigurationError
from modelsec.encryption.aws_kms import AwsKmsWrapper
from modelsec.encryption.wrapper_uri import wrapper_from_uri
from modelsec.errors import DecryptionError, KeyServiceError
from modelsec.testing.wrapper import check_key_wrapper

DATA, CONTEXT = b"data key of 32 random bytes ....", b"model 1.2.0"
REGION = "eu-central-1"
ARN = f"arn:aws:kms:{REGION}:123456789012:key/0f3c5a9e-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that are nobody's, and no configuration of whoever runs the tests."""
    for variable in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="class")
def kms() -> Iterator[Any]:
    """A KMS in memory; a new one costs a third of a second."""
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


@pytest.fixture
def key(kms: Any) -> str:
    """The ARN of a symmetric key."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])


class TestMoto:
    """Against a KMS in memory."""

    def test_it_keeps_the_contract(self, kms: Any, key: str) -> None:
        """The wrapper passes the conformance kit."""
        check_key_wrapper(AwsKmsWrapper(key, kms))

    @pytest.mark.parametrize("form", ["arn", "id", "alias", "alias arn"])
    def test_a_key_has_four_names(self, kms: Any, key: str, form: str) -> None:
        """Id, ARN, alias and the ARN of an alias name the same key."""
        alias = f"alias/models/{form.replace(' ', '_')}"
        kms.create_alias(AliasName=alias, TargetKeyId=key)
        prefix, _, identifier = key.rpartition(":key/")
        names = {
            "arn": key,
            "id": identifier,
            "alias": alias,
            "alias arn": f"{prefix}:{alias}",
        }
        wrapper = AwsKmsWrapper(names[form], kms)
        blob = wrapper.wrap(DATA, CONTEXT)
        assert wrapper.unwrap(blob, CONTEXT) == DATA
        assert AwsKmsWrapper(key, kms).unwrap(blob, CONTEXT) == DATA
        assert wrapper.key_id == f"aws-kms://{names[form]}"

    def test_the_context_is_a_digest(self, kms: Any, key: str) -> None:
        """The encryption context that CloudTrail records is the SHA-256 of the context."""
        blob = AwsKmsWrapper(key, kms).wrap(DATA, CONTEXT)
        digest = "bbd5d903ec0ebc57daa942d8eed091872591cb532418df7066ee2bc1e8e2f13c"
        answer = kms.decrypt(CiphertextBlob=blob, EncryptionContext={"modelsec": digest})
        assert answer["Plaintext"] == DATA

    def test_another_context_is_refused(self, kms: Any, key: str) -> None:
        """KMS refuses another encryption context: a typed refusal that says what it may be."""
        wrapper = AwsKmsWrapper(key, kms)
        blob = wrapper.wrap(DATA, CONTEXT)
        with pytest.raises(DecryptionError, match=r"InvalidCiphertextException.*another context"):
            wrapper.unwrap(blob, b"model 1.1.0")

    def test_another_key_is_refused(self, kms: Any, key: str) -> None:
        """A blob of another key of the account is not decrypted, though the caller may use both."""
        other = str(kms.create_key()["KeyMetadata"]["Arn"])
        blob = AwsKmsWrapper(other, kms).wrap(DATA, CONTEXT)
        # moto says AccessDenied where KMS says IncorrectKey, see below.
        with pytest.raises((DecryptionError, KeyServiceError), match=key):
            AwsKmsWrapper(key, kms).unwrap(blob, CONTEXT)

    def test_a_blob_outlives_rotation(self, kms: Any, key: str) -> None:
        """Blobs from before a rotation of the key material still unwrap."""
        wrapper = AwsKmsWrapper(key, kms)
        blob = wrapper.wrap(DATA, CONTEXT)
        kms.rotate_key_on_demand(KeyId=key)
        assert wrapper.unwrap(blob, CONTEXT) == DATA

    @pytest.mark.parametrize("blob", [b"g", b"garbage", bytes(6_144), b"\xff" * 8_192], ids=len)
    def test_garbage_is_refused(self, kms: Any, key: str, blob: bytes) -> None:
        """Bytes that KMS never made are refused; it does not always say that it is for the blob."""
        with pytest.raises((DecryptionError, KeyServiceError)):
            AwsKmsWrapper(key, kms).unwrap(blob, CONTEXT)

    def test_a_key_that_does_not_exist_is_service_trouble(self, kms: Any) -> None:
        """A key that KMS does not know gives KeyServiceError and says what to check."""
        for name in (ARN, "alias/none"):
            with pytest.raises(KeyServiceError, match=r"NotFoundException.*region"):
                AwsKmsWrapper(name, kms).wrap(DATA, CONTEXT)

    @pytest.mark.parametrize("uri", ["aws-kms://{}", "awskms:///{}"])
    def test_a_uri_makes_its_client(self, kms: Any, key: str, uri: str) -> None:
        """The schemes of Tink and cosign lead to a key; the region is that of its ARN."""
        blob = wrapper_from_uri(uri.format(key)).wrap(DATA, CONTEXT)
        assert AwsKmsWrapper(key, kms).unwrap(blob, CONTEXT) == DATA


def test_a_disabled_key_is_service_trouble() -> None:
    """A disabled key gives KeyServiceError, not a verdict on the blob.

    moto decrypts with a disabled key, KMS does not: so KMS's answer is played back.
    """
    with pytest.raises(KeyServiceError, match=r"DisabledException.*enable the key"):
        _stubbed("decrypt", "DisabledException").unwrap(b"blob", CONTEXT)
    with pytest.raises(KeyServiceError, match=r"DisabledException.*enable the key"):
        _stubbed("encrypt", "DisabledException").wrap(DATA, CONTEXT)


def test_an_empty_or_huge_blob_is_not_sent() -> None:
    """What cannot be a wrapped key is refused without a call."""
    wrapper = AwsKmsWrapper(ARN, _Answering())
    for blob in (b"", bytes(8_193), bytes(10_000_000)):
        with pytest.raises(DecryptionError, match="1 to 8192 bytes"):
            wrapper.unwrap(blob, CONTEXT)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidCiphertextException", DecryptionError),
        ("IncorrectKeyException", DecryptionError),
        ("AccessDeniedException", KeyServiceError),
        ("ThrottlingException", KeyServiceError),
        ("KMSInternalException", KeyServiceError),
        ("KMSInvalidStateException", KeyServiceError),
        ("KeyUnavailableException", KeyServiceError),
        ("DependencyTimeoutException", KeyServiceError),
        ("InvalidGrantTokenException", KeyServiceError),
        ("ValidationException", KeyServiceError),
        ("ExpiredTokenException", KeyServiceError),
        ("x" * 5_000, KeyServiceError),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else value.__name__,
)
def test_every_code_has_its_error(code: str, kind: type[Exception]) -> None:
    """Only what KMS says about the blob is a verdict on it; all else is service trouble."""
    with pytest.raises(kind) as caught:
        _stubbed("decrypt", code).unwrap(b"blob", CONTEXT)
    assert type(caught.value) is kind
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://kms"),
        ConnectTimeoutError(endpoint_url="https://kms"),
        ReadTimeoutError(endpoint_url="https://kms"),
        NoCredentialsError(),
        OSError("reset"),
        KeyError("a fault of the client"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_foreign_exception_escapes(error: Exception) -> None:
    """Whatever the client raises becomes KeyServiceError and does not carry the request along."""
    wrapper = AwsKmsWrapper(ARN, _Answering(error))
    for call in (lambda: wrapper.wrap(DATA, CONTEXT), lambda: wrapper.unwrap(b"blob", CONTEXT)):
        with pytest.raises(KeyServiceError, match=type(error).__name__) as caught:
            call()
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"Plaintext": None}, {"Plaintext": "text"}, {"Plaintext": b"", "KeyId": ARN}],
    ids=repr,
)
def test_strange_answers_are_refused(answer: object) -> None:
    """Answers without a key or a ciphertext give typed errors."""
    wrapper = AwsKmsWrapper(ARN, _Answering(answer))
    with pytest.raises((DecryptionError, KeyServiceError)):
        wrapper.unwrap(b"blob", CONTEXT)
    with pytest.raises(KeyServiceError, match="answered with"):
        wrapper.wrap(DATA, CONTEXT)


@pytest.mark.parametrize("size", [0, 15, 513, 4_096])
def test_a_plaintext_of_a_wrong_size_is_refused(size: int) -> None:
    """What KMS decrypted is checked: a blob of another program does not become a key."""
    wrapper = AwsKmsWrapper(ARN, _Answering({"KeyId": ARN, "Plaintext": bytes(size)}))
    with pytest.raises(DecryptionError, match="not a data key"):
        wrapper.unwrap(b"blob", CONTEXT)


def test_the_key_that_answered_is_compared() -> None:
    """An endpoint that ignores the pinned key is noticed."""
    other = ARN.replace("0f3c", "ffff")
    wrapper = AwsKmsWrapper(ARN, _Answering({"KeyId": other, "Plaintext": DATA}))
    with pytest.raises(DecryptionError, match="another key decrypted"):
        wrapper.unwrap(b"blob", CONTEXT)


@pytest.mark.parametrize(
    "key",
    ["", "a b", "alias/", "alias/x\n", "arn:aws:s3:::bucket", "../x", "k" * 65, None, 5, b"id"],
    ids=repr,
)
def test_a_key_has_a_name(key: object) -> None:
    """What names no KMS key is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="KMS key is named"):
        AwsKmsWrapper(key, _Answering())  # type: ignore[arg-type]


def test_the_client_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that we make has timeouts and at most three attempts."""
    seen: dict[str, Any] = {}

    def client(_: object, service: str, *, config: Any) -> object:
        seen.update(service=service, config=config)
        return _Answering()

    monkeypatch.setattr(boto3.session.Session, "client", client)
    AwsKmsWrapper.connect(ARN, timeout=2)
    config = seen["config"]
    assert (seen["service"], config.connect_timeout, config.read_timeout) == ("kms", 2, 2)
    assert config.retries == {"total_max_attempts": 3, "mode": "standard"}


def test_an_endpoint_that_is_not_there_is_service_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refused connection gives KeyServiceError."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between attempts
    with pytest.raises(KeyServiceError, match="EndpointConnectionError"):
        AwsKmsWrapper.connect(ARN, timeout=1).wrap(DATA, CONTEXT)


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing credentials give KeyServiceError and say whose they are."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(KeyServiceError, match=r"NoCredentialsError.*boto3"):
        AwsKmsWrapper.connect(ARN).wrap(DATA, CONTEXT)


def test_without_a_region_it_says_so() -> None:
    """A key id without a region anywhere is refused."""
    with pytest.raises(ConfigurationError, match="region"):
        AwsKmsWrapper.connect("alias/models")


def test_an_unknown_profile_is_told() -> None:
    """A profile that does not exist is refused."""
    with pytest.raises(ConfigurationError, match="profile"):
        AwsKmsWrapper.connect(ARN, profile="nobody")


@pytest.mark.parametrize(
    "timeout",
    [0, -1, float("nan"), float("inf"), 10**400, True, "5", None],
    ids=lambda t: f"{t}"[:9],
)
def test_a_timeout_is_a_number(timeout: object) -> None:
    """A timeout that is no positive, finite number is refused."""
    with pytest.raises(ConfigurationError, match="timeout"):
        AwsKmsWrapper.connect(ARN, timeout=timeout)  # type: ignore[arg-type]


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boto3 the message says what to install."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[aws\]'"):
        AwsKmsWrapper.connect(ARN)


def test_its_repr_is_the_key() -> None:
    """The repr names the key."""
    assert repr(AwsKmsWrapper(ARN, _Answering())) == f"AwsKmsWrapper({ARN!r})"


class _Answering:
    """A client that gives one answer, or raises it."""

    def __init__(self, answer: object = None) -> None:
        self._answer = answer

    def encrypt(self, **_: object) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    decrypt = encrypt


def _stubbed(operation: str, code: str) -> AwsKmsWrapper:
    """Return a wrapper over a boto3 client whose one answer is an error."""
    client = boto3.client("kms", region_name=REGION)
    stub = Stubber(client)
    stub.add_client_error(operation, code, "a message")
    stub.activate()
    return AwsKmsWrapper(ARN, client)
