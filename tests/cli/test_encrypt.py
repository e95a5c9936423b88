import json
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import pytest

from modelsec.encryption import LocalKeyWrapper, decrypt_to_buffer, unverified_header
from modelsec.errors import ConfigurationError, DecryptionError

CONTEXT = ["--context", "name=resnet", "--context", "version=3"]


def run(name: str, *arguments: object) -> int:
    """Parse and run one command as the program does, with the exit codes of the program."""
    parser = ArgumentParser()
    commands = parser.add_subparsers()
    module = import_module(f"modelsec.cli.{name}")
    module.add_parser(commands)
    return int(module.run(parser.parse_args([name, *map(str, arguments)])))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    LocalKeyWrapper.generate(tmp_path / "keys")
    return tmp_path


def test_there_and_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Encrypting and decrypting say what they did and restore the file."""
    keys = ("--key-file", folder / "keys", *CONTEXT)
    assert run("encrypt", folder / "model", folder / "sealed", *keys) == 0
    assert run("decrypt", folder / "sealed", folder / "back", *keys) == 0
    printed = capsys.readouterr()
    assert "encrypted 1 file, 7,000 bytes, to" in printed.out
    assert "decrypted 1 file, 7,000 bytes, to" in printed.out
    assert "all verified" in printed.out
    assert printed.err == ""
    assert (folder / "back").read_bytes() == (folder / "model").read_bytes()
    secret = (folder / "keys").read_text().split()[-1]
    assert secret not in printed.out


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The records can be read by a program."""
    keys = ("--key-file", folder / "keys", *CONTEXT, "--json")
    run("encrypt", folder / "model", folder / "sealed", "--segment-size", "4KiB", *keys)
    record = json.loads(capsys.readouterr().out)
    assert record["segment_size"] == 4096
    assert record["context"] == {"name": "resnet", "version": "3"}
    run("decrypt", folder / "sealed", folder / "back", *keys)
    assert json.loads(capsys.readouterr().out)["plaintext_size"] == 7000
    run("rewrap", folder / "sealed", *keys, "--to-key-file", folder / "keys")
    assert json.loads(capsys.readouterr().out)["new_key_id"] == record["key_id"]


def test_folders(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is encrypted file by file, and decrypted as one."""
    (folder / "tree" / "below").mkdir(parents=True)
    (folder / "tree" / "config.json").write_text("{}")
    (folder / "tree" / "below" / "weights").write_bytes(b"weights")
    keys = ("--key-file", folder / "keys", *CONTEXT)
    assert run("encrypt", folder / "tree", folder / "sealed", *keys) == 0
    assert "encrypted 2 files, 9 bytes, to" in capsys.readouterr().out
    assert run("decrypt", folder / "sealed", folder / "back", *keys, "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["plaintext_size"] for record in records] == [7, 2]
    assert (folder / "back" / "below" / "weights").read_bytes() == b"weights"
    (folder / "sealed" / "config.json").unlink()
    with pytest.raises(DecryptionError):
        run("decrypt", folder / "sealed", folder / "again", *keys)


def test_new_key(folder: Path) -> None:
    """A key file is made on demand, and never over another."""
    made = ("--new-key", "--key-file", folder / "new")
    assert run("encrypt", folder / "model", folder / "sealed", *made) == 0
    content = decrypt_to_buffer(folder / "sealed", LocalKeyWrapper.load(folder / "new"))
    assert bytes(content) == (folder / "model").read_bytes()
    with pytest.raises(ConfigurationError, match="never overwritten"):
        run("encrypt", folder / "model", folder / "sealed", *made)
    with pytest.raises(ConfigurationError, match="name it with --key-file"):
        run("encrypt", folder / "model", folder / "x", "--new-key", "--aws-kms", "alias/a")


def test_rewrap(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another key opens the file from now on."""
    other = LocalKeyWrapper.generate(folder / "other")
    keys = ("--key-file", folder / "keys", *CONTEXT)
    run("encrypt", folder / "model", folder / "sealed", *keys)
    to = ("--to-key-file", folder / "other")
    assert run("rewrap", folder / "sealed", "--output", folder / "copy", *keys, *to) == 0
    assert unverified_header(folder / "sealed").key_id != other.key_id
    assert run("rewrap", folder / "sealed", *keys, *to) == 0
    assert unverified_header(folder / "sealed").key_id == other.key_id
    assert (folder / "sealed").stat().st_size == (folder / "copy").stat().st_size
    assert f"to        '{other.key_id}'" in capsys.readouterr().out


@pytest.mark.parametrize("context", [[], ["--context", "name=resnet", "--context", "version=2"]])
def test_refusal(folder: Path, context: list[str]) -> None:
    """Another context decrypts nothing."""
    keys = ("--key-file", folder / "keys")
    run("encrypt", folder / "model", folder / "sealed", *keys, *CONTEXT)
    with pytest.raises(DecryptionError, match="the context is not the expected one"):
        run("decrypt", folder / "sealed", folder / "back", *keys, *context)
    assert not (folder / "back").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--key-file", "missing"],
        ["--key-file", "keys", "--context", "name"],
        ["--key-file", "keys", "--context", "a=1", "--context", "a=2"],
        ["--key-file", "keys", "--context", "=1"],
        ["--vault", "nonsense"],
        ["--vault", "hcvault://example.test/transit/keys/models"],
        ["--aws-kms", "no key at all"],
    ],
    ids=range(7),
)
def test_wrong_options(folder: Path, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be is told, and writes nothing."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    with pytest.raises(ConfigurationError):
        run("encrypt", "model", "sealed", *options)
    assert sorted(path.name for path in folder.iterdir()) == ["keys", "model"]


@pytest.mark.parametrize(
    "options", [[], ["--key-file", "a", "--vault", "b"], ["--key-file", "a", "--segment-size", "3"]]
)
def test_wrong_usage(folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No key, two keys, an unknown size: exit code 2."""
    with pytest.raises(SystemExit) as ended:
        run("encrypt", folder / "model", folder / "sealed", *options)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_progress_where_somebody_watches(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the percentage is told, on standard error."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    keys = ("--key-file", folder / "keys")
    run("encrypt", folder / "model", folder / "sealed", *keys)
    run("decrypt", folder / "sealed", folder / "back", *keys)
    told = capsys.readouterr().err
    assert "encrypting 100%" in told
    assert "decrypting 100%" in told
