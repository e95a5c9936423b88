"""Certificates for the certificate method, written to files as the suite hands them over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.signing.conformance.workbench import Bench, adapter, each
from tests.support.certificates import Issued, authority, issue

SINCE, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)
LONG: dict[str, Any] = {"since": SINCE, "until": UNTIL}
EXPIRED: dict[str, Any] = {
    "since": datetime(2020, 1, 1, tzinfo=UTC),
    "until": datetime(2020, 1, 2, tzinfo=UTC),
}
FUTURE: dict[str, Any] = {"since": UNTIL - timedelta(days=1), "until": UNTIL}


@dataclass(frozen=True)
class Chain:
    """A root, an intermediate CA and a leaf."""

    root: Issued
    intermediate: Issued
    leaf: Issued


def new_chain(kind: str = "p256", **leaf: Any) -> Chain:
    """Make three certificates; ``leaf`` changes the last one."""
    root = authority("CN=root", key=kind, **LONG)
    intermediate = authority("CN=intermediate", root, key=kind, **LONG)
    made = issue("CN=release", intermediate, **{"key": kind, **LONG, **leaf})
    return Chain(root, intermediate, made)


def write(folder: Path, name: str, *parts: bytes) -> Path:
    """Write PEM blocks to one file."""
    path = folder / f"{name}.pem"
    path.write_bytes(b"".join(parts))
    return path


def sign_with(bench: Bench, leaf: Issued, *chain: Issued) -> int:
    """Have the adapter sign with a certificate."""
    files = [write(bench.folder, f"chain-{n}", one.pem) for n, one in enumerate(chain)]
    return adapter(
        *("sign-model", "--method", "certificate", "--model-path", bench.model),
        *("--output-bundle", bench.bundle),
        *("--private-key", write(bench.folder, "leaf-key", leaf.key_pem)),
        *("--signing-cert", write(bench.folder, "leaf", leaf.pem)),
        *each("--cert-chain", files),
    )


def verify_with(bench: Bench, *files: Path | Issued, more: Sequence[str] = ()) -> int:
    """Have the adapter verify under certificates, each in its own file."""
    paths = [
        write(bench.folder, f"trusted-{n}", one.pem) if isinstance(one, Issued) else one
        for n, one in enumerate(files)
    ]
    return adapter(
        *("verify-model", "--method", "certificate", "--model-path", bench.model),
        *("--bundle", bench.bundle),
        *each("--cert-chain", paths),
        *more,
    )
