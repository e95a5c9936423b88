import json
import os
from pathlib import Path

import pytest

from modelsec.cli import main
from modelsec.signing import PrivateKey
from modelsec.signing.bundles.bundle import MEDIA_TYPE
from tests.support.pki_files import write_pki


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights.bin").write_bytes(b"w" * 3000)
    (path / "config.json").write_text("{}", "utf-8")
    return path


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    key = PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    key.save(private)
    key.public.save(public)
    return str(private), str(public)


def test_sign_and_verify(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two commands; each says what it did in a few lines."""
    private, public = keys
    assert main(["sign", str(model), "--key", private]) == 0
    assert "2 files signed" in capsys.readouterr().out
    assert json.loads(model.with_name("model.sig").read_bytes())["mediaType"] == MEDIA_TYPE
    assert main(["verify", str(model), "--key", public]) == 0
    printed = capsys.readouterr()
    assert "2 files verified" in printed.out
    assert "not checked  no model name was expected" in printed.out
    assert printed.err == ""


def test_a_refusal_is_one_line_and_an_exit_code(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what was changed, and prints no receipt."""
    private, public = keys
    assert main(["sign", str(model), "--key", private]) == 0
    (model / "weights.bin").write_bytes(b"W")
    capsys.readouterr()
    assert main(["verify", str(model), "--key", public, "--json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "1 changed ('weights.bin')" in printed.err
    assert printed.err.count("\n") == 1


def test_releases_and_the_trust_store(
    model: Path, keys: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name, version, serial and expiry are signed, and the store refuses what is older."""
    private, public = keys
    named = ["--name", "churn", "--model-version", "2", "--not-after", "2999-01-01T00:00:00Z"]
    store = ["--name", "churn", "--trust-store", str(tmp_path / "releases.json")]
    assert main(["sign", str(model), "--key", private, "--serial", "2", *named]) == 0
    assert "name churn, version 2, serial 2, not_after 2999" in capsys.readouterr().out
    assert main(["verify", str(model), "--key", public, *store, "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["release"]["serial"] == 2
    assert receipt["unchecked"] == []
    assert main(["sign", str(model), "--key", private, "--serial", "1", *named]) == 0
    assert main(["verify", str(model), "--key", public, *store]) == 1
    assert "older" in capsys.readouterr().err
    assert main(["verify", str(model), "--key", public, "--name", "fraud"]) == 1
    late = ["--at", "2999-01-01T00:00:01Z"]
    assert main(["verify", str(model), "--key", public, *late]) == 1
    assert "expired" in capsys.readouterr().err


def test_certificates(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An identity has to be named, or given up in so many words."""
    paths = write_pki(tmp_path)
    chain = ["--certificate", str(paths.leaf), "--chain", str(paths.intermediate)]
    assert main(["sign", str(model), "--key", str(paths.key), *chain]) == 0
    root = ["verify", str(model), "--root", str(paths.root)]
    assert main(root) == 2
    assert "identity" in capsys.readouterr().err
    assert main([*root, "--any-identity"]) == 0
    assert main([*root, "--identity", paths.subject]) == 0
    assert main([*root, "--identity", "CN=somebody else"]) == 1


def test_a_chain_needs_its_certificate(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A forgotten option is told."""
    assert main(["sign", str(model), "--key", keys[0], "--chain", "ca.pem"]) == 2
    assert "--certificate" in capsys.readouterr().err


def test_shared_secrets(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The signature is printed, or written; the secret comes from a file."""
    secret, token = tmp_path / "secret", tmp_path / "token"
    secret.write_bytes(bytes(range(32)))
    assert main(["sign", str(model), "--secret-file", str(secret)]) == 0
    token.write_text(capsys.readouterr().out, "utf-8")
    check = ["verify", str(model), "--secret-file", str(secret), "--signature", str(token)]
    assert main(check) == 0
    assert "can also make one" in capsys.readouterr().out
    written = ["--signature", str(tmp_path / "again")]
    assert main(["sign", str(model), "--secret-file", str(secret), *written]) == 0
    assert (tmp_path / "again").read_bytes() == token.read_bytes()
    (model / "config.json").write_text("[]", "utf-8")
    assert main(check) == 1
    assert main(check[:4]) == 2
    assert "--signature" in capsys.readouterr().err


def test_shards_algorithms_and_ignored_paths(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths may be absolute, as scripts have them."""
    private, public = keys
    options = ["--algorithm", "blake3", "--shards", "1024", "--profile", "oms"]
    ignore = ["--ignore", str(model / "config.json")]
    assert main(["sign", str(model), "--key", private, *options, *ignore]) == 0
    assert "left out     config.json" in capsys.readouterr().out
    assert main(["verify", str(model), "--key", public]) == 1
    assert main(["verify", str(model), "--key", public, "--profile", "oms"]) == 0
    assert "left out     config.json" in capsys.readouterr().out
    outside = ["--ignore", "/elsewhere/config.json"]
    assert main(["sign", str(model), "--key", private, *options, *outside]) == 2
    assert "not inside" in capsys.readouterr().err


def test_partial_and_unsigned(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are said in the receipt."""
    private, public = keys
    assert main(["sign", str(model), "--key", private]) == 0
    assert main(["verify", str(model), "--key", public, "--file", "config.json"]) == 0
    assert "1 file verified (only these)" in capsys.readouterr().out
    (model / "notes.txt").write_text("", "utf-8")
    assert main(["verify", str(model), "--key", public]) == 1
    assert main(["verify", str(model), "--key", public, "--ignore-unsigned"]) == 0
    assert "not signed   notes.txt" in capsys.readouterr().out


def test_a_cache_is_kept(
    model: Path, keys: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that have been at rest are not read again, and the receipt lists them."""
    private, public = keys
    for file in model.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    cache = ["--cache", str(tmp_path / "digests")]
    assert main(["sign", str(model), "--key", private, *cache]) == 0
    capsys.readouterr()
    assert main(["verify", str(model), "--key", public, *cache, "--json"]) == 0
    # Changing the times was a change of the inode just now: too young to be trusted.
    assert json.loads(capsys.readouterr().out)["cached"] == []


def test_nobody_is_trusted_by_default(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no default key, and no default root."""
    assert main(["sign", str(model), "--key", keys[0]]) == 0
    assert main(["verify", str(model)]) == 2
    assert "nobody is trusted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["sign", "model"],
        ["sign", "model", "--key", "k", "--secret-file", "s"],
        ["sign", "model", "--key", "k", "--algorithm", "md5"],
        ["sign", "model", "--key", "k", "--not-after", "tomorrow"],
        ["verify", "model", "--key", "k", "--at", "2026-01-01T00:00:00"],
        ["verify", "model", "--key", "k", "--at", "0001-01-01T00:00:00+12:00"],
        ["verify", "model", "--key", "k", "--profile", "lax"],
        ["verify"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and a line of usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_version_needs_a_name(
    model: Path, keys: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A serial of no model is of no use."""
    assert main(["sign", str(model), "--key", keys[0], "--serial", "1"]) == 2
    assert "--name" in capsys.readouterr().err


def test_secrets_have_content(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty file is no secret, and a huge one neither."""
    for content in (b"", b"x" * 70_000):
        (tmp_path / "secret").write_bytes(content)
        assert main(["sign", str(model), "--secret-file", str(tmp_path / "secret")]) == 2
        assert "to be a secret" in capsys.readouterr().err
