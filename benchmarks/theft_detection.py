"""Who is caught, who is wrongly accused: modelsec and the source lesson on one recorded traffic.

The traffic of ``$MODELSEC_SHARED/data/traffic`` (default ``../shared`` beside the repository) is
replayed once through modelsec (default policy, memory store, several secrets, because the sketches
are keyed), through the lesson as written, and through the lesson with its counter repaired. The
score of an account is the highest extraction score among its requests.

Printed are, per kind of attack and per honest persona: accounts flagged at the default thresholds;
detection at a false-positive rate of 1 %, where one half of the honest accounts sets the threshold
and the other half measures the realised rate; requests until the first reaction; AUROC.

Run ``python benchmarks/theft_detection.py [--json FILE]``. It takes about a minute.
"""

import argparse
import asyncio
import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, rankdata  # type: ignore[import-untyped]

from harness import environment, markdown, write_json
from lesson import InMemoryClient, LessonDetector, ReplayClock
from modelsec import MemoryStore, SyncModelTheftDetector
from modelsec.extraction import BadLine, read_requests

NOMINAL_FPR = 0.01
DIGITS = 9
"""Scores are compared to so many places, so that rounding errors do not break ties."""

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Track:
    """What one detector made of one account: reactions, and every new highest score."""

    requests: int = 0
    first_degrade: int | None = None
    first_block: int | None = None
    peaks: list[tuple[int, float]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Highest extraction score."""
        return self.peaks[-1][1]

    def first_above(self, threshold: float) -> int | None:
        """Return the number of the first request that scored above ``threshold``."""
        return next((number for number, score in self.peaks if score > threshold), None)

    def add(self, action: str, score: float) -> None:
        """Take in one more request."""
        self.requests += 1
        score = round(score, DIGITS)
        if action != "allow" and self.first_degrade is None:
            self.first_degrade = self.requests
        if action == "block" and self.first_block is None:
            self.first_block = self.requests
        if not self.peaks or score > self.score:
            self.peaks.append((self.requests, score))


@dataclass(frozen=True, slots=True)
class Account:
    """One labelled account."""

    name: str
    kind: str
    is_attack: bool

    @property
    def tunes(self) -> bool:
        """Whether it is in the half that sets thresholds."""
        return sha256(self.name.encode()).digest()[0] % 2 == 0


Tracks = Mapping[str, Track]


def read_accounts(folder: Path) -> list[Account]:
    """Read the labels."""
    with (folder / "accounts.csv").open(newline="", encoding="utf-8") as file:
        return [
            Account(row["account"], row["kind"], row["is_attack"] == "1")
            for row in csv.DictReader(file)
        ]


async def replayed(folder: Path, secrets: int) -> dict[str, Tracks]:
    """Replay the traffic once, through all detectors side by side."""
    clock = ReplayClock()
    written = LessonDetector(InMemoryClient(clock), clock=clock)
    repaired = LessonDetector(InMemoryClient(clock), repaired=True, clock=clock)
    ours = [
        SyncModelTheftDetector(
            MemoryStore(), secret=sha256(f"benchmark secret {number}".encode()).digest()
        )
        for number in range(secrets)
    ]
    names = ["lesson", "lesson repaired", *(f"modelsec, key {n + 1}" for n in range(secrets))]
    tracks: list[defaultdict[str, Track]] = [defaultdict(Track) for _ in names]
    with (folder / "requests.jsonl.gz").open("rb") as file:
        for request in read_requests(file):
            if isinstance(request, BadLine):
                raise SystemExit(f"line {request.line}: {request.problem}")
            clock.now, account, body = request.ts, request.account, dict(request.body)
            said: list[Any] = [
                await written.analyze_request(account, body),
                await repaired.analyze_request(account, body),
                *(one.analyze_request(account, body, now=request.ts) for one in ours),
            ]
            for track, verdict in zip(tracks, said, strict=True):
                track[account].add(verdict.action, verdict.extraction_score)
    return dict(zip(names, tracks, strict=True))


def by_kind(accounts: Iterable[Account], *, attacks: bool) -> dict[str, list[Account]]:
    """Group the attackers, or the honest accounts, by kind."""
    groups: defaultdict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        if account.is_attack == attacks:
            groups[account.kind].append(account)
    return dict(sorted(groups.items()))


def degraded(track: Track) -> bool:
    """Whether any request was degraded or blocked."""
    return track.first_degrade is not None


def blocked(track: Track) -> bool:
    """Whether any request was blocked."""
    return track.first_block is not None


def share(tracks: Tracks, accounts: Sequence[Account], holds: Callable[[Track], bool]) -> float:
    """Return the share of accounts for which something holds."""
    return sum(holds(tracks[account.name]) for account in accounts) / len(accounts)


def percent(value: float) -> str:
    """Format a share."""
    return f"{100 * value:.1f} %" if 0 < value < 1 else f"{100 * value:.0f} %"


def at_default_thresholds(
    runs: Mapping[str, Tracks], accounts: Sequence[Account], *, attacks: bool
) -> list[list[object]]:
    """Return, per kind, the share of accounts degraded or blocked / blocked at least once."""
    groups = by_kind(accounts, attacks=attacks)
    everyone = [account for group in groups.values() for account in group]

    def cell(tracks: Tracks, *parts: Sequence[Account]) -> str:
        """Average the two shares over groups of accounts."""
        return " / ".join(
            percent(float(np.mean([share(tracks, part, stage) for part in parts])))
            for stage in (degraded, blocked)
        )

    rows: list[list[object]] = [
        [kind, len(group), *(cell(tracks, group) for tracks in runs.values())]
        for kind, group in groups.items()
    ]
    macro = [cell(tracks, *groups.values()) for tracks in runs.values()]
    rows.append(["**mean of kinds**", len(groups), *macro])
    rows.append(["**all accounts**", len(everyone), *(cell(t, everyone) for t in runs.values())])
    return rows


def threshold_at(scores: Sequence[float], rate: float) -> float:
    """Return the lowest threshold that at most ``rate`` of the scores strictly exceed.

    Tied scores stay below together: the share that exceeds may be smaller, never larger.
    """
    ordered = sorted(scores, reverse=True)
    return ordered[int(rate * len(ordered))]


@dataclass(frozen=True, slots=True)
class Measured:
    """A detector at a nominal false-positive rate."""

    detector: str
    tuned_on: int
    threshold: float
    false_positives: int
    measured_on: int
    interval: tuple[float, float]
    accused: Mapping[str, int]
    detection: Mapping[str, float]
    queries: Mapping[str, float | None]

    @property
    def realised(self) -> str:
        """Realised false-positive rate, as counts and share."""
        rate = percent(self.false_positives / self.measured_on)
        return f"{self.false_positives}/{self.measured_on} = {rate}"

    @property
    def macro(self) -> float:
        """Mean of the detection rates of the kinds."""
        return float(np.mean(list(self.detection.values())))


def at_one_percent(
    name: str, tracks: Tracks, accounts: Sequence[Account], *, swapped: bool
) -> Measured:
    """Set the threshold on one half of the honest accounts, measure on the other."""
    honest = [account for account in accounts if not account.is_attack]
    tuning = [a for a in honest if a.tunes != swapped]
    measuring = [a for a in honest if a.tunes == swapped]
    threshold = threshold_at([tracks[a.name].score for a in tuning], NOMINAL_FPR)
    accused = [a for a in measuring if tracks[a.name].score > threshold]
    exact = binomtest(len(accused), len(measuring)).proportion_ci(0.95, method="exact")
    attacks = by_kind(accounts, attacks=True)
    firsts = {
        kind: [tracks[a.name].first_above(threshold) for a in group]
        for kind, group in attacks.items()
    }
    return Measured(
        name,
        len(tuning),
        threshold,
        len(accused),
        len(measuring),
        (float(exact.low), float(exact.high)),
        dict(Counter(a.kind for a in accused).most_common()),
        {k: sum(n is not None for n in found) / len(found) for k, found in firsts.items()},
        {k: median(found) for k, found in firsts.items()},
    )


def median(numbers: Iterable[int | None]) -> float | None:
    """Return the median of the numbers there are; None if there are none."""
    known = [number for number in numbers if number is not None]
    return float(np.median(known)) if known else None


def auroc(tracks: Tracks, attackers: Sequence[Account], honest: Sequence[Account]) -> float:
    """Return the probability that an attacker outscores an honest account; ties count half."""
    scores = [tracks[a.name].score for a in (*attackers, *honest)]
    ranks = rankdata(scores)[: len(attackers)]
    wins = ranks.sum() - len(attackers) * (len(attackers) + 1) / 2
    return float(wins / (len(attackers) * len(honest)))


def queries_to_reaction(
    runs: Mapping[str, Tracks], accounts: Sequence[Account]
) -> list[list[object]]:
    """Return, per kind of attack, the median request of the first degrade and block."""

    def text(numbers: list[int | None]) -> str:
        middle = median(numbers)
        found = sum(number is not None for number in numbers)
        return "never" if middle is None else f"{middle:g} ({found})"

    rows: list[list[object]] = []
    for kind, group in by_kind(accounts, attacks=True).items():
        cells = [
            f"{text([t[a.name].first_degrade for a in group])} / "
            f"{text([t[a.name].first_block for a in group])}"
            for t in runs.values()
        ]
        requests = np.median([next(iter(runs.values()))[a.name].requests for a in group])
        rows.append([f"{kind} ({len(group)} accounts, {requests:g} requests)", *cells])
    return rows


def auroc_rows(runs: Mapping[str, Tracks], accounts: Sequence[Account]) -> list[list[object]]:
    """Return AUROC per kind of attack, and the mean over kinds."""
    honest = [account for account in accounts if not account.is_attack]
    rows: list[list[object]] = [
        [kind, *(auroc(tracks, group, honest) for tracks in runs.values())]
        for kind, group in by_kind(accounts, attacks=True).items()
    ]
    means = np.array([row[1:] for row in rows], float).mean(axis=0)
    return [*rows, ["**macro mean**", *map(float, means)]]


def print_one_percent(measured: Sequence[Measured]) -> None:
    """Print threshold and realised rate, then detection by kind, of some detectors."""
    print(
        markdown(
            ["detector", "threshold >", "realised FPR", "exact 95 % interval", "accused honest"],
            [
                [
                    one.detector,
                    f"{one.threshold:.4f}",
                    one.realised,
                    f"{percent(one.interval[0])} to {percent(one.interval[1])}",
                    ", ".join(f"{n} {kind}" for kind, n in one.accused.items()) or "none",
                ]
                for one in measured
            ],
        )
    )
    rows: list[list[object]] = []
    for kind in measured[0].detection:
        cells = [percent(one.detection[kind]) for one in measured]
        at = [one.queries[kind] for one in measured]
        rows.append(
            [kind, *(c if q is None else f"{c} (at {q:g})" for c, q in zip(cells, at, strict=True))]
        )
    rows.append(["**macro mean**", *(percent(one.macro) for one in measured)])
    print()
    print(markdown(["detection (median request)", *(m.detector for m in measured)], rows))


def main() -> None:
    """Replay, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--secrets", type=int, default=3, help="keys to repeat ours with")
    parser.add_argument("--json", metavar="FILE", help="write the results here, too")
    options = parser.parse_args()
    shared = Path(os.environ.get("MODELSEC_SHARED", _ROOT.parent / "shared"))
    folder = shared / "data" / "traffic"
    if not folder.is_dir():
        raise SystemExit(f"{folder} does not exist: set MODELSEC_SHARED")
    accounts = read_accounts(folder)
    runs = asyncio.run(replayed(folder, options.secrets))
    honest = sum(not account.is_attack for account in accounts)
    requests = sum(track.requests for track in next(iter(runs.values())).values())
    print(environment())
    print(f"\n{requests:,} requests, {honest} honest accounts, {len(accounts) - honest} attackers")
    results: dict[str, object] = {"environment": environment(), "requests": requests}

    for attacks, title in ((True, "Attackers"), (False, "Honest accounts, wrongly")):
        rows = at_default_thresholds(runs, accounts, attacks=attacks)
        results[f"default thresholds, attacks={attacks}"] = rows
        print(f"\n## {title} flagged at the default thresholds: above .4 / blocked above .7\n")
        print(markdown(["kind", "accounts", *runs], rows))

    for swapped in (False, True):
        measured = [
            at_one_percent(name, tracks, accounts, swapped=swapped) for name, tracks in runs.items()
        ]
        halves = ("second", "first") if swapped else ("first", "second")
        results[f"1 % FPR, swapped={swapped}"] = [
            {slot: getattr(one, slot) for slot in (*Measured.__slots__, "macro")}
            for one in measured
        ]
        print(
            f"\n## At a nominal 1 % FPR: threshold from the {halves[0]} half "
            f"({measured[0].tuned_on} honest accounts), rate from the {halves[1]}\n"
        )
        print_one_percent(measured)

    rows = queries_to_reaction(runs, accounts)
    results["queries to first degrade / block"] = rows
    print("\n## Median request of the first degrade / block (number of accounts that get there)\n")
    print(markdown(["kind", *runs], rows))
    rows = auroc_rows(runs, accounts)
    results["auroc"] = rows
    print("\n## AUROC against all honest accounts\n")
    print(markdown(["kind", *runs], rows))
    write_json(options.json, results)


if __name__ == "__main__":
    main()
