"""``modelsec inspect``."""

import json
from pathlib import Path

import pytest

from modelsec.cli import main
from modelsec.signing import OMS, CertifiedKey, PrivateKey, Release, sign
from tests.support.certificates import authority, issue

KEY = PrivateKey.generate()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    for number in range(12):
        (path / f"part-{number:02}").write_bytes(b"x")
    return path


def test_a_key(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line says that nothing was verified; ten names, or all."""
    bundle = str(sign(model, KEY, release=Release("churn", serial=2)).bundle)
    assert main(["inspect", bundle]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("NOT VERIFIED")
    assert f"key id       {KEY.key_id}" in lines
    assert "release      name churn, serial 2" in lines
    assert "leaves out   .git" in lines
    assert "file         part-09" in lines
    assert "file         ... and 2 more (--files lists them)" in lines
    assert main(["inspect", bundle, "--files"]) == 0
    assert "file         part-11" in capsys.readouterr().out
    assert main(["inspect", bundle, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["verified"], document["count"]) == (False, 12)


def test_certificates(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whom it says to be, and until when."""
    root = authority("CN=root")
    leaf = issue("CN=alice", root, names=(("email", "alice@example.com"),))
    bundle = sign(model, CertifiedKey(leaf.private, leaf.pem, [root.pem])).bundle
    assert main(["inspect", str(bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "certificate  CN=alice" in lines
    assert "  name       email:alice@example.com" in lines
    assert "issued by    CN=root" in lines
    assert sum(line.startswith("  valid      20") for line in lines) == 2


def test_sigstore(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who vouches for the identity is what --issuer needs."""
    bundle = shared_data / "oms" / "signed" / "v1.1.0-sigstore" / "model.sig"
    assert main(["inspect", str(bundle)]) == 0
    printed = capsys.readouterr().out
    assert "  Sigstore   https://sigstore.verify.ibm.com/oauth2" in printed
    assert "  name       email:stefanb@us.ibm.com" in printed


def test_nothing_commands_the_terminal(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names are printed escaped, as text and as JSON."""
    (model / "\x1b[2J\u202e\n").write_bytes(b"x")
    bundle = str(sign(model, KEY, profile=OMS, shard_size=7).bundle)
    for form in ([], ["--json"]):
        assert main(["inspect", bundle, *form]) == 0
        printed = capsys.readouterr().out
        assert printed.isascii()
        assert "\x1b" not in printed
        assert "u202e" in printed


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no bundle is refused, what is not there is wrong usage."""
    (tmp_path / "bad.sig").write_bytes(b"{}")
    assert main(["inspect", str(tmp_path / "bad.sig")]) == 1
    assert main(["inspect", str(tmp_path / "none.sig")]) == 2
    assert main(["inspect", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 3
