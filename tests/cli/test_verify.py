"""``modelsec verify`` and ``sign``: no option is ignored, and each refusal has its code."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelsec.cli import main
from modelsec.signing import OMS, CertifiedKey, PrivateKey, sign
from tests.support.certificates import authority, issue
from tests.support.pki_files import write_pki

KEY = PrivateKey.generate()
SIGSTORE = ("stefanb@us.ibm.com", "https://sigstore.verify.ibm.com/oauth2")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_bytes(b"{}")
    (path / "weights.bin").write_bytes(b"w" * 5000)
    return path


@pytest.fixture
def private(tmp_path: Path) -> str:
    KEY.save(tmp_path / "key.pem")
    return str(tmp_path / "key.pem")


@pytest.fixture
def public(tmp_path: Path) -> str:
    KEY.public.save(tmp_path / "key.pub.pem")
    return str(tmp_path / "key.pub.pem")


# --- Who is trusted --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--key", "K", "--identity", "alice@example.com"], "--identity needs --root"),
        (["--key", "K", "--any-identity"], "--any-identity needs --root"),
        (["--identity", "alice@example.com"], "nobody is trusted"),
        (["--key", "K", "--issuer", "https://example.com"], "--issuer needs --identity"),
        (["--root", "R", "--any-identity", "--identity", "CN=alice"], "contradict"),
        (["--root", "R", "--issuer", "https://example.com", "--identity", "a"], "one of them"),
        (["--root", "R"], "--root needs --identity"),
        (["--issuer", "https://example.com", "--any-identity", "--identity", "a"], "contradict"),
    ],
)
def test_every_option_about_trust_is_used_or_refused(  # noqa: PLR0913, PLR0917 - fixtures
    model: Path,
    public: str,
    tmp_path: Path,
    options: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever asks for an identity is not told that all is well when nobody compared it."""
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
    root = authority("CN=root", since=since, until=until)
    leaf = issue("CN=mallory", root, since=since, until=until)
    (tmp_path / "root.pem").write_bytes(root.pem)
    sign(model, CertifiedKey(leaf.private, leaf.pem) if "--root" in options else KEY)
    files = {"K": public, "R": str(tmp_path / "root.pem")}
    assert main(["verify", str(model), *(files.get(word, word) for word in options)]) == 2
    assert told in capsys.readouterr().err


def test_roots_alone_are_enough_for_the_profile_of_oms(model: Path, tmp_path: Path) -> None:
    """Its text does not ask for an identity."""
    paths = write_pki(tmp_path)
    sign(model, CertifiedKey.load(paths.key, paths.leaf, [paths.intermediate]))
    given = ["verify", str(model), "--root", str(paths.root)]
    assert main([*given, "--profile", "oms"]) == 0
    assert main(given) == 2


@pytest.mark.parametrize("who", [["--identity", SIGSTORE[0]], ["--any-identity"]])
def test_sigstore(
    who: list[str],
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An identity, or anybody at the issuer; what Sigstore logs is not printed."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    folder = shared_data / "oms" / "signed" / "v1.1.0-sigstore"
    before = logging.getLogger("sigstore").level
    given = ["verify", str(folder), "--signature", str(folder / "model.sig"), "--profile", "oms"]
    assert main([*given, "--issuer", SIGSTORE[1], *who]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert ("anyone with an account" in printed.out) == (who == ["--any-identity"])
    assert logging.getLogger("sigstore").level == before
    assert main([*given, "--issuer", "https://example.com", *who]) == 1


# --- Exit codes and hints --------------------------------------------------------------------


def test_what_is_missing_is_wrong_usage(
    model: Path, public: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script can tell a typing error from an attack, and people what to type."""
    given = ["verify", str(model), "--key", public]
    assert main(given) == 2
    assert "--signature FILE" in capsys.readouterr().err
    sign(model, KEY)
    assert main(["verify", str(model), "--key", str(tmp_path / "none.pem")]) == 2
    assert main(["verify", str(tmp_path / "none"), "--key", public]) == 2
    assert main([*given, "--threshold", "0"]) == 2
    assert main([*given, "--threshold", "2"]) == 1
    (model / "weights.bin").write_bytes(b"")
    assert main(given) == 1


@pytest.mark.parametrize("name", ["nope.json", "./config.json"])
def test_a_misspelt_file_is_wrong_usage(
    model: Path, public: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not reported as a file that somebody added."""
    sign(model, KEY)
    given = ["verify", str(model), "--key", public, "--file", "config.json", "--file", name]
    assert main(given) == 2
    assert f"--file '{name}': no such file in the signature" in capsys.readouterr().err
    (model / "config.json").write_bytes(b"!!")
    assert main(given[:-2]) == 1


def test_refusals_name_options_where_the_library_names_arguments(
    model: Path, public: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the library calls a class, people at a terminal call an option."""
    paths = write_pki(tmp_path)
    sign(model, CertifiedKey.load(paths.key, paths.leaf, [paths.intermediate]))
    assert main(["verify", str(model), "--key", public]) == 1
    assert "--root with --identity" in capsys.readouterr().err
    late = ["--root", str(paths.root), "--any-identity", "--at", "2190-01-01T00:00:00Z"]
    assert main(["verify", str(model), *late]) == 1
    error = capsys.readouterr().err
    assert "on the command line: --at" in error
    assert error.count("\n") == 1


def test_another_time_is_told(model: Path, public: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt as of another time must not pass for one of today."""
    sign(model, KEY)
    given = ["verify", str(model), "--key", public, "--at", "2020-01-01T01:00:00+01:00"]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert "as of        2020-01-01T00:00:00Z" in printed
    assert main([*given, "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["verified_at"] == "2020-01-01T00:00:00Z"
    assert any("as of 2020-01-01T00:00:00Z, not now" in gap for gap in receipt["unchecked"])


# --- Files of git ----------------------------------------------------------------------------


def test_a_clone_of_a_hub(
    model: Path, private: str, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git's files may stay, everything else is as strict as ever; the receipt says which."""
    (model / ".git").mkdir()
    (model / ".gitattributes").write_bytes(b"*.bin filter=lfs\n")
    assert main(["sign", str(model), "--key", private]) == 1
    assert main(["sign", str(model), "--key", private, "--leave-out-git"]) == 0
    given = ["verify", str(model), "--key", public]
    assert main(given) == 1
    capsys.readouterr()
    assert main([*given, "--leave-out-git", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["profile"] == "strict, git files left out"
    assert receipt["ignored"] == [".git", ".gitattributes"]
    (model / "setup.py").write_bytes(b"")
    assert main([*given, "--leave-out-git"]) == 1


def test_only_files_of_git_are_left_out(
    model: Path, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither what the signer left out by name, nor empty files beside shards."""
    sign(model, KEY, profile=OMS, ignore=["extra.py"], shard_size=1024)
    given = ["verify", str(model), "--key", public]
    assert main([*given, "--leave-out-git"]) == 0
    for name in ("extra.py", "empty"):
        (model / name).write_bytes(b"")
        assert main([*given, "--profile", "oms"]) == 0
        capsys.readouterr()
        assert main([*given, "--leave-out-git"]) == 1
        assert f"'{name}'" in capsys.readouterr().err
        (model / name).unlink()
    assert main([*given, "--leave-out-git", "--ignore", "x"]) == 2
    assert main([*given, "--leave-out-git", "--profile", "oms"]) == 2


# --- Keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "told"), [(2000, 2001, "expired on"), (2190, 2191, "not valid before")]
)
def test_a_certificate_that_is_not_valid_now_does_not_sign(  # noqa: PLR0913, PLR0917 - fixtures
    model: Path,
    tmp_path: Path,
    since: int,
    until: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No verifier would accept it; whoever wants it all the same can say so."""
    leaf = issue(
        "CN=late", since=datetime(since, 1, 1, tzinfo=UTC), until=datetime(until, 1, 1, tzinfo=UTC)
    )
    (tmp_path / "cert.pem").write_bytes(leaf.pem)
    (tmp_path / "leaf.pem").write_bytes(leaf.key_pem)
    given = ["sign", str(model), "--key", str(tmp_path / "leaf.pem")]
    certificate = ["--certificate", str(tmp_path / "cert.pem")]
    assert main([*given, *certificate]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "--allow-expired" in error
    assert not model.with_name("model.sig").exists()
    assert main([*given, *certificate, "--allow-expired"]) == 0
    assert main([*given, "--allow-expired"]) == 2


def test_a_password_file_means_the_same_to_every_command(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first line counts, also of standard input: keygen and sign agree."""
    (tmp_path / "password").write_bytes(b"correct horse\r\nthe password of the release key\n")
    key, password = str(tmp_path / "key.pem"), str(tmp_path / "password")
    assert main(["keygen", key, "--password-file", password]) == 0
    assert main(["sign", str(model), "--key", key, "--password-file", password]) == 0
    reading, writing = os.pipe()
    os.write(writing, b"correct horse\nmore\n")
    os.close(writing)
    with os.fdopen(reading, "r") as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert main(["sign", str(model), "--key", key, "--password-file", "-"]) == 0
    (tmp_path / "password").write_bytes(b"\ncorrect horse\n")
    assert main(["sign", str(model), "--key", key, "--password-file", password]) == 2


def test_a_rotation(model: Path, private: str, public: str, tmp_path: Path) -> None:
    """As the documentation has it: a key set that gains a key, and a bundle by the new key."""
    new = str(tmp_path / "new.pem")
    keys, bundle = tmp_path / "keys.toml", str(tmp_path / "model.new.sig")
    keys.write_text('[[key]]\nfile = "key.pub.pem"\nnot_after = 2999-03-01T00:00:00Z\n', "utf-8")
    assert Path(public).name == "key.pub.pem"
    assert main(["keygen", new]) == 0
    assert main(["sign", str(model), "--key", private]) == 0
    assert main(["sign", str(model), "--key", new, "--signature", bundle]) == 0
    check = ["verify", str(model), "--key-set", str(keys)]
    assert main(check) == 0
    assert main([*check, "--signature", bundle]) == 1
    with keys.open("a", encoding="utf-8") as file:
        file.write('[[key]]\nfile = "new.pub.pem"\n')
    assert main([*check, "--signature", bundle]) == 0
    both = ["--signature", bundle, "--signature", f"{model}.sig", "--threshold", "2"]
    assert main([*check, *both]) == 0
    assert main([*check, *both, "--at", "2999-03-01T00:00:01Z"]) == 1
