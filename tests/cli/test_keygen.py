import io
import stat
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from modelsec.cli import keygen
from modelsec.errors import ConfigurationError
from modelsec.signing.keys import KINDS, PrivateKey, PublicKey


def run(*arguments: object) -> int:
    parser = ArgumentParser()
    keygen.add_parser(parser.add_subparsers())
    return keygen.run(parser.parse_args(["keygen", *map(str, arguments)]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """Both files hold one key, whose id is printed."""
    assert run("--kind", kind, tmp_path / "key.pem") == 0
    private = PrivateKey.load(tmp_path / "key.pem")
    assert private.kind == kind
    assert PublicKey.load(tmp_path / "key.pub.pem") == private.public
    printed = capsys.readouterr().out
    assert private.key_id in printed
    assert "(not encrypted)" in printed


def test_the_kinds_are_those_of_the_library() -> None:
    """The help names them without importing cryptography."""
    assert keygen._KINDS == KINDS


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_permissions(tmp_path: Path) -> None:
    """The private key is for its owner, the public one for everybody."""
    run(tmp_path / "key", "--public", tmp_path / "public.pem")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public.pem").stat().st_mode) == 0o644


def test_a_name_without_suffix(tmp_path: Path) -> None:
    """The public key's name is still told from the private one's."""
    run(tmp_path / "release.key")
    assert {path.name for path in tmp_path.iterdir()} == {"release.key", "release.key.pub.pem"}


def test_a_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line of the file encrypts the key, and is not shown."""
    (tmp_path / "password").write_bytes(b"secret words\r\nsecond line\n")
    run(tmp_path / "key.pem", "--password-file", tmp_path / "password")
    assert PrivateKey.load(tmp_path / "key.pem", "secret words").kind == "ecdsa-p256"
    with pytest.raises(ConfigurationError, match="encrypted"):
        PrivateKey.load(tmp_path / "key.pem")
    printed = capsys.readouterr().out
    assert "secret" not in printed
    assert "not encrypted" not in printed


def test_a_password_from_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For pipes from a password manager."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"piped\n")))
    run(tmp_path / "key.pem", "--password-file", "-")
    assert PrivateKey.load(tmp_path / "key.pem", "piped").kind == "ecdsa-p256"


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nsecond", bytes(100_000)])
def test_bad_password_files(tmp_path: Path, content: bytes) -> None:
    """An empty first line protects nothing: no key is made."""
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(ConfigurationError):
        run(tmp_path / "key.pem", "--password-file", tmp_path / "password")
    assert not (tmp_path / "key.pem").exists()


@pytest.mark.parametrize("name", ["key.pem", "key.pub.pem"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    """If either file exists, it stays, and the other one is not left behind."""
    (tmp_path / name).write_text("precious")
    with pytest.raises(ConfigurationError, match="never overwritten"):
        run(tmp_path / "key.pem")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize(
    "arguments",
    [["/"], [""], ["missing/key.pem"], ["key.pem", "--public", "key.pem"]],
    ids=range(4),
)
def test_bad_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[Any]) -> None:
    """Folders, nothing, and one name for both files."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        run(*arguments)
    assert list(tmp_path.iterdir()) == []
