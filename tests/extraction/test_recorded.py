import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.extraction import BadLine, SyncModelTheftDetector, read_requests, replay
from modelsec.extraction.recorded import MAX_LINE_BYTES, RecordedRequest
from modelsec.stores import MemoryStore
from modelsec.testing.simulators import simulate_traffic

GRID = {"temperature": 0, "logprobs": True, "max_tokens": 1}


def detector() -> SyncModelTheftDetector:
    return SyncModelTheftDetector(MemoryStore(), secret=b"k" * 32)


def grid_line(account: object, ts: object, text: str = "hi") -> bytes:
    body = {"account": account, "ts": ts, "messages": [{"role": "user", "content": text}], **GRID}
    return json.dumps(body).encode() + b"\n"


def read(data: bytes, **options: str) -> list[RecordedRequest | BadLine]:
    return list(read_requests(io.BytesIO(data), **options))


def test_plain_and_gzip_logs_read_the_same() -> None:
    """Compression is recognised by content, not by name."""
    plain = b"".join(grid_line("a", n) for n in range(5))
    assert read(plain) == read(gzip.compress(plain))
    assert [r.ts for r in read(plain) if isinstance(r, RecordedRequest)] == [0, 1, 2, 3, 4]


def test_field_names_are_options() -> None:
    """Logs of other programs name account and time differently."""
    line = json.dumps({"key": 42, "time": 1.5, "prompt": "x"}).encode()
    (request,) = read(line, account_field="key", time_field="time")
    assert isinstance(request, RecordedRequest)
    assert (request.account, request.ts) == ("42", 1.5)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not"),
        (b"[1]", "not an object"),
        (b"3", "not an object"),
        (b"{}", "'account' is missing"),
        (b'{"account": "", "ts": 1}', "'account' is missing"),
        (b'{"account": true, "ts": 1}', "'account' is missing"),
        (b'{"account": {"a": 1}, "ts": 1}', "'account' is missing"),
        (b'{"account": "a"}', "'ts' is missing"),
        (b'{"account": "a", "ts": "1"}', "'ts' is missing"),
        (b'{"account": "a", "ts": true}', "'ts' is missing"),
        (b'{"account": "a", "ts": NaN}', "'ts' is not a time"),
        (b'{"account": "a", "ts": Infinity}', "'ts' is not a time"),
        (b'{"account": "a", "ts": -1}', "'ts' is not a time"),
        (b'{"account": "a", "ts": 1' + b"0" * 400 + b"}", "'ts' is not a time"),
        (b'{"account": "a", "ts": 1' + b"0" * 5000 + b"}", "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_bad_line_is_named_with_its_number_and_the_rest_is_read(line: bytes, problem: str) -> None:
    """A malformed line costs itself only."""
    good = grid_line("a", 1)
    before, bad, after = read(good + line + b"\n" + good)
    assert isinstance(before, RecordedRequest)
    assert isinstance(after, RecordedRequest)
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert problem in bad.problem


def test_blank_lines_are_counted_but_not_bad() -> None:
    """Line numbers stay those an editor shows."""
    _, bad = read(b"\n\n" + grid_line("a", 1) + b"\r\nx\n")
    assert isinstance(bad, BadLine)
    assert bad.line == 5


def test_overlong_line_is_bad_and_skipped_in_bounded_memory() -> None:
    """A line of 100 MB never sits in memory whole, and the next line is read."""

    class Endless(io.RawIOBase):
        """One line of 100 MB, then a good one."""

        def __init__(self) -> None:
            self.left = 100_000_000
            self.tail = io.BytesIO(b"\n" + grid_line("a", 1))

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            if not self.left:
                return self.tail.readinto(buffer)
            size = min(len(buffer), self.left)
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    tracemalloc.start()
    try:
        bad, good = read_requests(Endless())  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(bad, BadLine)
    assert "longer than" in bad.problem
    assert isinstance(good, RecordedRequest)
    assert peak < 4 * MAX_LINE_BYTES


def test_truncated_gzip_is_a_bad_line_not_a_crash() -> None:
    """What could be read before the damage is judged."""
    whole = gzip.compress(b"".join(grid_line("a", n, f"text {n * 7919}") for n in range(5000)))
    items = read(whole[: len(whole) // 2])
    assert isinstance(items[-1], BadLine)
    assert "cannot be read on" in items[-1].problem
    assert sum(isinstance(item, RecordedRequest) for item in items) > 100


def test_corrupt_gzip_is_a_bad_line_not_a_crash() -> None:
    """Any byte of a compressed log may be wrong."""
    whole = bytearray(gzip.compress(b"".join(grid_line("a", n) for n in range(3000))))
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        for item in read(bytes(damaged)):
            assert isinstance(item, (RecordedRequest, BadLine))


def test_the_callers_file_stays_open() -> None:
    """Reading does not close what it did not open."""
    file = io.BytesIO(grid_line("a", 1))
    assert len(list(read_requests(file))) == 1
    assert not file.closed


def test_replay_summarises_each_account() -> None:
    """The report says when an account was first degraded and blocked, and why."""
    lines = b"".join(grid_line("thief", n * 0.1, f"class of item {n}?") for n in range(150))
    lines += grid_line("guest", 1).replace(b'"temperature": 0, "logprobs": true, ', b"")
    report = replay(read_requests(io.BytesIO(lines)), detector())
    thief, guest = report.accounts
    assert (thief.account, thief.requests) == ("thief", 150)
    assert thief.first_degrade == 1
    assert thief.first_block is not None
    assert 10 < thief.first_block < 60
    assert thief.top_signal == "velocity"
    assert "requests in 60 s" in thief.top_reason
    assert (guest.first_degrade, guest.first_block) == (None, None)
    assert (report.requests, report.flagged, report.blocked) == (151, 1, 1)


def test_replay_equals_the_detector_called_by_hand() -> None:
    """Replay adds nothing to the judgement."""
    traffic = list(simulate_traffic(3))
    by_hand, best = detector(), dict[str, float]()
    for request in traffic:
        assessment = by_hand.analyze_request(
            request.account, request.body, now=round(request.ts, 3)
        )
        best[request.account] = max(best.get(request.account, 0), assessment.extraction_score)
    report = replay((request.to_dict() for request in traffic), detector())
    assert {account.account: account.max_score for account in report.accounts} == best


def test_plain_bodies_that_are_no_requests_are_bad_lines() -> None:
    """The Python API is as lenient as the command."""
    report = replay([{"ts": 1}, {"account": "a", "ts": 0}], detector())
    assert report.requests == 1
    assert report.bad_lines == (BadLine(1, "'account' is missing or not a non-empty string"),)


def test_summaries_are_bounded_and_flagged_accounts_stay() -> None:
    """With too many accounts, quiet ones are left out and counted."""

    def traffic() -> Iterator[dict[str, object]]:
        for number in range(60):
            yield json.loads(grid_line("thief", number, "same"))
        for number in range(500):
            yield {"account": f"guest-{number}", "ts": 100 + number, "prompt": "hello"}

    report = replay(traffic(), detector(), max_accounts=10)
    assert len(report.accounts) == 10
    assert report.accounts[0].account == "thief"
    assert report.accounts_forgotten == 491


def test_bad_lines_are_counted_beyond_those_kept() -> None:
    """A log of garbage does not fill memory."""
    report = replay(read_requests(io.BytesIO(b"x\n" * 5000)), detector())
    assert report.bad_line_count == 5000
    assert len(report.bad_lines) == 1000


def test_max_accounts_must_be_positive() -> None:
    """A bound of nothing is refused."""
    with pytest.raises(ConfigurationError, match="max_accounts"):
        replay([], detector(), max_accounts=0)


def test_reads_the_reference_traffic_as_it_stands(shared_data: Path) -> None:
    """The first 3,000 of 57,340 requests built on human text are all judged."""
    with (shared_data / "traffic" / "requests.jsonl.gz").open("rb") as file:
        requests = read_requests(file)
        report = replay((next(requests) for _ in range(3000)), detector())
    assert report.requests == 3000
    assert report.bad_line_count == 0
    assert len(report.to_dict()["accounts"]) == len(report.accounts) > 5  # type: ignore[arg-type]
