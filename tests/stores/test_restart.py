"""The server dies and comes back while requests are being served."""

import asyncio
from collections import Counter
from collections.abc import Callable
from threading import Event, Thread

import pytest
import redis

from modelsec import (
    Assessment,
    AsyncRedisStore,
    ModelTheftDetector,
    RedisStore,
    SyncModelTheftDetector,
)
from modelsec.extraction.detector import OnStoreError
from tests.support.servers import Server, is_whole, running_cluster, valkey_binary, wait_until

pytestmark = pytest.mark.real_server

SECRET = b"s" * 32
WORKERS = 4
BODY = {"prompt": "What is the answer?", "temperature": 0.7}
HASTY = {"timeout": 2.0, "max_wait": 2.0}
choices = pytest.mark.parametrize("choice", ["raise", "allow", "block"])


class Tally:
    """Counts outcomes by what they are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, Assessment | BaseException] = {}

    def add(self, outcome: Assessment | BaseException) -> None:
        kind = type(outcome).__name__
        if isinstance(outcome, Assessment):
            kind = "served" if outcome.requests_seen else "unserved"
        self.counts[kind] += 1
        self.examples[kind] = outcome

    def more(self, kind: str, number: int = 3 * WORKERS) -> Callable[[], bool]:
        """Return a check that ``kind`` has come up ``number`` more times."""
        enough = self.counts[kind] + number
        return lambda: self.counts[kind] >= enough

    def check(self, choice: OnStoreError) -> None:
        """Hold the failures to the operator's choice: nothing else ever came out."""
        failure = "StoreError" if choice == "raise" else "unserved"
        assert set(self.counts) == {"served", failure}
        example = self.examples[failure]
        if isinstance(example, Assessment):
            assert example.action == choice
            assert {"velocity", "low_diversity"} <= set(example.incomplete)


def failing(choice: OnStoreError) -> str:
    """Return how the tally calls a failure."""
    return "StoreError" if choice == "raise" else "unserved"


async def reached(holds: Callable[[], bool]) -> None:
    """Wait for a fact without blocking the event loop."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a tally is no event
            await asyncio.sleep(0.005)


async def load(detector: ModelTheftDetector, tally: Tally, worker: int, done: Event) -> None:
    """Send requests until it is done; Python 3.11's wait_for may swallow a cancellation."""
    while not done.is_set():
        try:
            tally.add(await detector.analyze_request(f"user-{worker}", BODY))
        except Exception as error:  # noqa: BLE001 - the tally says which one
            tally.add(error)
        await asyncio.sleep(0.001)


async def outage(store: AsyncRedisStore, choice: OnStoreError, server: Server) -> Tally:
    """Kill a server under load, start it again, and return what came out."""
    detector = ModelTheftDetector(store, secret=SECRET, on_store_error=choice)
    tally, done = Tally(), Event()
    workers = [asyncio.ensure_future(load(detector, tally, i, done)) for i in range(WORKERS)]
    try:
        await reached(tally.more("served"))
        server.kill()
        await reached(tally.more(failing(choice)))
        await asyncio.to_thread(server.start)
        await reached(tally.more("served"))
    finally:
        done.set()
        await asyncio.gather(*workers)
        await store.aclose()
    return tally


def sync_outage(store: RedisStore, choice: OnStoreError, server: Server) -> Tally:
    """The same with threads."""
    detector = SyncModelTheftDetector(store, secret=SECRET, on_store_error=choice)
    tally, done = Tally(), Event()

    def load(worker: int) -> None:
        while not done.wait(0.001):
            try:
                tally.add(detector.analyze_request(f"user-{worker}", BODY))
            except Exception as error:  # noqa: BLE001 - the tally says which one
                tally.add(error)

    workers = [Thread(target=load, args=(i,)) for i in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        wait_until(tally.more("served"), "requests to be served")
        server.kill()
        wait_until(tally.more(failing(choice)), "requests to fail")
        server.start()
        wait_until(tally.more("served"), "requests to be served again")
    finally:
        done.set()
        for worker in workers:
            worker.join(10)
        store.close()
    return tally


@choices
@pytest.mark.parametrize("batch", [True, False], ids=["batched", "singly"])
async def test_restart_under_async_load(
    own_server: Server, choice: OnStoreError, *, batch: bool
) -> None:
    """While the server is down the operator's choice holds; when it is back, requests count."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, **HASTY)
    (await outage(store, choice, own_server)).check(choice)


@choices
def test_restart_under_threads(own_server: Server, choice: OnStoreError) -> None:
    """The same for the synchronous store and four threads."""
    store = RedisStore.from_url(own_server.url, **HASTY)
    sync_outage(store, choice, own_server).check(choice)


def test_restart_between_calls(own_server: Server) -> None:
    """A restart that no call met is not noticed: the next one reconnects and resends the script."""
    store = RedisStore.from_url(own_server.url, **HASTY)
    detector = SyncModelTheftDetector(store, secret=SECRET)
    detector.analyze_request("alice", BODY)
    own_server.kill()
    own_server.start()
    assert detector.analyze_request("alice", BODY).requests_seen == 1
    store.close()


async def test_restart_between_async_calls(own_server: Server) -> None:
    """The same for the asynchronous store."""
    store = AsyncRedisStore.from_url(own_server.url, **HASTY)
    detector = ModelTheftDetector(store, secret=SECRET)
    await asyncio.gather(*(detector.analyze_request("alice", BODY) for _ in range(8)))
    await asyncio.to_thread(own_server.kill)
    await asyncio.to_thread(own_server.start)  # meanwhile the loop learns of the closed connections
    replies = await asyncio.gather(*(detector.analyze_request("alice", BODY) for _ in range(8)))
    assert sorted(reply.requests_seen for reply in replies) == list(range(1, 9))
    await store.aclose()


def test_cluster_node_restarts() -> None:
    """A Cluster node that dies and returns: only StoreErrors come out, and service resumes."""
    with running_cluster(valkey_binary()) as servers:
        url = servers[0].url
        store = RedisStore.from_url(url, cluster=True, **HASTY)
        sync_outage(store, "raise", servers[1]).check("raise")

        async def async_outage() -> Tally:
            store = AsyncRedisStore.from_url(url, cluster=True, max_connections=WORKERS, **HASTY)
            return await outage(store, "raise", servers[0])

        asyncio.run(async_outage()).check("raise")
        for server in servers:
            with redis.Redis.from_url(server.url) as client:
                wait_until(lambda c=client: is_whole(c, len(servers)), "the Cluster to be whole")
        with redis.Redis.from_url(url) as client:
            asyncio.run(closed_in_an_outage(url, client, servers[1]))


async def closed_in_an_outage(url: str, client: redis.Redis, server: Server) -> None:
    """Check that a store which is closed while a node is down keeps no connection to the others."""

    def connections() -> int:
        return int(client.info("clients")["connected_clients"])

    before = connections()
    store = AsyncRedisStore.from_url(url, cluster=True, **HASTY)
    detector = ModelTheftDetector(store, secret=SECRET, on_store_error="allow")
    await asyncio.gather(*(detector.analyze_request(f"user-{i}", BODY) for i in range(30)))
    assert connections() > before
    server.kill()
    late = await asyncio.gather(*(detector.analyze_request(f"user-{i}", BODY) for i in range(30)))
    assert any(assessment.incomplete for assessment in late)
    await store.aclose()
    wait_until(lambda: connections() == before, "the server to notice")
