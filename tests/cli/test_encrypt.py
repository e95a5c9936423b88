import json
import os
import signal
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from modelsec.cli.decrypt import tidy_when_ended
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


def test_a_key_file_by_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are made, rotated, listed and retired; their names are shown, never they."""
    path = folder / "made"
    assert run("keyfile", "new", path) == 0
    assert run("keyfile", "rotate", path) == 0
    new, old = LocalKeyWrapper.load(path).key_ids
    capsys.readouterr()
    assert run("keyfile", "list", path) == 0
    printed = capsys.readouterr().out
    assert f"wraps    {new}" in printed
    assert f"unwraps  {old}" in printed
    assert not any(line.split()[-1] in printed for line in path.read_text().splitlines()[2:])
    assert run("keyfile", "retire", path, old, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path), "keys": [new]}
    with pytest.raises(ConfigurationError, match="never overwritten"):
        run("keyfile", "new", path)
    with pytest.raises(ConfigurationError, match="rotate first"):
        run("keyfile", "retire", path, new)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        run("keyfile", "list", path)
    assert run("keyfile", "list", path, "--readable-by-others") == 0


def test_a_mounted_key(folder: Path) -> None:
    """A key file that others may read needs a word."""
    (folder / "keys").chmod(0o444)
    keys = ("--key-file", folder / "keys")
    with pytest.raises(ConfigurationError, match="chmod 600"):
        run("encrypt", folder / "model", folder / "sealed", *keys)
    assert run("encrypt", folder / "model", folder / "sealed", *keys, "--readable-by-others") == 0


def test_no_key_file(folder: Path) -> None:
    """Who encrypts is told how to make one; to who decrypts a new one would be of no use."""
    keys = ("--key-file", folder / "missing")
    with pytest.raises(ConfigurationError, match=r"there is no key file.*--new-key"):
        run("encrypt", folder / "model", folder / "sealed", *keys)
    with pytest.raises(ConfigurationError, match="there is no key file") as refused:
        run("decrypt", folder / "model", folder / "back", *keys)
    assert "--new-key" not in str(refused.value)


def test_no_new_key_for_nothing(folder: Path) -> None:
    """A source that is not there leaves no key file behind."""
    with pytest.raises(ConfigurationError, match="No such file"):
        run("encrypt", folder / "away", folder / "x", "--new-key", "--key-file", folder / "new")
    assert not (folder / "new").exists()


def test_rewrap_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder's files are opened by another key from now on."""
    other = LocalKeyWrapper.generate(folder / "other")
    (folder / "tree").mkdir()
    for name in ("a", "b"):
        (folder / "tree" / name).write_text(name)
    keys = ("--key-file", folder / "keys", *CONTEXT)
    run("encrypt", folder / "tree", folder / "sealed", *keys)
    to = ("--to-key-file", folder / "other")
    assert run("rewrap", folder / "sealed", *keys, *to) == 0
    assert ", 2 files" in capsys.readouterr().out
    assert unverified_header(folder / "sealed" / "b").key_id == other.key_id
    back = ("--key-file", folder / "other", *CONTEXT)
    assert run("decrypt", folder / "sealed", folder / "back", *back) == 0
    capsys.readouterr()
    assert run("rewrap", folder / "sealed", "--json", *back, *to) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended_by_a_signal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A program that is told to end deletes the plaintext that it has written until then."""
    keys = ("--key-file", folder / "keys")
    run("encrypt", folder / "model", folder / "sealed", *keys)
    pwrite = os.pwrite

    def ending(descriptor: int, data: memoryview, offset: int) -> int:
        os.kill(os.getpid(), number)
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", ending)
    before = signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
    try:
        with pytest.raises(SystemExit) as ended:
            run("decrypt", folder / "sealed", folder / "back", *keys)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert ended.value.code == 128 + number
    assert sorted(path.name for path in folder.iterdir()) == ["keys", "model", "sealed"]


def test_ignored_signals_stay_ignored(folder: Path) -> None:
    """What nohup set stays, and threads, which cannot handle signals, decrypt, too."""
    keys = ("--key-file", folder / "keys")
    run("encrypt", folder / "model", folder / "sealed", *keys)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tidy_when_ended():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    with ThreadPoolExecutor(1) as pool:
        command = ("decrypt", folder / "sealed", folder / "back", *keys)
        assert pool.submit(run, *command).result() == 0
