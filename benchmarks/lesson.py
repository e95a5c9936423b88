"""The source lesson's detector, to measure against: same logic, same numbers, same faults.

Shown here is what the project started from. ``LessonDetector`` scores as the lesson does; its
velocity counter is read and never incremented, so that its highest score is .61 and its block
branch is out of reach. ``repaired=True`` changes that one thing: INCR and EXPIRE of the minute's
counter take the place of GET. The lesson makes five round trips a request as written (GET, LPUSH,
LTRIM, EXPIRE, LRANGE), and six repaired.

Run ``python benchmarks/lesson.py`` to see both judge a greedy client that repeats one prompt.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Protocol

from harness import environment, markdown, write_json

WEIGHTS = {
    "velocity": 0.3,
    "logprobs": 0.25,
    "deterministic": 0.15,
    "short_response": 0.1,
    "low_diversity": 0.2,
}
BLOCK_ABOVE, DEGRADE_ABOVE = 0.7, 0.4
REQUESTS_PER_MINUTE = 100
SHORT_TOKENS = 50
ENOUGH_INPUTS, KEPT_INPUTS = 10, 100
INPUTS_TTL_S, COUNTER_TTL_S = 3_600, 120


class LessonClient(Protocol):
    """The commands that the lesson uses, of ``redis.asyncio.Redis`` or the stand-in below."""

    def get(self, name: str, /) -> Awaitable[bytes | int | None]:
        """Read a value."""

    def incr(self, name: str, /) -> Awaitable[int]:
        """Count, and return the count."""

    def expire(self, name: str, seconds: int, /) -> Awaitable[object]:
        """Let a key live for so long."""

    def lpush(self, name: str, value: str, /) -> Awaitable[int]:
        """Put a value in front of a list."""

    def ltrim(self, name: str, start: int, end: int, /) -> Awaitable[object]:
        """Keep a part of a list."""

    def lrange(self, name: str, start: int, end: int, /) -> Awaitable[list[bytes | str]]:
        """Read a part of a list."""


@dataclass(frozen=True, slots=True)
class LessonVerdict:
    """What the lesson's detector returns: action, rounded score, and the scores behind it."""

    action: str
    extraction_score: float
    scores: Mapping[str, float]


class LessonDetector:
    """The lesson's ``ModelTheftDetector``.

    Args:
        client: an asynchronous Redis client, or :class:`InMemoryClient`.
        repaired: increment the velocity counter, as the lesson must have meant to.
        clock: what the lesson reads from ``time.time``.
    """

    def __init__(
        self,
        client: LessonClient,
        *,
        repaired: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._repaired = repaired
        self._clock = clock

    async def analyze_request(self, user_id: str, request: Mapping[str, Any]) -> LessonVerdict:
        """Score one request, in five sequential commands (six when repaired)."""
        scores = {"velocity": min(await self._per_minute(user_id) / REQUESTS_PER_MINUTE, 1.0)}
        asked = request.get("logprobs") or request.get("top_logprobs")
        scores["logprobs"] = 0.8 if asked else 0.0
        scores["deterministic"] = 1.0 if request.get("temperature", 1.0) == 0 else 0.0
        short = request.get("max_tokens", 1000) < SHORT_TOKENS
        scores["short_response"] = 0.6 if short else 0.0
        scores["low_diversity"] = 1.0 - await self._diversity(user_id, request)
        total = sum(scores[name] * weight for name, weight in WEIGHTS.items())
        action = "allow"
        if total > BLOCK_ABOVE:
            action = "block"
        elif total > DEGRADE_ABOVE:
            action = "degrade"
        return LessonVerdict(action, round(total, 3), scores)

    async def _per_minute(self, user_id: str) -> int:
        key = f"rpm:{user_id}:{int(self._clock() / 60)}"
        if not self._repaired:
            return int(await self._client.get(key) or 0)
        count = await self._client.incr(key)
        await self._client.expire(key, COUNTER_TTL_S)
        return count

    async def _diversity(self, user_id: str, request: Mapping[str, Any]) -> float:
        content = str(request.get("messages", []))
        digest = md5(content.encode(), usedforsecurity=False).hexdigest()[:8]
        key = f"inputs:{user_id}"
        await self._client.lpush(key, digest)
        await self._client.ltrim(key, 0, KEPT_INPUTS - 1)
        await self._client.expire(key, INPUTS_TTL_S)
        recent = await self._client.lrange(key, 0, KEPT_INPUTS - 1)
        if len(recent) < ENOUGH_INPUTS:
            return 1.0
        return len(set(recent)) / len(recent)


class ReplayClock:
    """A clock that shows the time of the recorded request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time that was set last."""
        return self.now


class InMemoryClient:
    """The lesson's commands over a dictionary, with expiry by an injected clock.

    Args:
        clock: seconds; in a replay the time of the request, not of the computer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._lists: dict[str, list[bytes | str]] = {}
        self._expiry: dict[str, float] = {}

    async def get(self, name: str, /) -> int | None:
        """Read a counter."""
        self._forget_expired(name)
        return self._counts.get(name)

    async def incr(self, name: str, /) -> int:
        """Count, and return the count."""
        self._forget_expired(name)
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name]

    async def expire(self, name: str, seconds: int, /) -> bool:
        """Let a key live for so long."""
        self._expiry[name] = self._clock() + seconds
        return True

    async def lpush(self, name: str, value: str, /) -> int:
        """Put a value in front of a list."""
        self._forget_expired(name)
        values = self._lists.setdefault(name, [])
        values.insert(0, value)
        return len(values)

    async def ltrim(self, name: str, start: int, end: int, /) -> bool:
        """Keep a part of a list."""
        self._forget_expired(name)
        self._lists[name] = self._lists.get(name, [])[start : end + 1]
        return True

    async def lrange(self, name: str, start: int, end: int, /) -> list[bytes | str]:
        """Read a part of a list."""
        self._forget_expired(name)
        return self._lists.get(name, [])[start : end + 1]

    def _forget_expired(self, name: str) -> None:
        if self._expiry.get(name, self._clock() + 1) <= self._clock():
            self._counts.pop(name, None)
            self._lists.pop(name, None)
            del self._expiry[name]


async def _demonstrate(requests: int) -> list[list[object]]:
    rows: list[list[object]] = []
    body = {
        "messages": [{"role": "user", "content": "Is this review positive?"}],
        "temperature": 0,
        "max_tokens": 1,
        "top_logprobs": 5,
    }
    for repaired in (False, True):
        clock = ReplayClock()
        detector = LessonDetector(InMemoryClient(clock), repaired=repaired, clock=clock)
        verdicts = [await detector.analyze_request("greedy", body) for _ in range(requests)]
        last = verdicts[-1]
        velocity = last.scores["velocity"]
        name = "repaired" if repaired else "as written"
        rows.append([name, velocity, last.extraction_score, last.action])
    return rows


def main() -> None:
    """Show the fault and the repair."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200, help="identical requests in a row")
    parser.add_argument("--json", metavar="FILE", help="write the result here, too")
    options = parser.parse_args()
    print(environment())
    rows = asyncio.run(_demonstrate(options.requests))
    print(f"\nAfter {options.requests} identical greedy requests in one minute:\n")
    print(markdown(["lesson", "velocity", "score", "action"], rows))
    write_json(options.json, {"environment": environment(), "rows": rows})


if __name__ == "__main__":
    main()
