"""``--secret-file``: what an HMAC signature cannot do is refused, by both commands."""

import json
from pathlib import Path

import pytest

from modelsec.cli import main
from modelsec.signing import PrivateKey, sign

KEY = PrivateKey.generate()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_bytes(b"{}")
    (path / "weights.bin").write_bytes(b"w" * 5000)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef" * 2)
    return str(tmp_path / "secret")


@pytest.fixture
def token(model: Path, secret: str, tmp_path: Path) -> str:
    path = str(tmp_path / "token")
    assert main(["sign", str(model), "--secret-file", secret, "--signature", path]) == 0
    return path


@pytest.mark.parametrize(
    "demand",
    [
        ("--key", "/nonexistent.pem"),
        ("--key-set", "keys.toml"),
        ("--root", "ca.pem"),
        ("--identity", "CN=a"),
        ("--any-identity",),
        ("--issuer", "https://example.com"),
        ("--threshold", "1"),
        ("--trust-store", "/nonexistent/store.json"),
        ("--model-version", "2"),
        ("--file", "config.json"),
        ("--at", "2026-01-01T00:00:00Z"),
        ("--ignore", "x"),
        ("--ignore-unsigned",),
        ("--legacy",),
        ("--cache", "cache"),
    ],
    ids=lambda demand: demand[0],
)
def test_what_a_shared_secret_cannot_check_is_not_ignored(
    model: Path,
    secret: str,
    token: str,
    demand: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A demand that an HMAC signature cannot meet is refused by name, not dropped."""
    given = ["verify", str(model), "--secret-file", secret, "--signature", token]
    assert main(given) == 0
    capsys.readouterr()
    assert main([*given, *demand]) == 2
    printed = capsys.readouterr()
    assert demand[0] in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    "said",
    [
        ("--not-after", "2020-01-01T00:00:00Z"),
        ("--serial", "0"),
        ("--model-version", "2"),
        ("--supersedes", "ab" * 32),
        ("--certificate", "c.pem"),
        ("--chain", "c.pem"),
        ("--allow-expired",),
        ("--password-file", "p"),
        ("--algorithm", "blake2b"),
        ("--shards",),
        ("--ignore", "x"),
        ("--cache", "cache"),
    ],
    ids=lambda said: said[0],
)
def test_what_a_shared_secret_cannot_sign_is_not_dropped(
    model: Path, secret: str, said: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """An expiry that is not signed must not look as if it were."""
    assert main(["sign", str(model), "--secret-file", secret, *said]) == 2
    printed = capsys.readouterr()
    assert said[0] in printed.err
    assert printed.out == ""


def test_what_a_shared_secret_signed_is_told(
    model: Path, secret: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for people, a document with --json, and the bare signature for pipes."""
    given, path = ["sign", str(model), "--secret-file", secret, "--name", "churn"], tmp_path / "t"
    assert main(given) == 0
    token = capsys.readouterr().out
    assert main([*given, "--signature", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: signed with the secret ")
    assert path.read_text("utf-8") == token
    assert main([*given, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["token"] + "\n", document["name"]) == (token, "churn")
    assert document["key_id"] in token


def test_what_a_shared_secret_does_not_say_is_in_the_receipt(
    model: Path, secret: str, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no release in it, and no name unless both sides gave it."""
    capsys.readouterr()
    assert main(["verify", str(model), "--secret-file", secret, "--signature", token]) == 0
    printed = capsys.readouterr().out
    assert "an older one would pass" in printed
    assert "no model name was expected" in printed


def test_a_bundle_is_no_signature_of_a_secret(
    model: Path, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which option verifies it is told."""
    bundle = str(sign(model, KEY).bundle)
    assert main(["verify", str(model), "--secret-file", secret, "--signature", bundle]) == 2
    assert "verify it with --key" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["weights.bin", "new.sig"])
def test_the_signature_of_a_secret_stays_out_of_the_model(
    model: Path, secret: str, place: str
) -> None:
    """It would replace a file of the model, or make it another model."""
    before = sorted(path.name for path in model.iterdir())
    given = ["sign", str(model), "--secret-file", secret, "--signature", str(model / place)]
    assert main(given) == 2
    assert sorted(path.name for path in model.iterdir()) == before
    assert (model / "weights.bin").read_bytes() == b"w" * 5000
