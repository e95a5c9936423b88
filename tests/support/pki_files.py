"""A root, an intermediate and a signer's certificate as files, valid for decades."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.certificates import authority, issue

SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PkiFiles:
    """Paths, and whom the signer's certificate is for."""

    root: Path
    intermediate: Path
    leaf: Path
    key: Path
    subject: str = "CN=release signing"


def write_pki(folder: Path, kind: str = "p256") -> PkiFiles:
    """Make the three certificates on one curve, and write them with the signer's key."""
    files = PkiFiles(*(folder / f"{name}.pem" for name in ("root", "intermediate", "leaf", "key")))
    valid = {"since": SINCE, "until": UNTIL, "key": kind}
    root = authority("CN=root", **valid)
    intermediate = authority("CN=intermediate", root, **valid)
    leaf = issue(files.subject, intermediate, since=SINCE, until=UNTIL, key=kind)
    files.root.write_bytes(root.pem)
    files.intermediate.write_bytes(intermediate.pem)
    files.leaf.write_bytes(leaf.pem)
    files.key.write_bytes(leaf.key_pem)
    return files
