"""Key wrappers from URIs."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import ConfigurationError
from modelsec.encryption.aws_kms import AwsKmsWrapper
from modelsec.encryption.key_file import LocalKeyWrapper
from modelsec.encryption.vault import VaultTransitWrapper
from modelsec.encryption.wrapper_uri import wrapper_from_uri

ARN = "arn:aws:kms:eu-west-1:123456789012:key/0f3c5a9e-0000-4000-8000-000000000000"
VAULT = {"VAULT_TOKEN": "s.some-token", "VAULT_ADDR": "https://vault.example:8200"}


@pytest.mark.parametrize("form", ["file:{}", "file://{}", "file://localhost{}", "FILE:{}"])
def test_a_key_file_is_loaded(tmp_path: Path, form: str) -> None:
    """A path after file: is a key file, read literally."""
    made = LocalKeyWrapper.generate(tmp_path / "a key%20?#é")
    assert wrapper_from_uri(form.format(tmp_path / "a key%20?#é")).key_id == made.key_id


def test_a_relative_path_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path may be relative."""
    made = LocalKeyWrapper.generate(tmp_path / "key")
    monkeypatch.chdir(tmp_path)
    assert wrapper_from_uri("file:key").key_id == made.key_id


def test_mounted_secrets_are_an_option(tmp_path: Path) -> None:
    """A file that others may read takes the same option as in LocalKeyWrapper.load."""
    made = LocalKeyWrapper.generate(tmp_path / "key")
    (tmp_path / "key").chmod(0o440)
    with pytest.raises(ConfigurationError, match="readable_by_others"):
        wrapper_from_uri(f"file:{tmp_path / 'key'}")
    loaded = wrapper_from_uri(f"file:{tmp_path / 'key'}", readable_by_others=True)
    assert loaded.key_id == made.key_id


@pytest.mark.parametrize("uri", [f"aws-kms://{ARN}", f"awskms:///{ARN}", f"aws-kms:{ARN}"])
def test_aws_by_arn(uri: str) -> None:
    """An ARN tells key and region; nothing is asked over the network."""
    wrapper = wrapper_from_uri(uri)
    assert isinstance(wrapper, AwsKmsWrapper)
    assert wrapper.key_id == f"aws-kms://{ARN}"


def test_vault_by_tink_s_uri() -> None:
    """The scheme of Tink holds address, mount and key."""
    uri = "hcvault://vault.example:8200/teams/ml/keys/models"
    wrapper = wrapper_from_uri(uri, environment=VAULT)
    assert isinstance(wrapper, VaultTransitWrapper)
    assert wrapper.key_id == uri


def test_vault_by_the_uri_of_cosign() -> None:
    """The scheme of cosign takes the address from the environment that is passed."""
    wrapper = wrapper_from_uri("hashivault://models", environment=VAULT)
    assert wrapper.key_id == "hcvault://vault.example:8200/transit/keys/models"


def test_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vault's variables count only where they are passed."""
    for name, value in VAULT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="set VAULT_TOKEN"):
        wrapper_from_uri("hcvault://vault.example/transit/keys/k")
    with pytest.raises(ConfigurationError, match="set VAULT_ADDR"):
        wrapper_from_uri("hashivault://k", environment={"VAULT_TOKEN": "s.x"})


@pytest.mark.parametrize(
    "uri",
    [
        *("gcp-kms://k", "azurekms://k", "https://h/k", "key", "/etc/key", "", ":", "x" * 5_000),
        *(None, 5, b"file:k", "\x00:", "\ud800:k"),
    ],
    ids=lambda uri: ascii(uri)[:20],
)
def test_schemes_are_listed(uri: object) -> None:
    """What names no service of ours is refused; the message says what does."""
    with pytest.raises(ConfigurationError, match=r"schemes: aws-kms, awskms, file|a URI of up to"):
        wrapper_from_uri(uri)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "uri",
    [
        *("file:", "file://", "file:///", "file://host/key", "file:no/such", "file:\x00"),
        *("aws-kms:", "aws-kms://", "aws-kms://a b", "awskms:k", "awskms://", "awskms://h:1/k"),
        *("awskms:///", "hcvault:", "hcvault://", "hcvault:///transit/keys/k", "hcvault://h/keys"),
        *("hcvault://h/transit/keys/", "hcvault://h/transit/keys/a/b", "hcvault://h/../keys/k"),
        *("hcvault://u:p@h/transit/keys/k", "hcvault://[h/transit/keys/k", "hcvault://h/keys/k"),
        *("hashivault:", "hashivault://", "hashivault:k", "hashivault://../k"),
    ],
    ids=ascii,
)
def test_a_uri_names_a_key(uri: str) -> None:
    """URIs that are cut off or lead elsewhere are refused."""
    with pytest.raises(ConfigurationError):
        wrapper_from_uri(uri, environment=VAULT)


@given(
    st.sampled_from(
        ["", "file:", "file://", "aws-kms://", "awskms://", "hcvault://", "hashivault:"]
    ),
    st.text(max_size=60).filter(lambda text: "/" not in text[:3]),
)
def test_any_text_is_a_key_or_refused(scheme: str, text: str) -> None:
    """Whatever follows a scheme, the outcome is a wrapper or a typed error."""
    with suppress(ConfigurationError):
        assert wrapper_from_uri(scheme + text, environment=VAULT).key_id


def test_a_timeout_is_passed_on() -> None:
    """A timeout that cannot be is refused for each service."""
    for uri in (f"aws-kms://{ARN}", "hashivault://k"):
        with pytest.raises(ConfigurationError, match="timeout"):
            wrapper_from_uri(uri, environment=VAULT, timeout=0)
