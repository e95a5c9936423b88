"""The transit engine of a real OpenBao server, and servers that do not behave."""

import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import hvac
import pytest

from modelsec import ConfigurationError
from modelsec.encryption.vault import VaultTransitWrapper
from modelsec.encryption.wrapper_uri import wrapper_from_uri
from modelsec.errors import DecryptionError, KeyServiceError
from modelsec.testing.wrapper import check_key_wrapper
from tests.support.openbao import OpenBao, running_openbao

DATA, CONTEXT = b"data key of 32 random bytes ....", b"model 1.2.0"
BLOB = b"vault:v1:" + b64encode(b"c" * 60)
SOME = "s.some-token"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    """A server that the tests share; each takes a key of its own."""
    with running_openbao() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients of the tests reach this machine whatever proxy is configured."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def root(openbao: OpenBao) -> hvac.Client:
    """A client that may do everything."""
    return hvac.Client(openbao.address, token=openbao.token, timeout=5)


@pytest.fixture
def key(root: hvac.Client) -> str:
    """The name of a transit key of the default type."""
    name = f"k{uuid4().hex[:12]}"
    root.secrets.transit.create_key(name)
    return name


@pytest.fixture
def wrapper(openbao: OpenBao, key: str) -> VaultTransitWrapper:
    """A wrapper that made its client itself."""
    return VaultTransitWrapper.connect(key, address=openbao.address, token=openbao.token)


@pytest.mark.real_server
class TestOpenBao:
    def test_it_keeps_the_contract(self, wrapper: VaultTransitWrapper) -> None:
        """The wrapper passes the conformance kit."""
        check_key_wrapper(wrapper)

    def test_plain_http_passes_proxies_by(
        self, wrapper: VaultTransitWrapper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Plain HTTP to this machine does not go through the proxy of the environment."""
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, NOWHERE)
        assert wrapper.unwrap(wrapper.wrap(DATA, CONTEXT), CONTEXT) == DATA

    def test_a_client_may_be_given(self, root: hvac.Client, key: str) -> None:
        """A client of the caller's does as well, and both name the same key."""
        given = VaultTransitWrapper(key, root)
        made = VaultTransitWrapper.connect(key, address=root.url, token=root.token)
        assert made.unwrap(given.wrap(DATA, CONTEXT), CONTEXT) == DATA
        host = root.url.removeprefix("http://")
        assert given.key_id == made.key_id == f"hcvault://{host}/transit/keys/{key}"
        assert repr(made) == f"VaultTransitWrapper({made.key_id!r})"

    def test_chacha20_keys_do_as_well(self, root: hvac.Client) -> None:
        """The other key type with associated data passes the kit, too."""
        root.secrets.transit.create_key("chacha", key_type="chacha20-poly1305")
        check_key_wrapper(VaultTransitWrapper("chacha", root))

    def test_another_mount_is_another_engine(self, root: hvac.Client) -> None:
        """An engine that is mounted elsewhere is used when it is named."""
        root.sys.enable_secrets_engine("transit", path="teams/ml")
        root.secrets.transit.create_key("k", mount_point="teams/ml")
        wrapper = VaultTransitWrapper("k", root, mount="teams/ml")
        assert wrapper.unwrap(wrapper.wrap(DATA, CONTEXT), CONTEXT) == DATA
        assert wrapper.key_id.endswith("/teams/ml/keys/k")

    def test_another_context_is_refused(self, wrapper: VaultTransitWrapper) -> None:
        """The server refuses other associated data."""
        blob = wrapper.wrap(DATA, CONTEXT)
        with pytest.raises(DecryptionError, match="another context"):
            wrapper.unwrap(blob, b"model 1.1.0")

    def test_another_key_is_refused(self, root: hvac.Client, wrapper: VaultTransitWrapper) -> None:
        """A blob of another transit key is refused."""
        root.secrets.transit.create_key("other")
        blob = VaultTransitWrapper("other", root).wrap(DATA, CONTEXT)
        with pytest.raises(DecryptionError, match="another key"):
            wrapper.unwrap(blob, CONTEXT)

    def test_rewrapping_takes_the_latest_version(
        self, root: hvac.Client, key: str, wrapper: VaultTransitWrapper
    ) -> None:
        """After a rotation old blobs unwrap, rewrapped ones are v2, and v1 can be shut out."""
        blob = wrapper.wrap(DATA, CONTEXT)
        root.secrets.transit.rotate_key(key)
        assert wrapper.unwrap(blob, CONTEXT) == DATA
        again = wrapper.rewrap(blob, CONTEXT)
        assert (blob[:9], again[:9]) == (b"vault:v1:", b"vault:v2:")
        with pytest.raises(DecryptionError):
            wrapper.rewrap(blob, b"another context")
        root.secrets.transit.update_key_configuration(key, min_decryption_version=2)
        assert wrapper.unwrap(again, CONTEXT) == DATA
        with pytest.raises(DecryptionError, match="too old"):
            wrapper.unwrap(blob, CONTEXT)

    def test_only_one_spelling_of_a_blob_is_read(
        self, root: hvac.Client, key: str, wrapper: VaultTransitWrapper
    ) -> None:
        """The server reads version 0 as 1; a blob that was respelt so is refused all the same."""
        blob = wrapper.wrap(DATA, CONTEXT)
        respelt = blob.replace(b":v1:", b":v0:")
        answer = root.secrets.transit.decrypt_data(
            key, ciphertext=respelt.decode(), associated_data=_digest_text()
        )
        assert answer["data"]["plaintext"]
        for other in (respelt, blob.replace(b":v1:", b":v01:"), blob.replace(b"vault", b"Vault")):
            with pytest.raises(DecryptionError, match="not wrapped by a transit engine"):
                wrapper.unwrap(other, CONTEXT)
        with pytest.raises(DecryptionError, match="too new"):
            wrapper.unwrap(blob.replace(b":v1:", b":v9:"), CONTEXT)

    def test_what_others_encrypted_is_no_key(
        self, root: hvac.Client, key: str, wrapper: VaultTransitWrapper
    ) -> None:
        """A ciphertext that another program made with the same key and context is refused."""
        for plaintext in (DATA, b"\x01" + bytes(31), b"\x01" + bytes(64), b""):
            answer = root.secrets.transit.encrypt_data(
                key,
                plaintext=b64encode(plaintext).decode(),
                associated_data=_digest_text(),
            )
            with pytest.raises(DecryptionError):
                wrapper.unwrap(answer["data"]["ciphertext"].encode(), CONTEXT)

    def test_keys_without_associated_data_are_refused(self, root: hvac.Client) -> None:
        """A key type that cannot bind a context, or a derived key, is refused when wrapping."""
        root.secrets.transit.create_key("rsa", key_type="rsa-2048")
        root.secrets.transit.create_key("derived", derived=True)
        for name in ("rsa", "derived"):
            with pytest.raises(KeyServiceError, match="aes256-gcm96"):
                VaultTransitWrapper(name, root).wrap(DATA, CONTEXT)
            with pytest.raises(KeyServiceError, match="not derived"):
                VaultTransitWrapper(name, root).unwrap(BLOB, CONTEXT)

    def test_a_missing_key_or_engine_is_service_trouble(self, root: hvac.Client) -> None:
        """A key or engine that is not there says nothing about the blob."""
        with pytest.raises(KeyServiceError, match="key not found"):
            VaultTransitWrapper("absent", root).unwrap(BLOB, CONTEXT)
        with pytest.raises(KeyServiceError, match="no transit engine"):
            VaultTransitWrapper("k", root, mount="absent").unwrap(BLOB, CONTEXT)

    def test_a_bad_token_is_service_trouble(self, openbao: OpenBao, key: str) -> None:
        """A token that is not accepted gives KeyServiceError and does not show."""
        unknown = "s.no-such-one"
        wrapper = VaultTransitWrapper.connect(key, address=openbao.address, token=unknown)
        for call in (lambda: wrapper.wrap(DATA, CONTEXT), lambda: wrapper.unwrap(BLOB, CONTEXT)):
            with pytest.raises(KeyServiceError, match="policy") as caught:
                call()
            assert "no-such-one" not in str(caught.value)

    def test_two_policies_part_wrapping_from_unwrapping(
        self, root: hvac.Client, openbao: OpenBao, key: str, wrapper: VaultTransitWrapper
    ) -> None:
        """A token that may only encrypt wraps and cannot unwrap."""
        root.sys.create_or_update_policy(
            "wrap", f'path "transit/encrypt/{key}" {{ capabilities = ["update"] }}'
        )
        token = root.auth.token.create(policies=["wrap"])["auth"]["client_token"]
        writer = VaultTransitWrapper.connect(key, address=openbao.address, token=token)
        blob = writer.wrap(DATA, CONTEXT)
        assert wrapper.unwrap(blob, CONTEXT) == DATA
        with pytest.raises(KeyServiceError, match="permission denied"):
            writer.unwrap(blob, CONTEXT)

    def test_a_uri_and_the_environment_lead_to_it(self, openbao: OpenBao, key: str) -> None:
        """The scheme of cosign takes address, mount and token from what is passed."""
        environment = {"VAULT_ADDR": openbao.address, "VAULT_TOKEN": openbao.token}
        wrapper = wrapper_from_uri(f"hashivault://{key}", environment=environment)
        assert wrapper.unwrap(wrapper.wrap(DATA, CONTEXT), CONTEXT) == DATA
        environment |= {"TRANSIT_SECRET_ENGINE_PATH": "elsewhere"}
        with pytest.raises(KeyServiceError, match="no transit engine"):
            wrapper_from_uri(f"hashivault://{key}", environment=environment).wrap(DATA, CONTEXT)

    def test_a_sealed_server_is_service_trouble(self) -> None:
        """A sealed server gives KeyServiceError, and one that has ended does, too."""
        with running_openbao() as server:
            client = hvac.Client(server.address, token=server.token, timeout=5)
            client.secrets.transit.create_key("k")
            wrapper = VaultTransitWrapper("k", client)
            blob = wrapper.wrap(DATA, CONTEXT)
            client.sys.seal()
            with pytest.raises(KeyServiceError, match="sealed"):
                wrapper.unwrap(blob, CONTEXT)
        with pytest.raises(KeyServiceError, match="is the server there"):
            wrapper.unwrap(blob, CONTEXT)


def test_the_token_is_never_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """VAULT_TOKEN in the environment is not used unless it is passed."""
    monkeypatch.setenv("VAULT_TOKEN", "s.from-the-environment")
    with pytest.raises(TypeError, match="token"):
        VaultTransitWrapper.connect("k", address=NOWHERE)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="set VAULT_TOKEN"):
        wrapper_from_uri("hcvault://vault.example/transit/keys/k")
    for token in ("", None, b"s.x", "s.x\r\nHost: y", "ü", 5):
        with pytest.raises(ConfigurationError, match="token"):
            VaultTransitWrapper.connect("k", address=NOWHERE, token=token)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "address",
    ["http://vault.example:8200", "http://10.0.0.1", "http://127.0.0.1.example", "ftp://localhost"],
)
def test_tokens_do_not_travel_in_the_clear(address: str) -> None:
    """Plain HTTP to another machine is refused."""
    with pytest.raises(ConfigurationError, match="in the clear"):
        VaultTransitWrapper.connect("k", address=address, token=SOME)


@pytest.mark.parametrize(
    "address", ["https://vault.example", "http://localhost:8200", "http://[::1]:8200/", NOWHERE]
)
def test_https_and_this_machine_are_fine(address: str) -> None:
    """HTTPS, and HTTP to this machine, are accepted; so is plain HTTP where it is asked for."""
    VaultTransitWrapper.connect("k", address=address, token=SOME)
    plain = address.replace("https", "http")
    VaultTransitWrapper.connect("k", address=plain, token=SOME, unsafe_http=True)


@pytest.mark.parametrize(
    "address",
    [
        *("", "vault.example", "https://", "https://h/path", "https://h?x=1", "https://h#x"),
        *("https://h:port", "https://h:99999", "https://[::1", "https://ü.example", None, 5, b"x"),
        "https://user:hunter2@vault.example",
    ],
    ids=repr,
)
def test_an_address_is_the_root_of_a_server(address: object) -> None:
    """Anything else is refused; a password in it is not repeated."""
    with pytest.raises(ConfigurationError, match="address of a Vault is") as caught:
        VaultTransitWrapper.connect("k", address=address, token=SOME)  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "../../sys/seal", "k?x", "k\n", "ü", "-k", "k" * 129, None, 5, b"k"]
)
def test_a_key_is_a_name(name: object) -> None:
    """A key's name cannot lead to another path of the server."""
    with pytest.raises(ConfigurationError, match="name of a transit key"):
        VaultTransitWrapper(name, SimpleNamespace(url="", secrets=None))  # type: ignore[arg-type]


@pytest.mark.parametrize("mount", ["", "/", "a//b", "../sys", "a/../b", "a/", None, 5])
def test_a_mount_is_names(mount: object) -> None:
    """A mount cannot lead to another path of the server."""
    with pytest.raises(ConfigurationError, match="mounted"):
        VaultTransitWrapper("k", SimpleNamespace(url="", secrets=None), mount=mount)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["namespace", "ca_file"])
def test_options_are_text(option: str) -> None:
    """Options of a wrong type are refused."""
    arguments: dict[str, Any] = {option: 5}
    with pytest.raises(ConfigurationError, match=option):
        VaultTransitWrapper.connect("k", address=NOWHERE, token=SOME, **arguments)


def test_a_timeout_is_a_number() -> None:
    """A timeout that is no positive number is refused."""
    with pytest.raises(ConfigurationError, match="timeout"):
        VaultTransitWrapper.connect("k", address=NOWHERE, token=SOME, timeout=0)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hvac the message says what to install."""
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[vault\]'"):
        VaultTransitWrapper.connect("k", address=NOWHERE, token=SOME)


def test_no_server_is_service_trouble() -> None:
    """A refused connection gives KeyServiceError that does not carry the request along."""
    wrapper = VaultTransitWrapper.connect("k", address=NOWHERE, token=SOME, timeout=1)
    with pytest.raises(KeyServiceError, match="ConnectionError") as caught:
        wrapper.wrap(DATA, CONTEXT)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_server_that_ignores_associated_data_is_noticed() -> None:
    """With a server too old for associated data, another context is refused all the same."""
    stored: dict[str, str] = {}

    def encrypt_data(*, plaintext: str, **_: object) -> object:
        stored["plaintext"] = plaintext
        return {"data": {"ciphertext": BLOB.decode()}}

    wrapper = _with_engine(
        encrypt_data=encrypt_data, decrypt_data=lambda **_: {"data": dict(stored)}
    )
    blob = wrapper.wrap(DATA, CONTEXT)
    assert wrapper.unwrap(blob, CONTEXT) == DATA
    with pytest.raises(DecryptionError, match="another context"):
        wrapper.unwrap(blob, b"model 1.1.0")


@pytest.mark.parametrize(
    "answer",
    [
        *(None, [], {}, {"data": None}, {"data": {}}, {"data": {"plaintext": 5, "ciphertext": 5}}),
        {"data": {"plaintext": "no base64!", "ciphertext": "no ciphertext"}},
        {"data": {"plaintext": "ü", "ciphertext": "vault:v1:ü"}},
        {"data": {"plaintext": "AQ==", "ciphertext": "vault:v1:" + "A" * 9_000}},
        {"data": {"plaintext": "A" * 1_000_000, "ciphertext": ""}},
    ],
    ids=lambda answer: repr(answer)[:60],
)
def test_strange_answers_are_refused(answer: object) -> None:
    """Answers that are none of a transit engine give typed errors."""
    wrapper = _with_engine(encrypt_data=lambda **_: answer, decrypt_data=lambda **_: answer)
    with pytest.raises(KeyServiceError, match="answered without a ciphertext"):
        wrapper.wrap(DATA, CONTEXT)
    with pytest.raises((DecryptionError, KeyServiceError)):
        wrapper.unwrap(BLOB, CONTEXT)


@pytest.mark.parametrize(
    "blob",
    [
        *(b"g", b"garbage", b"vault:", b"vault:v1:", b"vault:v1:====", b"vault:v1:A", b"\xff" * 99),
        *(
            b"vault:v0:" + BLOB[9:],
            b"vault:v-1:" + BLOB[9:],
            BLOB + b"\n",
            BLOB + b"=",
            b" " + BLOB,
        ),
        BLOB.replace(b"Y2Nj", b"Y2N\xe9", 1),
        b"vault:v1:QR==",
    ],
    ids=repr,
)
def test_what_no_engine_wrote_is_not_sent(blob: bytes) -> None:
    """A blob that is not exactly a transit ciphertext is refused without a call."""
    wrapper = _with_engine(decrypt_data=None)
    with pytest.raises(DecryptionError, match="not wrapped by a transit engine"):
        wrapper.unwrap(blob, CONTEXT)


class _Elsewhere(BaseHTTPRequestHandler):
    """Redirects every request, and counts those that follow."""

    followed = 0

    def do_POST(self) -> None:
        if self.path.startswith("/elsewhere"):
            type(self).followed += 1
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def test_redirects_are_not_followed() -> None:
    """A server cannot send the token on to another address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        wrapper = VaultTransitWrapper.connect("k", address=address, token=SOME)
        with pytest.raises(KeyServiceError, match="answered without"):
            wrapper.wrap(DATA, CONTEXT)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert _Elsewhere.followed == 0


def _with_engine(**engine: object) -> VaultTransitWrapper:
    """Return a wrapper over a client whose transit engine is made of these functions."""
    client = SimpleNamespace(
        url="https://vault.example", secrets=SimpleNamespace(transit=SimpleNamespace(**engine))
    )
    return VaultTransitWrapper("k", client)


def _digest_text() -> str:
    """Return the associated data that stands for the context."""
    return b64encode(sha256(CONTEXT).digest()).decode()
