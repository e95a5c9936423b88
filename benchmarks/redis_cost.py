"""The Redis part of ``request_cost.py``: CPU, round trips and bytes on a real server."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from statistics import median
from typing import Any, TypeAlias, cast

import numpy as np
import redis
import redis.asyncio

from counting_proxy import CountingProxy
from harness import (
    Server,
    markdown,
    met,
    process_cpu_seconds,
    process_cpu_ticks,
    spread,
)
from lesson import LessonClient, LessonDetector
from modelsec import (
    AsyncRedisStore,
    MemoryStore,
    ModelTheftDetector,
    RedisStore,
    SyncModelTheftDetector,
)
from modelsec.protocols import Recall, Record
from modelsec.stores.codec import encode

REDIS_GOAL_RATIO = 0.25
ACCOUNTS = 1_000
FULL = 100
CONNECTIONS = 80
CONCURRENCIES = (1, 64)
TRIP_REQUESTS = 50
BYTES_REQUESTS = 200
SECRET = sha256(b"benchmark secret").digest()

Body: TypeAlias = Mapping[str, Any]
Result: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """Something that serves a request over the server, awaited or not."""

    name: str
    serve: Callable[[str, Body], Any]
    is_async: bool = True


@contextmanager
def sync_store(port: int, prefix: str) -> Iterator[RedisStore]:
    """Open a synchronous store."""
    store = RedisStore.from_url(
        f"redis://127.0.0.1:{port}", prefix=prefix, max_connections=CONNECTIONS, timeout=10
    )
    yield store
    store.close()


@asynccontextmanager
async def variants_on(port: int) -> Any:  # noqa: ANN401 - of a generator, decorated
    """Open all variants: three of the lesson, three of ours, each with keys of its own."""
    url = f"redis://127.0.0.1:{port}"
    # The settings that make ours cheap: RESP2, and no timeouts around the steps of a command.
    client = redis.asyncio.Redis(
        host="127.0.0.1", port=port, max_connections=CONNECTIONS, protocol=2, socket_timeout=None
    )
    written = LessonDetector(cast("LessonClient", client))
    repaired = LessonDetector(cast("LessonClient", client), repaired=True)

    async def ping(account: str, body: Body) -> None:
        del account, body
        await client.ping()

    stores = {
        batch: AsyncRedisStore.from_url(
            url,
            prefix=f"batch{batch}",
            batch=batch,
            max_connections=CONNECTIONS,
            timeout=10,
            max_wait=10,
        )
        for batch in (True, False)
    }
    ours = {b: ModelTheftDetector(store, secret=SECRET) for b, store in stores.items()}
    with (
        sync_store(port, "sync") as blocking,
        redis.Redis(host="127.0.0.1", port=port, max_connections=CONNECTIONS, protocol=2) as plain,
    ):
        yield [
            Variant("lesson as written", lambda a, b: written.analyze_request(f"w-{a}", b)),
            Variant("lesson repaired", lambda a, b: repaired.analyze_request(f"r-{a}", b)),
            Variant("ours, batch=True", ours[True].analyze_request),
            Variant("ours, batch=False", ours[False].analyze_request),
            Variant(
                "ours, RedisStore",
                SyncModelTheftDetector(blocking, secret=SECRET).analyze_request,
                is_async=False,
            ),
            Variant("bare PING", ping),
            Variant("bare PING, sync", lambda _a, _b: plain.ping(), is_async=False),
        ]
    for store in stores.values():
        await store.aclose()
    await client.aclose()


def fill(port: int, requests: list[Body]) -> None:
    """Give every account of every variant a full window, the same as traffic would."""
    memory = MemoryStore()
    detector = SyncModelTheftDetector(memory, secret=SECRET)
    accounts = [f"account-{i}" for i in range(ACCOUNTS)]
    now = time.time() - 3 * FULL
    for i in range(ACCOUNTS * FULL):
        detector.analyze_request(
            accounts[i % ACCOUNTS], requests[i % len(requests)], now=now + 3 * (i // ACCOUNTS)
        )
    rng = np.random.default_rng(1)
    with redis.Redis(host="127.0.0.1", port=port) as client:
        for account in accounts:
            record = cast("Record", memory.apply([Recall(account)])[0])
            pipeline = client.pipeline(transaction=False)
            for prefix in ("batchTrue", "batchFalse", "sync"):
                pipeline.set(f"{prefix}:{{{account}}}", encode(record), ex=86_400)
            for user in (f"w-{account}", f"r-{account}"):
                digests = [f"{n:08x}" for n in rng.integers(0, 2**32, FULL).tolist()]
                pipeline.rpush(f"inputs:{user}", *digests)
                pipeline.expire(f"inputs:{user}", 3_600)
            pipeline.execute()


async def send(variant: Variant, jobs: list[tuple[str, Body]], concurrency: int) -> None:
    """Serve all jobs, ``concurrency`` at a time: tasks, or threads if it is synchronous."""
    if variant.is_async:

        async def work(start: int) -> None:
            for account, body in jobs[start::concurrency]:
                await variant.serve(account, body)

        await asyncio.gather(*map(work, range(concurrency)))
        return

    def blocking_work(start: int) -> None:
        for account, body in jobs[start::concurrency]:
            variant.serve(account, body)

    if concurrency == 1:
        blocking_work(0)
        return
    threads = [threading.Thread(target=blocking_work, args=(k,)) for k in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds a request."""

    client: float
    server: float

    @property
    def total(self) -> float:
        """Both."""
        return self.client + self.server


async def redis_cost(server: Server, requests: list[Body], rounds: int, number: int) -> Result:
    """Measure all variants in turn, at every concurrency."""
    fill(server.port, requests)
    rng = np.random.default_rng(2)
    result: Result = {}
    before = process_cpu_seconds(server.pid), process_cpu_ticks(server.pid)
    async with variants_on(server.port) as variants:
        for concurrency in CONCURRENCIES:
            costs: dict[str, list[Cost]] = {variant.name: [] for variant in variants}
            for at in range(-1, rounds):  # the first round warms up connections and scripts
                picks = rng.integers(0, [[ACCOUNTS], [len(requests)]], (2, number)).tolist()
                jobs = [
                    (f"account-{a}", requests[b]) for a, b in zip(picks[0], picks[1], strict=True)
                ]
                for variant in variants:
                    gc.collect()
                    client, served = time.process_time(), process_cpu_seconds(server.pid)
                    await send(variant, jobs, concurrency)
                    cost = Cost(
                        (time.process_time() - client) / number * 1e6,
                        (process_cpu_seconds(server.pid) - served) / number * 1e6,
                    )
                    if at >= 0:
                        costs[variant.name].append(cost)
            result[f"concurrency {concurrency}"] = report(costs, concurrency, rounds, number)
    after = process_cpu_seconds(server.pid), process_cpu_ticks(server.pid)
    print(
        f"\nServer CPU of the whole run: {after[0] - before[0]:.2f} s by the scheduler, "
        f"{after[1] - before[1]:.2f} s by utime + stime."
    )
    return result


def report(
    costs: Mapping[str, list[Cost]], concurrency: int, rounds: int, number: int
) -> dict[str, dict[str, float]]:
    """Print one table; ratios are medians of the ratios within a round."""
    rows: list[list[object]] = []
    result: dict[str, dict[str, float]] = {}
    for name, own in costs.items():
        ratios = [
            median(c.total / base.total for c, base in zip(own, costs[lesson], strict=True))
            for lesson in ("lesson as written", "lesson repaired")
        ]
        client, served = median(c.client for c in own), median(c.server for c in own)
        totals = [c.total for c in own]
        goal = met(ratios[0] <= REDIS_GOAL_RATIO) if name.startswith("ours") else ""
        rows.append([name, client, served, spread(totals), *(f"{r:.3f}" for r in ratios), goal])
        result[name] = {
            "client": client,
            "server": served,
            "total": median(totals),
            "to lesson as written": ratios[0],
            "to lesson repaired": ratios[1],
        }
    print(
        f"\n## Over Redis, concurrency {concurrency}: CPU µs a request, "
        f"median (range) of {rounds} rounds of {number:,}\n"
    )
    headers = ["variant", "client", "server", "total", "/ written", "/ repaired"]
    print(markdown([*headers, f"goal <= {REDIS_GOAL_RATIO}"], rows))
    return result


# Round trips


async def round_trips(server: Server, requests: list[Body]) -> Result:
    """Count round trips with a proxy, and commands with the server's own statistics.

    The count is exact at concurrency 1. At 64 a long pipeline may be answered while it is still
    being sent, which counts twice.
    """
    rows: list[list[object]] = []
    with (
        CountingProxy(server.port) as proxy,
        redis.Redis(host="127.0.0.1", port=server.port) as control,
    ):
        async with variants_on(proxy.port) as variants:
            for variant in variants:
                jobs = [("trips", body) for body in requests[:TRIP_REQUESTS]]
                crowd = [(f"trips-{i}", body) for i, body in enumerate(requests[:1_024])]
                await send(variant, jobs[:2], 1)  # connect, load the script
                control.config_resetstat()
                trips = proxy.round_trips
                await send(variant, jobs, 1)
                trips = proxy.round_trips - trips
                commands = command_calls(control)
                await send(variant, crowd, 64)
                crowded = proxy.round_trips
                await send(variant, crowd, 64)
                crowded = proxy.round_trips - crowded
                rows.append(
                    [variant.name, trips / len(jobs), crowded / len(crowd), ", ".join(commands)]
                )
                if variant.name.startswith("ours"):
                    assert trips == len(jobs), f"{variant.name}: {trips} trips, {len(jobs)} calls"
    print("\n## Round trips a request, and commands the server ran for it\n")
    print(markdown(["variant", "concurrency 1", "concurrency 64 (at most)", "commands"], rows))
    return {str(row[0]): row[1:] for row in rows}


def command_calls(control: "redis.Redis") -> list[str]:
    """Return the commands that the server ran since the last reset, per request."""
    stats = cast("Mapping[str, Mapping[str, float]]", control.info("commandstats"))
    found = {name.removeprefix("cmdstat_"): data["calls"] for name, data in stats.items()}
    return [
        f"{name} {calls / TRIP_REQUESTS:g}"
        for name, calls in found.items()
        if name not in {"info", "config|resetstat"}
    ]


# Bytes


async def account_bytes(server: Server, requests: list[Body]) -> Result:
    """Measure what one account occupies after 200 requests."""
    rows: list[list[object]] = []
    patterns = {
        "lesson as written": "*w-bytes*",
        "lesson repaired": "*r-bytes*",
        "ours, RedisStore": "sync:*bytes*",
    }
    async with variants_on(server.port) as variants:
        with redis.Redis(host="127.0.0.1", port=server.port) as control:
            for variant in variants:
                if variant.name not in patterns:
                    continue
                await send(variant, [("bytes", b) for b in requests[:BYTES_REQUESTS]], 1)
                keys = sorted(control.scan_iter(patterns[variant.name], count=10_000))
                sizes = [int(control.memory_usage(key, samples=0) or 0) for key in keys]
                detail = ", ".join(
                    f"{key.decode()} {size}" for key, size in zip(keys, sizes, strict=True)
                )
                rows.append([variant.name, sum(sizes), detail])
    print(f"\n## Bytes an account after {BYTES_REQUESTS} requests (MEMORY USAGE)\n")
    print(markdown(["variant", "bytes", "keys"], rows))
    return {str(row[0]): row[1] for row in rows}


def parser_name() -> str:
    """Say which reply parser the asynchronous client uses."""
    return redis.asyncio.connection.DefaultParser.__name__.strip("_")
