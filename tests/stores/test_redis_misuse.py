"""Wrong settings, wrong clients and servers that are none: named, bounded in time, no secrets."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from modelsec import AsyncRedisStore, RedisStore
from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import Recall
from tests.support.servers import HOST, redis_binary, running_server, server_binary, valkey_binary

ASK = [Recall("a")]
BOUND_S = 15.0  # generous: the settings under test add up to less than a second
HASTY: dict[str, Any] = {"timeout": 0.2, "max_wait": 0.2}
batching = pytest.mark.parametrize("batch", [True, False], ids=["batched", "singly"])


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server((HOST, 0), backlog=64) as listening:
        yield f"redis://{HOST}:{listening.getsockname()[1]}"


@contextmanager
def serving(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """A server that answers what it reads, and hangs up where there is no answer."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(BOUND_S)
            with suppress(OSError):
                while data := self.request.recv(65_536):
                    reply = answer(data)
                    if reply is None:
                        return
                    self.request.sendall(reply)

    with ThreadingTCPServer((HOST, 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"redis://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(BOUND_S)


@contextmanager
def hanging_up() -> Iterator[tuple[str, list[bytes]]]:
    """A Cluster of one that hangs up instead of answering a script call, and counts them."""
    calls: list[bytes] = []

    def answer(data: bytes) -> bytes | None:
        if b"EVALSHA" in data:
            calls.extend([data] * data.count(b"EVALSHA"))
            return None
        if b"SLOTS" in data:
            node = b"*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$4\r\nnode\r\n" % port
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n" + node
        if b"PING" in data:
            return b"+PONG\r\n"
        if b"COMMAND" in data:
            return b"*0\r\n"
        return b"+OK\r\n" * data.count(b"*")

    with serving(answer) as url:
        port = int(url.rpartition(":")[2])
        yield url, calls


@pytest.fixture
def closed_url() -> str:
    """A port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listening:
        return f"redis://{HOST}:{listening.getsockname()[1]}"


def sync_outcome(url: str, **settings: Any) -> BaseException | None:
    """Return what a call raises, or None."""
    store = RedisStore.from_url(url, **{**HASTY, **settings})
    try:
        store.apply(ASK)
    except Exception as error:  # noqa: BLE001 - which one is the question
        return error
    finally:
        store.close()
    return None


async def async_outcomes(url: str, calls: int, **settings: Any) -> list[Any]:
    """Return what concurrent calls return or raise."""
    store = AsyncRedisStore.from_url(url, **{**HASTY, **settings})
    try:
        return await asyncio.gather(
            *(store.apply(ASK) for _ in range(calls)), return_exceptions=True
        )
    finally:
        await store.aclose()


def test_silent_server_is_bounded(silent_url: str) -> None:
    """A server that accepts and never answers is a StoreError within a bounded time."""
    start = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(sync_outcome, [silent_url] * 8))
    assert time.monotonic() - start < BOUND_S
    assert {type(outcome) for outcome in outcomes} == {StoreError}


@batching
async def test_silent_server_is_bounded_for_all(silent_url: str, *, batch: bool) -> None:
    """So is each of 300 concurrent calls to it."""
    start = time.monotonic()
    outcomes = await async_outcomes(silent_url, 300, batch=batch)
    assert time.monotonic() - start < BOUND_S
    assert {type(outcome) for outcome in outcomes} == {StoreError}


async def test_turn_is_waited_for_so_long(silent_url: str) -> None:
    """A call that gets no connection within max_wait says so."""
    outcomes = await async_outcomes(
        silent_url, 2, batch=False, max_connections=1, timeout=0.5, max_wait=0.05
    )
    assert "no connection became free within 0.05 s" in str(outcomes[1])


def test_turn_is_waited_for_so_long_in_threads(silent_url: str) -> None:
    """A thread that gets no connection within max_wait is told so."""
    store = RedisStore.from_url(silent_url, max_connections=1, timeout=0.5, max_wait=0.05)

    def outcome(_: int) -> str:
        with pytest.raises(StoreError) as caught:
            store.apply(ASK)
        return str(caught.value)

    with ThreadPoolExecutor(2) as threads:
        said = sorted(threads.map(outcome, range(2)))
    assert said[0] == "no connection became free within 0.05 s"
    store.close()


@pytest.mark.parametrize("cluster", [False, True], ids=["single", "cluster"])
def test_call_is_sent_at_most_once(*, cluster: bool) -> None:
    """A call whose reply was lost may have been counted: it is a StoreError, and not sent again."""
    settings = {"cluster": cluster, "timeout": 5}
    with hanging_up() as (url, calls):
        assert isinstance(sync_outcome(url, **settings), StoreError)
        assert len(calls) == 1
    for batch in (True, False):
        with hanging_up() as (url, calls):
            outcomes = asyncio.run(async_outcomes(url, 1, batch=batch, **settings))
            assert {type(outcome) for outcome in outcomes} == {StoreError}
            assert len(calls) == 1


def test_closed_port(closed_url: str) -> None:
    """A server that is not there is a StoreError."""
    assert isinstance(sync_outcome(closed_url), StoreError)
    outcomes = asyncio.run(async_outcomes(closed_url, 5))
    assert {type(outcome) for outcome in outcomes} == {StoreError}


def test_unreachable_cluster(closed_url: str, silent_url: str) -> None:
    """A Cluster that cannot be reached is a StoreError: at once, or at the first call."""
    for url in (closed_url, silent_url):
        with pytest.raises(StoreError):
            RedisStore.from_url(url, cluster=True, **HASTY)
        start = time.monotonic()
        outcomes = asyncio.run(async_outcomes(url, 64, cluster=True, max_connections=64))
        assert time.monotonic() - start < BOUND_S / 3  # not one after the other
        assert {type(outcome) for outcome in outcomes} == {StoreError}


@pytest.mark.real_server
def test_server_that_is_no_cluster(redis_url: str) -> None:
    """A single server that is called a Cluster is a StoreError that says so."""
    with pytest.raises(StoreError, match="Cluster mode is not enabled"):
        RedisStore.from_url(redis_url.removesuffix("/0"), cluster=True, **HASTY)
    outcomes = asyncio.run(async_outcomes(redis_url.removesuffix("/0"), 2, cluster=True))
    assert {type(outcome) for outcome in outcomes} == {StoreError}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\xff\xfe garbage",
        b"+OK\r\n",
        b":7\r\n",
        b"*1\r\n:7\r\n",
        b"*0\r\n",
        b"*2\r\n$-1\r\n$-1\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"-LOADING the dataset\r\n",
        b"-READONLY a replica\r\n",
        b"$999999999999\r\nx",
    ],
    ids=lambda answer: answer[:9].decode("latin-1"),
)
def test_server_that_speaks_otherwise(answer: bytes) -> None:
    """A server that answers anything but records is a StoreError, in every way of calling."""
    with serving(lambda _: answer) as url:
        assert isinstance(sync_outcome(url), StoreError)
        for batch in (True, False):
            outcomes = asyncio.run(async_outcomes(url, 3, batch=batch))
            assert {type(outcome) for outcome in outcomes} == {StoreError}


@pytest.mark.real_server
def test_password() -> None:
    """The right password serves; none and a wrong one are a StoreError that quotes neither."""
    with running_server(server_binary(), "--requirepass", "correct-horse") as server:
        place = server.url.removeprefix("redis://")
        assert sync_outcome(f"redis://:correct-horse@{place}", timeout=5) is None
        for url in (f"redis://{place}", f"redis://:battery-staple@{place}"):
            outcomes = [sync_outcome(url, timeout=5)]
            outcomes += asyncio.run(async_outcomes(url, 2, timeout=5))
            for outcome in outcomes:
                assert isinstance(outcome, StoreError)
                assert "staple" not in str(outcome)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost",
        "redis://localhost:port",
        "redis://localhost:99999",
        "redis://:hunter2/hunter2@localhost:6379",
        "redis://localhost?socket_timeout=hunter2",
        "redis://localhost?no_such_option=hunter2",
        "redis://localhost?protocol=9",
        None,
        7,
        b"redis://localhost",
    ],
)
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_unusable_url(kind: type[RedisStore | AsyncRedisStore], url: Any) -> None:
    """An unusable URL is a ConfigurationError at once, and no part of it is quoted."""
    with pytest.raises(ConfigurationError, match="store's URL is not usable") as caught:
        kind.from_url(url)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_connections_are_bounded_in_one_place(
    kind: type[RedisStore | AsyncRedisStore], *, cluster: bool
) -> None:
    """A URL cannot give the pool fewer connections than there are turns: a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="max_connections is an argument of from_url"):
        kind.from_url("redis://localhost:1?max_connections=1", cluster=cluster)


@pytest.mark.parametrize("url", ["redis://localhost/3", "unix:///tmp/none.sock"])
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_url_that_no_cluster_has(kind: type[RedisStore | AsyncRedisStore], url: str) -> None:
    """A Cluster has neither databases nor Unix sockets: a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="neither Unix sockets nor databases"):
        kind.from_url(url, cluster=True)


@pytest.mark.parametrize(
    "settings",
    [
        *({"prefix": prefix} for prefix in ("", "a b", "{x}", "p" * 33, "ü", "a\n", None, b"ms")),
        *({"timeout": timeout} for timeout in (0, -1, float("nan"), float("inf"), "1", None, True)),
        *({"max_wait": wait} for wait in (0, -1, float("nan"), float("inf"), "1", None, True)),
        *({"max_connections": number} for number in (0, -1, 1.5, "2", None, True)),
    ],
)
@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_impossible_setting(
    kind: type[RedisStore | AsyncRedisStore], settings: dict[str, Any]
) -> None:
    """An impossible setting is a ConfigurationError at once."""
    with pytest.raises(ConfigurationError):
        kind.from_url("redis://localhost:1", **settings)


@pytest.mark.parametrize(
    ("kind", "client"),
    [
        (RedisStore, redis.Redis(decode_responses=True)),
        (AsyncRedisStore, redis.asyncio.Redis(decode_responses=True)),
        (RedisStore, fakeredis.FakeRedis(decode_responses=True)),
    ],
)
def test_decoding_client_is_refused(kind: type[RedisStore | AsyncRedisStore], client: Any) -> None:
    """A client that decodes responses would damage records: a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="decode_responses=False"):
        kind(client)


@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_decoding_url_is_refused(kind: type[RedisStore | AsyncRedisStore]) -> None:
    """So is a URL that asks for it."""
    with pytest.raises(ConfigurationError, match="decode_responses=False"):
        kind.from_url("redis://localhost:1?decode_responses=true")


@pytest.mark.parametrize(
    ("kind", "client", "wanted"),
    [
        (RedisStore, redis.asyncio.Redis(), "redis.Redis or redis.RedisCluster is needed"),
        (RedisStore, "redis://localhost", "redis.Redis or redis.RedisCluster is needed"),
        (AsyncRedisStore, redis.Redis(), "redis.asyncio.Redis or redis.asyncio.RedisCluster"),
        (AsyncRedisStore, None, "redis.asyncio.Redis or redis.asyncio.RedisCluster is needed"),
    ],
)
def test_other_client_is_refused(
    kind: type[RedisStore | AsyncRedisStore], client: Any, wanted: str
) -> None:
    """A client of the other colour, or none, is a ConfigurationError that says what is needed."""
    with pytest.raises(ConfigurationError, match=wanted):
        kind(client)


@pytest.mark.real_server
def test_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A store reaches a server over a Unix socket."""
    path = tmp_path_factory.mktemp("s") / "s"
    with running_server(redis_binary() or valkey_binary(), "--unixsocket", str(path)):
        assert sync_outcome(f"unix://{path}", timeout=5) is None
        assert asyncio.run(async_outcomes(f"unix://{path}", 2, timeout=5)) == [[None], [None]]
