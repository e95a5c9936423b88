"""Recorded traffic through a detector: what would have been flagged, when, and why.

:func:`read_requests` turns a JSON-lines log into requests and bad lines, :func:`replay` judges
them; both stream, so the log may be larger than memory.
"""

import gzip
import io
import json
import math
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import BinaryIO, cast

from modelsec.errors import ConfigurationError
from modelsec.extraction.detector import SyncModelTheftDetector
from modelsec.protocols.store import MAX_TIME_S

MAX_LINE_BYTES = 16_777_216
MAX_ACCOUNTS = 100_000
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_BAD_LINES = 1_000
_SKIPPED_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request of a log.

    Attributes:
        account: whose request it was.
        ts: when, in seconds; only differences matter.
        body: the OpenAI-style body (further keys do not harm).
    """

    account: str
    ts: float
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no request.

    Attributes:
        line: its number, from 1.
        problem: what is wrong with it, without its content.
    """

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """What the detector made of one account.

    Attributes:
        account: the account.
        requests: requests judged.
        max_score: highest extraction score.
        first_degrade: number of its first request (from 1) that was degraded or blocked.
        first_block: number of its first request that was blocked.
        top_signal: signal that contributed most to the highest score.
        top_reason: what that signal said then.
    """

    account: str
    requests: int = 0
    max_score: float = 0.0
    first_degrade: int | None = None
    first_block: int | None = None
    top_signal: str = ""
    top_reason: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {**asdict(self), "max_score": round(self.max_score, 3)}


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Outcome of a replay.

    Attributes:
        requests: requests judged.
        accounts: one summary an account, highest score first.
        bad_lines: the first 1,000 lines that were no requests.
        bad_line_count: all of them.
        accounts_forgotten: accounts left out of ``accounts`` because there were too many; those
            idle longest went first, never flagged ones before flagged ones.
    """

    requests: int
    accounts: tuple[AccountSummary, ...]
    bad_lines: tuple[BadLine, ...] = ()
    bad_line_count: int = 0
    accounts_forgotten: int = 0

    @property
    def flagged(self) -> int:
        """Accounts with a degraded or blocked request."""
        return sum(account.first_degrade is not None for account in self.accounts)

    @property
    def blocked(self) -> int:
        """Accounts with a blocked request."""
        return sum(account.first_block is not None for account in self.accounts)

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data."""
        return {
            "requests": self.requests,
            "flagged": self.flagged,
            "blocked": self.blocked,
            "accounts": [account.to_dict() for account in self.accounts],
            "bad_lines": [asdict(bad) for bad in self.bad_lines],
            "bad_line_count": self.bad_line_count,
            "accounts_forgotten": self.accounts_forgotten,
        }


def read_requests(
    file: BinaryIO, *, account_field: str = "account", time_field: str = "ts"
) -> Iterator[RecordedRequest | BadLine]:
    """Read a JSON-lines log, plain or gzip-compressed, in bounded memory.

    Args:
        file: binary file; what it is compressed with is seen from its content.
        account_field: key that holds the account, a non-empty string or an integer.
        time_field: key that holds the time, in seconds.

    Yields:
        A request, or a :class:`BadLine`, for every line that is not blank.
    """
    number = 0
    lines = _lines(file)
    while True:
        number += 1
        try:
            line = next(lines, None)
        except (OSError, EOFError, zlib.error) as error:
            yield BadLine(number, f"the file cannot be read on: {error}")
            return
        if line is None:
            return
        if line.strip():
            yield _parsed(number, line, account_field, time_field)


def replay(
    requests: Iterable[RecordedRequest | BadLine | Mapping[str, object]],
    detector: SyncModelTheftDetector,
    *,
    account_field: str = "account",
    time_field: str = "ts",
    max_accounts: int = MAX_ACCOUNTS,
) -> ReplayReport:
    """Judge recorded requests in order.

    Args:
        requests: from :func:`read_requests`, or plain bodies that hold account and time.
        detector: a detector on a store of its own; its events go to its sink as usual.
        account_field: key of the account in plain bodies.
        time_field: key of the time in plain bodies.
        max_accounts: most summaries kept.

    Raises:
        ConfigurationError: ``max_accounts`` is not positive.
        StoreError: the detector's store failed and its policy is to raise.
    """
    if max_accounts < 1:
        raise ConfigurationError(f"max_accounts must be positive, not {max_accounts}")
    tally = _Tally(max_accounts)
    for position, item in enumerate(requests, start=1):
        entry = item
        if not isinstance(entry, (RecordedRequest, BadLine)):
            entry = _request(position, entry, account_field, time_field)
        if isinstance(entry, BadLine):
            tally.bad(entry)
        else:
            tally.judge(entry, detector)
    return tally.report()


@dataclass(slots=True)
class _Tally:
    """Running summaries, least recently seen first."""

    max_accounts: int
    requests: int = 0
    forgotten: int = 0
    bad_count: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)
    quiet: OrderedDict[str, AccountSummary] = field(default_factory=OrderedDict)
    flagged: OrderedDict[str, AccountSummary] = field(default_factory=OrderedDict)

    def bad(self, line: BadLine) -> None:
        self.bad_count += 1
        if len(self.bad_lines) < _MAX_BAD_LINES:
            self.bad_lines.append(line)

    def judge(self, request: RecordedRequest, detector: SyncModelTheftDetector) -> None:
        assessment = detector.analyze_request(request.account, request.body, now=request.ts)
        self.requests += 1
        known = self.quiet.pop(request.account, None) or self.flagged.pop(request.account, None)
        old = known or AccountSummary(request.account)
        number = old.requests + 1
        degraded, blocked = assessment.action != "allow", assessment.action == "block"
        higher = assessment.extraction_score > old.max_score
        top = assessment.top_signal if higher else old.top_signal
        summary = AccountSummary(
            request.account,
            number,
            max(old.max_score, assessment.extraction_score),
            number if degraded and old.first_degrade is None else old.first_degrade,
            number if blocked and old.first_block is None else old.first_block,
            top,
            assessment.signals[top].explanation if higher and top else old.top_reason,
        )
        home = self.quiet if summary.first_degrade is None else self.flagged
        home[request.account] = summary
        if len(self.quiet) + len(self.flagged) > self.max_accounts:
            (self.quiet or self.flagged).popitem(last=False)
            self.forgotten += 1

    def report(self) -> ReplayReport:
        summaries = [*self.flagged.values(), *self.quiet.values()]
        summaries.sort(key=lambda summary: (-summary.max_score, summary.account))
        return ReplayReport(
            self.requests,
            tuple(summaries),
            tuple(self.bad_lines),
            self.bad_count,
            self.forgotten,
        )


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; an overlong one as its first part, the rest skipped."""
    buffered = io.BufferedReader(cast("io.RawIOBase", file))
    try:
        source: io.BufferedIOBase = buffered
        if buffered.peek(2)[:2] == _GZIP_MAGIC:
            source = gzip.GzipFile(fileobj=buffered, mode="rb")
        while line := source.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                rest = line[-1:]
                while rest and not rest.endswith(b"\n"):
                    rest = source.readline(_SKIPPED_AT_ONCE)
            yield line
    finally:
        if not buffered.closed:
            buffered.detach()  # the file is the caller's to close


def _parsed(
    number: int, line: bytes, account_field: str, time_field: str
) -> RecordedRequest | BadLine:
    if len(line) > MAX_LINE_BYTES:
        return BadLine(number, f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        body = json.loads(line)
    except RecursionError:
        return BadLine(number, "nested too deeply")
    except UnicodeDecodeError:
        return BadLine(number, "not UTF-8")
    except ValueError as error:
        return BadLine(number, f"not JSON: {error}")
    return _request(number, body, account_field, time_field)


def _request(
    number: int, body: object, account_field: str, time_field: str
) -> RecordedRequest | BadLine:
    if not isinstance(body, Mapping):
        return BadLine(number, "not an object")
    account, ts = body.get(account_field), body.get(time_field)
    if isinstance(account, int) and not isinstance(account, bool):
        account = str(account)
    if not isinstance(account, str) or not account:
        return BadLine(number, f"{account_field!r} is missing or not a non-empty string")
    if isinstance(ts, bool) or not isinstance(ts, (int, float)):
        return BadLine(number, f"{time_field!r} is missing or not a number")
    try:
        seconds = float(ts)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds <= MAX_TIME_S:
        return BadLine(number, f"{time_field!r} is not a time in seconds since 0")
    return RecordedRequest(account, seconds, body)
