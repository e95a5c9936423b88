"""The ``modelsec digest`` command."""

import hashlib
import json
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from modelsec.cli import digest
from modelsec.cli.progress import progress
from modelsec.errors import ConfigurationError, UnsafeTreeError
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Layout
from modelsec.signing.profile import STRICT
from modelsec.signing.trees.tree import open_tree


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "config.json").write_bytes(b"{}")
    (root / "empty").write_bytes(b"")
    (root / "unet" / "w.bin").write_bytes(bytes(250))
    return root


def run(*arguments: object) -> int:
    parser = ArgumentParser()
    digest.add_parser(parser.add_subparsers())
    return digest.run(parser.parse_args(["digest", *map(str, arguments)]))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_file_is_printed_as_sha256sum_does(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digest, two spaces and the name."""
    assert run(model / "config.json") == 0
    assert capsys.readouterr().out == f"{sha256(b'{}')}  config.json\n"


def test_a_folder_has_a_digest_with_names_and_one_of_oms(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are those of the manifest; renaming a file changes the first one only."""
    with open_tree(model, profile=STRICT) as tree:
        manifest = survey(tree, Layout()).manifest
    assert run(model) == 0
    first = capsys.readouterr().out
    assert manifest.tree_digest in first
    assert manifest.root_digest in first
    assert "3 files, sha256" in first
    (model / "empty").rename(model / "emptz")
    run(model)
    second = capsys.readouterr().out
    assert manifest.tree_digest not in second
    assert manifest.root_digest in second


def test_files_and_shards_are_listed(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file, or every range and every empty file."""
    run(model, "--files")
    assert f"{sha256(bytes(250))}  unet/w.bin" in capsys.readouterr().out.splitlines()
    run(model, "--files", "--shards", "200")
    lines = capsys.readouterr().out.splitlines()
    assert f"{sha256(bytes(50))}  unet/w.bin:200:250" in lines
    assert any(line.startswith("empty file ") and line.endswith("  empty") for line in lines)
    run(model, "--files", "--shards")
    assert f"{sha256(bytes(250))}  unet/w.bin:0:250" in capsys.readouterr().out.splitlines()


def test_json_holds_the_same(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Digests, count, what was left out; files if they are asked for."""
    (model / ".git").mkdir()
    run(model, "--json", "--profile", "oms", "--ignore", "unet")
    document = json.loads(capsys.readouterr().out)
    assert document["count"] == 2
    assert document["excluded"] == [".git", "unet"]
    assert "files" not in document
    run(model, "--json", "--files", "--profile", "oms", "--algorithm", "blake3")
    document = json.loads(capsys.readouterr().out)
    assert document["algorithm"] == "blake3"
    assert [file["name"] for file in document["files"]] == ["config.json", "empty", "unet/w.bin"]


def test_what_is_left_out_is_told(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``oms`` leaves ``.git`` out and says so; ``strict`` refuses it."""
    (model / ".git").mkdir()
    run(model, "--profile", "oms")
    assert "left out: .git" in capsys.readouterr().out
    with pytest.raises(UnsafeTreeError, match=r"\.git"):
        run(model)


def test_names_are_printed_escaped(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No control character of a name reaches the terminal."""
    (model / "x\n\x1b[2J\u202e").write_bytes(b"x")
    run(model, "--files", "--profile", "oms")
    out = capsys.readouterr().out
    assert "x\\n\\x1b[2J\\u202e" in out
    assert out.isascii()


def test_a_cache_is_used(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is opened, and refused where it must not lie."""
    run(model, "--json", "--cache", tmp_path / "cache")
    assert json.loads(capsys.readouterr().out)["cached"] == 0
    with pytest.raises(ConfigurationError, match="inside the model"):
        run(model, "--cache", model / "cache")


@pytest.mark.parametrize("size", ["0", "-1", "x", "1e9", ""])
def test_a_wrong_size_is_wrong_usage(
    model: Path, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and the message says what a size is."""
    with pytest.raises(SystemExit) as caught:
        run(model, f"--shards={size}")
    assert caught.value.code == 2
    assert "positive number of bytes" in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal_only(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is wiped at the end, and nothing is printed where nobody watches."""
    run(model)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(model)
    err = capsys.readouterr().err
    assert "hashing 100%" in err
    assert err.endswith("\r" + " " * 12 + "\r")
    with progress("signing") as tell:
        assert tell is not None
        tell(0, 0)
        tell(0, 10)
        tell(5, 10)
    assert capsys.readouterr().err.count("signing   0%") == 1


def test_bare(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One digest and nothing else, for scripts and cards: that which text prints first."""
    run(model)
    first = capsys.readouterr().out.split()[2]
    run(model, "--bare")
    assert capsys.readouterr().out == f"{first}\n"
    run(model / "config.json", "--bare")
    assert capsys.readouterr().out == f"{sha256(b'{}')}\n"
    with pytest.raises(ConfigurationError, match="--files"):
        run(model, "--bare", "--files")
    with pytest.raises(SystemExit):
        run(model, "--bare", "--json")


def test_files_of_git_may_be_left_out(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The digest is that of the model without them."""
    run(model, "--bare")
    before = capsys.readouterr().out
    (model / ".gitattributes").write_bytes(b"x")
    run(model, "--bare", "--leave-out-git")
    assert capsys.readouterr().out == before
    with pytest.raises(UnsafeTreeError):
        run(model, "--bare")


def test_shards_of_any_size_are_no_foreign_error(model: Path) -> None:
    """The command refuses a size that no file has."""
    with pytest.raises(ConfigurationError, match="--shards"):
        run(model, "--shards", 2**70)
    assert run(model, "--shards", 2**63 - 1) == 0
