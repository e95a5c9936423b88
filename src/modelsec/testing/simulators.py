"""Simulated API traffic: honest customers and extraction attacks, reproducible by a seed.

Every sentence was written for this file. A simulator leaks: a detector that does well here has
shown that it runs, not that it is good. Judge detectors on your own traffic.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

Body: TypeAlias = dict[str, object]

_OPENINGS = (
    "What would you cook with {} and a lot of leftover {}?",
    "My sister wants to learn about {}; where does one start?",
    "I read that {} and {} have more in common than people think. True?",
    "Help me write a short toast for a friend who loves {}.",
    "Why does my {} make that noise every time it rains?",
    "can you fix the tone of this mail about the {} we ordered",
    "Is it worth repairing an old {}, or should I buy a new {}?",
    "Tell me something surprising about {}.",
    "We have two days in the mountains and bad weather. Ideas, maybe with {}?",
    "Explain {} to me as if I were ten, then as if I were a {}.",
    "How long can {} be kept in the freezer?",
    "Draft a polite complaint: the {} arrived broken and nobody answers.",
    "thanks! and what about the {}?",
    "I disagree, {} are overrated. Convince me.",
    "Make a checklist for moving house with a {} and three children.",
    "Which {} would you take to a desert island, and why not a {}?",
    "My code for the {} works on my machine only, what should I look at first?",
    "Give me a name for a café that sells {} and second-hand {}.",
    "What did people use before there was {}?",
    "Rewrite this for a child: the {} was placed under the {}.",
    "Any tips for painting a {}? The last one looked like a potato.",
    "Who invented the {}, and did it make them rich?",
    "I need an excuse for missing the {} club tonight.",
    "Compare renting a {} with owning one, in numbers please.",
)
_THINGS = (
    "lentils", "violin", "tax form", "lawn mower", "pottery", "router", "beetles", "sourdough",
    "telescope", "dishwasher", "glaciers", "crossword", "bicycle", "opera", "compost", "printer",
    "chess", "saffron", "kayak", "typewriter", "algebra", "hedgehog", "sauna", "lighthouse",
    "accordion", "mushrooms", "satellite", "wallpaper", "honey", "subway", "marathon", "ukulele",
)  # fmt: skip
_TICKETS = (
    "Where is my parcel {n}? It should have come on {day}.",
    "I was charged twice on {day}, order {n}.",
    "How do I change the address of order {n}?",
    "The app logs me out every time, since {day}.",
    "Can I return the shoes from order {n} without the box?",
    "Please cancel {n}, I ordered the wrong size on {day}.",
    "Your courier left the parcel with somebody on {day}. With whom?",
    "The voucher of {day} is not accepted, why?",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_REVIEWS = (
    "The handle broke after {n} days, but the shop replaced it at once.",
    "Bought it for my father, he uses it daily. {thing} smell at first.",
    "Not what the picture shows; the {thing} is much smaller.",
    "Five stars for the packaging, two for the {thing}.",
    "Works. {n} washes so far and no complaint.",
    "I wanted to like it, I really did. The {thing} never worked.",
    "Cheaper than in town, and it came before {day}.",
)


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """One request of a simulated account.

    Attributes:
        account: name of the account.
        kind: what it does, for example ``chat`` or ``grid``.
        is_attack: whether that is extraction.
        ts: time, seconds since the start.
        body: OpenAI-style request body.
    """

    account: str
    kind: str
    is_attack: bool
    ts: float
    body: Body

    def to_dict(self) -> dict[str, object]:
        """Return the request as one line of a log: the body with ``account`` and ``ts``."""
        return {"account": self.account, "ts": round(self.ts, 3), **self.body}


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    is_attack: bool
    accounts: int
    requests: int
    mean_gap_s: float
    body: Callable[[random.Random, int], Body]


def simulate_traffic(seed: int = 0, *, scale: int = 1) -> Iterator[SimulatedRequest]:
    """Yield the requests of some twenty accounts in order of time.

    Args:
        seed: the same seed gives the same traffic.
        scale: multiplies the number of accounts of every kind.
    """
    streams = []
    for kind in _KINDS:
        for number in range(kind.accounts * scale):
            stream = random.Random(f"{seed}/{kind.name}/{number}")  # noqa: S311 - a simulation
            streams.append(_account(kind, f"{kind.name}-{number + 1}", stream))
    return heapq.merge(*streams, key=lambda request: request.ts)


def _account(kind: _Kind, account: str, rng: random.Random) -> Iterator[SimulatedRequest]:
    ts = rng.uniform(0, 600)
    for number in range(kind.requests):
        ts += rng.expovariate(1 / kind.mean_gap_s)
        yield SimulatedRequest(account, kind.name, kind.is_attack, ts, kind.body(rng, number))


def _chat_message(content: str, **parameters: object) -> Body:
    return {"messages": [{"role": "user", "content": content}], **parameters}


def _filled(rng: random.Random, sentence: str) -> str:
    for thing in rng.sample(_THINGS, sentence.count("{}")):
        sentence = sentence.replace("{}", thing, 1)
    return sentence


def _chat(rng: random.Random, number: int) -> Body:
    del number
    text = " ".join(_filled(rng, rng.choice(_OPENINGS)) for _ in range(rng.choice((1, 1, 2))))
    return _chat_message(text, temperature=rng.choice((0.7, 1.0)), stream=True)


def _support(rng: random.Random, number: int) -> Body:
    del number
    ticket = rng.choice(_TICKETS).format(n=rng.randint(10_000, 99_999), day=rng.choice(_DAYS))
    return {
        "messages": [
            {"role": "system", "content": "You are the help desk of a shoe shop. Be brief."},
            {"role": "user", "content": f"{ticket} {_filled(rng, rng.choice(_OPENINGS))}"},
        ],
        "temperature": 0.3,
        "max_tokens": 256,
    }


def _labelling(rng: random.Random, number: int) -> Body:
    sentences = [
        template.format(n=rng.randint(2, 90), thing=rng.choice(_THINGS), day=rng.choice(_DAYS))
        for template in rng.sample(_REVIEWS, 4)
    ]
    text = f"Is this review positive or negative?\n\n{' '.join(sentences)} ({number})"
    return _chat_message(text, temperature=0, max_tokens=5)


def _monitor(rng: random.Random, number: int) -> Body:
    del rng, number
    return _chat_message("ping", temperature=0, max_tokens=1)


def _grid(rng: random.Random, number: int) -> Body:
    cell = f"{_THINGS[number % len(_THINGS)]} {rng.choice(_THINGS)}"
    return _chat_message(
        f"Complete with one word: the opposite of {cell} is",
        temperature=0,
        max_tokens=1,
        logprobs=True,
        top_logprobs=5,
    )


def _averaging(rng: random.Random, number: int) -> Body:
    del rng
    return _chat_message(
        f"Given the features x1={number // 60}, x2=3, which class is it?",
        temperature=0,
        max_tokens=1,
        logprobs=True,
        top_logprobs=5,
    )


def _patient_grid(rng: random.Random, number: int) -> Body:
    return {**_grid(rng, number), "temperature": 0.7, "max_tokens": 256, "logprobs": False,
            "top_logprobs": None}  # fmt: skip


_KINDS = (
    _Kind("chat", is_attack=False, accounts=6, requests=40, mean_gap_s=70, body=_chat),
    _Kind("support", is_attack=False, accounts=3, requests=90, mean_gap_s=20, body=_support),
    _Kind("labelling", is_attack=False, accounts=2, requests=150, mean_gap_s=2, body=_labelling),
    _Kind("monitor", is_attack=False, accounts=1, requests=60, mean_gap_s=60, body=_monitor),
    _Kind("grid", is_attack=True, accounts=2, requests=200, mean_gap_s=0.5, body=_grid),
    _Kind("averaging", is_attack=True, accounts=1, requests=180, mean_gap_s=1, body=_averaging),
    _Kind(
        "patient-grid", is_attack=True, accounts=2, requests=80, mean_gap_s=60, body=_patient_grid
    ),
)
