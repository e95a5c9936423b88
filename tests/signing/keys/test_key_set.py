import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.signing.keys import PrivateKey, TrustedKeys
from modelsec.signing.keys.key_set import MAX_KEY_SET_BYTES

OLD, NEW = PrivateKey.generate(), PrivateKey.generate()
PEM = NEW.public.pem.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    OLD.public.save(tmp_path / "old.pub.pem")
    return tmp_path


def test_toml(folder: Path) -> None:
    """Keys as files beside it or inline, with times, labels and revocation."""
    (folder / "keys.toml").write_text(
        '[[key]]\nfile = "old.pub.pem"\nlabel = "2025"\nrevoked = true\n'
        f"[[key]]\npem = '''{PEM}'''\nnot_before = 2026-01-01T00:00:00Z\n"
        "not_after = 2027-01-01T01:00:00+01:00\n"
    )
    old, new = TrustedKeys.load(folder / "keys.toml").keys
    assert (old.public, old.label, old.revoked) == (OLD.public, "2025", True)
    assert (new.public, new.label, new.revoked) == (NEW.public, None, False)
    assert new.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert new.not_after == datetime(2027, 1, 1, tzinfo=UTC)


def test_json(folder: Path) -> None:
    """The same tables; times are texts."""
    entry = {"pem": PEM, "not_before": "2026-01-01T00:00:00Z"}
    (folder / "keys.json").write_text(json.dumps({"key": [entry]}))
    (key,) = TrustedKeys.load(str(folder / "keys.json")).keys
    assert key.not_before == datetime(2026, 1, 1, tzinfo=UTC)


def test_one_pem_file(folder: Path) -> None:
    """A key by itself is a set of one."""
    assert TrustedKeys.load(folder / "old.pub.pem").keys[0].public == OLD.public


BAD = [
    ("keys.toml", "", "a list 'key'"),
    ("keys.toml", "key = []", "at least one"),
    ("keys.toml", "key = 3", "at least one"),
    ("keys.toml", "key = [3]", "must be a table"),
    ("keys.toml", "[[keys]]\nfile = 'old.pub.pem'", "a list 'key'"),
    ("keys.toml", "version = 1\n[[key]]\nfile = 'old.pub.pem'", "a list 'key'"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nrevokd = true", "'revokd'"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nrevoked = 1", "key 1: revoked"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nrevoked = 'false'", "revoked"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nnot_after = 2026-01-01T00:00:00", "time zone"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nnot_after = 2026-01-01", "not a time"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nnot_after = 'soon'", "not a time"),
    ("keys.toml", "[[key]]\nfile = 'old.pub.pem'\nnot_after = 1", "not a time"),
    ("keys.toml", "[[key]]\nfile = 'missing.pem'", "cannot open"),
    ("keys.toml", "[[key]]\nfile = 3", "'file' or as 'pem'"),
    ("keys.toml", "[[key]]\nlabel = 'x'", "'file' or as 'pem'"),
    ("keys.toml", f"[[key]]\nfile = 'old.pub.pem'\npem = '''{PEM}'''", "'file' or as 'pem'"),
    ("keys.toml", "[[key]]\npem = 'garbage'", "this has 0"),
    (
        "keys.toml",
        "[[key]]\nfile='old.pub.pem'\n[[key]]\nfile='old.pub.pem'\nrevoked=true",
        "twice",
    ),
    ("keys.toml", "[[key", "cannot be read"),
    ("keys.toml", "key = " + "[" * 100_000, "cannot be read"),
    ("keys.toml", "#" * (MAX_KEY_SET_BYTES + 1), "larger than"),
    ("keys.json", "[]", "a list 'key'"),
    ("keys.json", '{"key": [], "key": []}', "occurs twice"),
    ("keys.json", "[" * 100_000, "cannot be read"),
    ("keys.txt", "", r"\.toml, \.json or \.pem"),
    ("keys.pem", "", "this has 0"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD, ids=range(len(BAD)))
def test_bad_key_sets(folder: Path, name: str, content: str, reason: str) -> None:
    """A misspelt member must not leave a key trusted; every refusal says where."""
    (folder / name).write_text(content)
    with pytest.raises(ConfigurationError, match=reason):
        TrustedKeys.load(folder / name)


def test_bytes_that_are_no_text(folder: Path) -> None:
    """TOML is UTF-8."""
    (folder / "keys.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TrustedKeys.load(folder / "keys.toml")


@pytest.mark.parametrize("path", [None, 3, b"keys.toml", "", "missing.toml", "/"])
def test_no_such_file(path: object) -> None:
    """Wrong types, folders and missing files are the caller's to fix."""
    with pytest.raises(ConfigurationError):
        TrustedKeys.load(path)  # type: ignore[arg-type]
