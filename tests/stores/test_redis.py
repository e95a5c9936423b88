"""What the Redis stores promise beyond the contract, on real servers."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio

from modelsec import AsyncRedisStore, ModelTheftDetector, RedisStore, SyncModelTheftDetector
from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import CellUpdate, Forget, Operation, Recall, Record, Remember
from modelsec.stores.codec import encode
from tests.support.servers import Server, wait_until

pytestmark = pytest.mark.real_server

PATIENT = {"timeout": 10.0, "max_wait": 30.0}
SECRET = b"s" * 32
TAG = b"test"
batching = pytest.mark.parametrize("batch", [True, False], ids=["batched", "singly"])


def remember(key: str, payload: bytes = b"x", ttl: int = 600) -> Remember:
    return Remember(key, None, ttl, 4_096, (CellUpdate(TAG, "ring", 64, payload),))


def body(number: int) -> dict[str, object]:
    """Make a request that touches every default signal."""
    message = {"role": "user", "content": f"What is the answer to question {number}?"}
    return {"messages": [message], "temperature": 0, "max_tokens": 5, "logprobs": True}


def calls_of(client: redis.Redis, command: str) -> int:
    """Return how often the server saw a command, refused ones included."""
    stats = client.info("commandstats").get(f"cmdstat_{command}", {})
    return int(stats.get("calls", 0)) + int(stats.get("rejected_calls", 0))


def flush(cluster: redis.RedisCluster) -> None:
    """Make all nodes forget their scripts."""
    for node in cluster.get_primaries():
        cluster.execute_command("SCRIPT FLUSH", target_nodes=node)


@pytest.fixture
def client(real_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(real_url) as client:
        yield client


@pytest.fixture
def own_client(own_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_server.url) as client:
        yield client


@pytest.fixture
def store(real_url: str, prefix: str) -> Iterator[RedisStore]:
    store = RedisStore.from_url(real_url, prefix=prefix, **PATIENT)
    yield store
    store.close()


@pytest.fixture(params=[True, False], ids=["batched", "singly"])
async def async_store(
    request: pytest.FixtureRequest, redis_url: str, prefix: str
) -> AsyncIterator[AsyncRedisStore]:
    store = AsyncRedisStore.from_url(redis_url, prefix=prefix, batch=request.param, **PATIENT)
    yield store
    await store.aclose()


# --- scripts and round trips ---------------------------------------------------------------------


def test_flushed_script_is_restored(own_server: Server, own_client: redis.Redis) -> None:
    """After SCRIPT FLUSH the next call of each kind succeeds and is counted once."""
    store = RedisStore.from_url(own_server.url, **PATIENT)
    for count in (1, 2, 3):
        own_client.script_flush()
        (record,) = store.apply([remember("a")])
        assert isinstance(record, Record)
        assert record.count == count
        own_client.script_flush()
        assert store.apply([Recall("a")]) == [record]
    own_client.script_flush()
    assert store.apply([Forget("a")]) == [record]
    store.close()


@batching
async def test_flushed_script_is_restored_for_all(
    own_server: Server, own_client: redis.Redis, *, batch: bool
) -> None:
    """After SCRIPT FLUSH each of 64 concurrent calls of three kinds succeeds, counted once."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, **PATIENT)
    await store.apply([remember("forgotten")])
    for count in (1, 2):
        own_client.script_flush()
        operations: list[Operation] = [remember(f"k{i}") for i in range(64)]
        operations += [Recall("nobody"), Forget("nobody")] * 3
        replies = await asyncio.gather(*(store.apply([one]) for one in operations))
        records = [reply for (reply,) in replies]
        assert [record.count for record in records[:64] if record] == [count] * 64
        assert records[64:] == [None] * 6
    await store.aclose()


@batching
async def test_flushed_script_is_restored_on_every_node(
    cluster_url: str, prefix: str, *, batch: bool
) -> None:
    """After SCRIPT FLUSH on all nodes of a Cluster 64 concurrent calls succeed, counted once."""
    settings = {"cluster": True, "prefix": prefix, **PATIENT}
    with redis.RedisCluster.from_url(cluster_url) as client:
        sync_store = RedisStore.from_url(cluster_url, **settings)
        store = AsyncRedisStore.from_url(cluster_url, batch=batch, **settings)
        for count in (1, 3):
            flush(client)
            replies = await asyncio.gather(*(store.apply([remember(f"k{i}")]) for i in range(64)))
            assert [record.count for (record,) in replies if record] == [count] * 64
            flush(client)
            replies = [sync_store.apply([remember(f"k{i}")]) for i in range(64)]
            assert [record.count for (record,) in replies if record] == [count + 1] * 64
        await store.aclose()
        sync_store.close()


def redirections(cluster: redis.RedisCluster) -> int:
    """Return how often the nodes of a Cluster sent a client elsewhere."""
    total = 0
    for node in cluster.get_primaries():
        errors = cluster.info("errorstats", target_nodes=node)
        total += int(errors.get("errorstat_MOVED", {"count": 0})["count"])
    return total


async def test_first_calls_find_their_nodes(cluster_url: str, prefix: str) -> None:
    """64 concurrent first calls each go to the right node of a Cluster at once."""
    with redis.RedisCluster.from_url(cluster_url) as client:
        before = redirections(client)
        store = AsyncRedisStore.from_url(cluster_url, cluster=True, prefix=prefix, **PATIENT)
        await asyncio.gather(*(store.apply([remember(f"k{i}")]) for i in range(64)))
        await store.aclose()
        assert redirections(client) == before


async def test_moved_slots_are_followed(cluster_url: str, prefix: str) -> None:
    """When slots move between nodes, concurrent calls are redirected, and none of them fails."""
    keys = [f"{prefix}-{i}" for i in range(40)]  # the slot is that of the hash tag, so of the key
    with redis.RedisCluster.from_url(cluster_url) as client:
        store = AsyncRedisStore.from_url(cluster_url, cluster=True, prefix=prefix, **PATIENT)
        sync_store = RedisStore.from_url(cluster_url, cluster=True, prefix=prefix, **PATIENT)
        await store.apply([remember("warm")])
        moved = move(client, {client.keyslot(key) for key in keys})
        assert moved > 10
        before = redirections(client)
        replies = await asyncio.gather(*(store.apply([remember(key)]) for key in keys))
        replies += [sync_store.apply([remember(key)]) for key in keys]
        assert [record.count for (record,) in replies if record] == [1] * 40 + [2] * 40
        assert redirections(client) >= before + moved
        await store.aclose()
        sync_store.close()


def move(cluster: redis.RedisCluster, slots: set[int]) -> int:
    """Move those slots that are empty to the first node; return how many it took over."""
    nodes = cluster.get_primaries()
    names = {
        node.name: cluster.execute_command("CLUSTER MYID", target_nodes=node).decode()
        for node in nodes
    }
    new, moved = nodes[0], 0
    for slot in slots:
        old = cluster.nodes_manager.get_node_from_slot(slot)
        count = cluster.execute_command("CLUSTER COUNTKEYSINSLOT", slot, target_nodes=old)
        if old == new or count:
            continue
        command = f"CLUSTER SETSLOT {slot}"
        cluster.execute_command(command, "IMPORTING", names[old.name], target_nodes=new)
        cluster.execute_command(command, "MIGRATING", names[new.name], target_nodes=old)
        cluster.execute_command(command, "NODE", names[new.name], target_nodes=new)
        cluster.execute_command(command, "NODE", names[new.name], target_nodes=old)
        moved += 1

    def agreed() -> bool:
        maps = [cluster.cluster_slots(target_nodes=node) for node in nodes]
        owners = [{span: nodes["primary"] for span, nodes in one.items()} for one in maps]
        return all(one == owners[0] for one in owners)

    wait_until(agreed, "the nodes to agree")
    return moved


def test_one_script_call_a_request(own_server: Server, own_client: redis.Redis) -> None:
    """A request costs one EVALSHA and nothing else that the client sends."""
    store = RedisStore.from_url(own_server.url, **PATIENT)
    detector = SyncModelTheftDetector(store, secret=SECRET)
    detector.analyze_request("alice", body(0))  # connects, and sends the script
    own_client.config_resetstat()
    for number in range(50):
        detector.analyze_request("alice", body(number))
    assert calls_of(own_client, "evalsha") == 50
    seen = {name.removeprefix("cmdstat_") for name in own_client.info("commandstats")}
    assert seen - {"config|resetstat", "info"} == {
        "evalsha",
        "get",
        "set",
        "time",
    }  # the script's three
    store.close()


@batching
async def test_concurrent_calls_share_round_trips(
    own_server: Server, own_client: redis.Redis, *, batch: bool
) -> None:
    """64 concurrent calls are 64 EVALSHA; batched they are 2, the first one alone."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, **PATIENT)
    for _ in range(2):  # the first round connects, and sends the script
        own_client.config_resetstat()
        await asyncio.gather(*(store.apply([remember(f"k{i}")]) for i in range(64)))
    assert calls_of(own_client, "evalsha") == (2 if batch else 64)
    assert calls_of(own_client, "eval") == calls_of(own_client, "script|load") == 0
    reads = own_client.info("stats")["total_reads_processed"]
    assert reads < 16 if batch else reads >= 64
    await store.aclose()


# --- what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["alice", "a b", "{brace}", "line\nbreak", "ü" * 200, "*"])
def test_keys_have_prefix_tag_and_end(
    store: RedisStore, client: redis.Redis, prefix: str, user: str
) -> None:
    """Every key is the prefix and one hash tag, and expires, whatever the account is called."""
    SyncModelTheftDetector(store, secret=SECRET).analyze_request(user, body(0))
    keys = list(client.scan_iter(f"{prefix}*"))
    assert len(keys) == 1
    assert re.fullmatch(rb"%b:\{[A-Za-z0-9_.:@#-]{1,128}\}" % prefix.encode(), keys[0])
    assert 0 < client.ttl(keys[0]) <= 86_400


def test_every_call_prolongs(store: RedisStore, client: redis.Redis, prefix: str) -> None:
    """The time to live is the latest call's; reading does not change it."""
    store.apply([remember("a", ttl=50)])
    store.apply([remember("a", ttl=5_000)])
    store.apply([Recall("a")])
    assert 4_900 < client.ttl(f"{prefix}:{{a}}") <= 5_000


def test_forgotten_records_leave_nothing(
    store: RedisStore, client: redis.Redis, prefix: str
) -> None:
    """After Forget there is no key left."""
    store.apply([remember("a"), remember("b")])
    store.apply([Forget("a"), Forget("b")])
    assert list(client.scan_iter(f"{prefix}*")) == []


def test_record_is_small(store: RedisStore, client: redis.Redis, prefix: str) -> None:
    """The default detector takes at most 700 bytes of the server's memory for an account."""
    detector = SyncModelTheftDetector(store, secret=SECRET)
    for number in range(200):
        detector.analyze_request("alice", body(number))
    (key,) = client.scan_iter(f"{prefix}*")
    # The prefix of this test is longer than the default one: that is not the record's fault.
    client.rename(key, "ms:{alice}")
    usage = client.memory_usage("ms:{alice}")
    client.delete("ms:{alice}")
    assert usage is not None
    assert usage <= 700


GOOD = encode(Record(3, 1_700_000_000_000, {TAG: b"abc", b"gues": b"t" * 40}))
BAD_VALUES = {
    "foreign": b"session:42",
    "empty": b"",
    "truncated": GOOD[:-1],
    "header only": GOOD[:15],
    "longer": GOOD + b"\0",
    "loose end": GOOD[:4] + bytes([GOOD[4] + 3]) + GOOD[5:] + b"abc",
    "newer": GOOD[:2] + b"\2" + GOOD[3:],
    "another length": GOOD[:4] + bytes([GOOD[4] + 1]) + GOOD[5:],
    "cell too long": GOOD[:20] + b"\xff" + GOOD[21:],
    "cell too short": GOOD[:20] + b"\0" + GOOD[21:],
}
CALLS: list[Operation] = [remember("a"), Recall("a"), Forget("a")]


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: type(operation).__name__)
@pytest.mark.parametrize("bad", BAD_VALUES.values(), ids=BAD_VALUES)
def test_bad_value_is_refused_and_left(
    store: RedisStore, client: redis.Redis, prefix: str, bad: bytes, operation: Operation
) -> None:
    """A value that is no record of ours is a StoreError for every operation, and stays as it is."""
    key = f"{prefix}:{{a}}"
    client.set(key, bad)
    with pytest.raises(StoreError, match=r"not a modelsec record|damaged|upgrade the process"):
        store.apply([operation])
    assert client.get(key) == bad
    assert client.ttl(key) == -1


@pytest.mark.parametrize("operation", CALLS, ids=lambda operation: type(operation).__name__)
def test_other_type_is_refused_and_left(
    store: RedisStore, client: redis.Redis, prefix: str, operation: Operation
) -> None:
    """A key that holds a list is a StoreError for every operation, and stays as it is."""
    key = f"{prefix}:{{a}}"
    client.rpush(key, "x", "y")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store.apply([operation])
    assert client.lrange(key, 0, -1) == [b"x", b"y"]


def test_scripts_and_client_agree(store: RedisStore, client: redis.Redis, prefix: str) -> None:
    """Whichever byte of a record is changed, both scripts refuse it if and only if decode does."""
    key = f"{prefix}:{{a}}"
    for position in range(len(GOOD)):
        for change in (1, 0x80, 0xFF):
            raw = bytearray(GOOD)
            raw[position] ^= change
            refused = set()
            for operation in (Recall("a"), Remember("a", None, 600, 4_096, ()), Forget("a")):
                client.set(key, bytes(raw))
                try:
                    store.apply([operation])
                except StoreError:
                    refused.add(type(operation))
            assert refused in (set(), {Recall, Remember, Forget}), (position, change)


@pytest.mark.parametrize("kind", [Remember, Recall, Forget])
def test_bad_value_spares_nobody(
    store: RedisStore, client: redis.Redis, prefix: str, kind: type
) -> None:
    """One bad value among the keys of a call, first or last: no other key is changed either."""
    store.apply([remember("a"), remember("c")])
    client.set(f"{prefix}:{{b}}", b"foreign")
    before = [client.get(f"{prefix}:{{{key}}}") for key in "abc"]
    for keys in ("abc", "bac", "acb"):
        with pytest.raises(StoreError):
            store.apply([remember(key) if kind is Remember else kind(key) for key in keys])
    assert [client.get(f"{prefix}:{{{key}}}") for key in "abc"] == before


@pytest.mark.parametrize("kind", [Remember, Recall, Forget])
async def test_bad_value_fails_its_own_call_only(
    async_store: AsyncRedisStore, redis_url: str, prefix: str, kind: type
) -> None:
    """Of concurrent calls only the one that meets a bad value fails; the others happen, once."""
    await asyncio.gather(*(async_store.apply([remember(f"k{i}")]) for i in range(20)))
    outcomes: list[object] = []
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{prefix}:{{k7}}", b"foreign")
        outcomes += await asyncio.gather(
            *(
                async_store.apply([remember(f"k{i}") if kind is Remember else kind(f"k{i}")])
                for i in range(20)
            ),
            return_exceptions=True,
        )
        left = [i for i in range(20) if client.exists(f"{prefix}:{{k{i}}}")]
    assert isinstance(outcomes.pop(7), StoreError)
    counts = [outcome[0].count for outcome in outcomes if isinstance(outcome, list)]
    assert counts == [2 if kind is Remember else 1] * 19
    assert left == ([7] if kind is Forget else list(range(20)))


async def test_record_is_forgotten_once(async_store: AsyncRedisStore) -> None:
    """Of concurrent calls that forget one record, exactly one gets it."""
    await async_store.apply([remember("a")])
    replies = await asyncio.gather(*(async_store.apply([Forget("a")]) for _ in range(20)))
    assert sorted(reply is None for (reply,) in replies) == [False] + [True] * 19


def test_keys_of_two_slots_are_refused(cluster_url: str, prefix: str) -> None:
    """On a Cluster a call whose keys live in different slots is a StoreError that says so."""
    store = RedisStore.from_url(cluster_url, cluster=True, prefix=prefix, **PATIENT)
    with pytest.raises(StoreError, match="slot"):
        store.apply([Recall("a"), Recall("b")])
    store.close()


# --- concurrency ---------------------------------------------------------------------------------


@batching
async def test_tasks_lose_no_count(redis_url: str, prefix: str, *, batch: bool) -> None:
    """64 tasks that analyse requests of one account see every count exactly once."""
    store = AsyncRedisStore.from_url(redis_url, prefix=prefix, batch=batch, **PATIENT)
    detector = ModelTheftDetector(store, secret=SECRET)
    assessments = await asyncio.gather(
        *(detector.analyze_request("alice", body(i)) for i in range(64))
    )
    assert sorted(one.requests_seen for one in assessments) == list(range(1, 65))
    await store.aclose()


def test_threads_lose_no_count(store: RedisStore) -> None:
    """8 threads that analyse requests of one account see every count exactly once."""
    detector = SyncModelTheftDetector(store, secret=SECRET)
    with ThreadPoolExecutor(8) as threads:
        assessments = threads.map(lambda i: detector.analyze_request("alice", body(i)), range(200))
        assert sorted(one.requests_seen for one in assessments) == list(range(1, 201))


@batching
async def test_exhausted_pool_waits(
    own_server: Server, own_client: redis.Redis, *, batch: bool
) -> None:
    """200 concurrent calls over two connections wait for their turn, and none of them fails."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, max_connections=2, **PATIENT)
    replies = await asyncio.gather(*(store.apply([remember("a")]) for _ in range(200)))
    assert sorted(record.count for (record,) in replies if record) == list(range(1, 201))
    assert own_client.info("clients")["connected_clients"] <= 3  # one of them is this client
    await store.aclose()


def test_exhausted_pool_waits_in_threads(own_server: Server, own_client: redis.Redis) -> None:
    """16 threads over two connections wait for their turn, and none of them fails."""
    store = RedisStore.from_url(own_server.url, max_connections=2, **PATIENT)
    with ThreadPoolExecutor(16) as threads:
        replies = list(threads.map(store.apply, [[remember("a")]] * 200))
    assert sorted(record.count for (record,) in replies if record) == list(range(1, 201))
    assert own_client.info("clients")["connected_clients"] <= 3
    store.close()


def check_own_reply(outcome: object, number: int, *, cancelled: bool) -> None:
    """Check that a call got the reply to its own payload, or was cancelled on purpose."""
    if cancelled and isinstance(outcome, asyncio.CancelledError):
        return  # a cancellation may also come too late
    assert isinstance(outcome, list)
    assert outcome[0] is not None
    assert set(outcome[0].cells[TAG].split(b"%03d" % number)) == {b""}


async def test_cancelled_call_costs_nobody_a_reply(
    async_store: AsyncRedisStore, redis_url: str
) -> None:
    """Tasks that are cancelled with calls under way leave no reply behind for somebody else."""
    with redis.Redis.from_url(redis_url) as client:
        for turn in range(4):
            client.client_pause(50)
            tasks = [
                asyncio.ensure_future(async_store.apply([remember(f"k{i}", b"%03d" % i)]))
                for i in range(64)
            ]
            await asyncio.sleep(0.01)
            for task in tasks[turn::4]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            for i, outcome in enumerate(outcomes):
                check_own_reply(outcome, i, cancelled=i % 4 == turn)


@batching
async def test_cancelled_call_costs_nobody_a_reply_on_cluster(
    cluster_url: str, prefix: str, *, batch: bool
) -> None:
    """The same on a Cluster."""
    store = AsyncRedisStore.from_url(
        cluster_url, cluster=True, prefix=prefix, batch=batch, max_connections=4, **PATIENT
    )
    await store.apply([remember("k0", b"000")])
    for turn in range(4):
        tasks = [
            asyncio.ensure_future(store.apply([remember(f"k{i}", b"%03d" % i)])) for i in range(64)
        ]
        for _ in range(turn):
            await asyncio.sleep(0)
        for task in tasks[turn::4]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for i, outcome in enumerate(outcomes):
            check_own_reply(outcome, i, cancelled=i % 4 == turn)
    await store.aclose()


@batching
async def test_late_reply_reaches_nobody(
    own_server: Server, own_client: redis.Redis, *, batch: bool
) -> None:
    """A reply that comes after its call gave up is not taken for the reply to a later call."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, timeout=0.05)
    sync_store = RedisStore.from_url(own_server.url, timeout=0.05)
    own_client.client_pause(200)
    tasks = [asyncio.ensure_future(store.apply([remember(f"k{i}", b"late")])) for i in range(32)]
    with pytest.raises(StoreError):
        await asyncio.to_thread(sync_store.apply, [remember("k0", b"late")])
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    wait_until(own_client.ping, "the pause to end")
    for i in range(64):
        own_client.delete(f"ms:{{k{i}}}")

    async def patient(number: int) -> object:
        for _ in range(20):  # a loaded machine may take more than 50 ms for a reply
            try:
                return await store.apply([remember(f"k{number}", b"%03d" % number)])
            except StoreError:
                continue
        return None

    for i, outcome in enumerate(await asyncio.gather(*(patient(i) for i in range(64)))):
        check_own_reply(outcome, i, cancelled=False)
    await store.aclose()
    sync_store.close()


# --- failures ------------------------------------------------------------------------------------


@batching
async def test_lost_connection_fails_every_call(
    own_server: Server, own_client: redis.Redis, *, batch: bool
) -> None:
    """When the server drops the connections, each waiting call gets a StoreError: none hangs."""
    store = AsyncRedisStore.from_url(own_server.url, batch=batch, **PATIENT)
    await asyncio.gather(*(store.apply([remember("a")]) for _ in range(64)))
    own_client.client_pause(10_000)
    tasks = [asyncio.ensure_future(store.apply([remember("a")])) for _ in range(64)]
    await asyncio.sleep(0.05)
    own_server.kill()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    await store.aclose()


def test_closed_store_holds_no_connection(own_server: Server, own_client: redis.Redis) -> None:
    """close() and aclose() end the connections that from_url opened."""

    def connections() -> int:
        return int(own_client.info("clients")["connected_clients"])

    async def used_and_closed() -> None:
        store = AsyncRedisStore.from_url(own_server.url)
        await asyncio.gather(*(store.apply([remember("a")]) for _ in range(8)))
        assert connections() > 1
        await store.aclose()

    store = RedisStore.from_url(own_server.url)
    store.apply([remember("a")])
    assert connections() == 2
    store.close()
    wait_until(lambda: connections() == 1, "the server to notice")
    asyncio.run(used_and_closed())
    wait_until(lambda: connections() == 1, "the server to notice")


def test_store_belongs_to_one_loop(redis_url: str, prefix: str) -> None:
    """A second event loop is told to make a store of its own, not left with closed connections."""
    store = AsyncRedisStore.from_url(redis_url, prefix=prefix)

    async def used_and_closed() -> None:
        await store.apply([remember("a")])
        await store.aclose()

    asyncio.run(used_and_closed())
    with pytest.raises(ConfigurationError, match="make one store for each loop"):
        asyncio.run(store.apply([remember("a")]))


def test_server_out_of_memory(own_server: Server, own_client: redis.Redis) -> None:
    """A server that has no memory left is a StoreError, and no key of the call is changed."""
    store = RedisStore.from_url(own_server.url, **PATIENT)
    store.apply([remember("a")])
    own_client.config_set("maxmemory", 1)
    with pytest.raises(StoreError, match=r"OOM|memory"):
        store.apply([remember("a"), remember("b")])
    own_client.config_set("maxmemory", 0)
    (record, nobody) = store.apply([Recall("a"), Recall("b")])
    assert record is not None
    assert (record.count, nobody) == (1, None)
    store.close()


def test_numbers_of_other_types_are_numbers(store: RedisStore) -> None:
    """A limit that is a subclass of float, as NumPy's are, is sent as the number it is."""

    class Odd(float):
        def __repr__(self) -> str:
            return f"Odd({super().__repr__()})"

    halves = CellUpdate(TAG, "total", Odd(10.0), 8.0)
    for now_ms in (0, 10_000):
        (record,) = store.apply([Remember("a", now_ms, 600, 4_096, (halves,))])
    assert record is not None
    assert float(record.cells[TAG][6:]) == 12.0


@pytest.mark.parametrize("tag", [b";;;;", b"0 1 ", b"\0\r\n\0", b"\xff%d;"])
def test_any_tag_is_a_name(store: RedisStore, tag: bytes) -> None:
    """Four bytes of any value name a cell, those that mean something to the script included."""
    cells = (CellUpdate(tag, "ring", 8, tag), CellUpdate(TAG, "ring", 8, b";"))
    for _ in range(2):
        (record,) = store.apply([Remember("a", None, 600, 4_096, cells)])
    assert record is not None
    assert record.cells == {tag: tag * 2, TAG: b";;"}


async def test_calls_of_different_sizes_share(async_store: AsyncRedisStore) -> None:
    """Concurrent calls with several operations each, of different detectors, get their own."""
    calls = [
        [
            Remember(
                f"k{i}-{j}", None, 600 + i % 3, 4_096, (CellUpdate(TAG, "ring", 64, b"%d" % i),)
            )
            for j in range(1 + i % 4)
        ]
        for i in range(60)
    ]
    for turn in (1, 2):
        replies = await asyncio.gather(*(async_store.apply(call) for call in calls))
        for i, (call, reply) in enumerate(zip(calls, replies, strict=True)):
            assert [r.cells[TAG] for r in reply if r] == [b"%d" % i * turn] * len(call)


def test_batch_of_operations_is_large(store: RedisStore) -> None:
    """One call may carry a thousand operations."""
    operations: Sequence[Operation] = [remember(f"k{i}") for i in range(1_000)]
    assert [record.count for record in store.apply(operations) if record] == [1] * 1_000
