"""``modelsec replay``: recorded traffic through the detector."""

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from modelsec.cli import BAD_INPUT, OK
from modelsec.cli.console import err, out, safe
from modelsec.errors import ConfigurationError
from modelsec.extraction import (
    AccountSummary,
    DetectionPolicy,
    ReplayReport,
    SyncModelTheftDetector,
    read_requests,
    replay,
)
from modelsec.files import atomic_text
from modelsec.stores import MemoryStore

# Nothing outlives the process, so the key needs no secrecy; a fixed one makes runs comparable.
_REPLAY_KEY = b"modelsec replay: not a secret..."
_BAD_LINES_SHOWN = 10


def run(options: Namespace) -> int:
    """Run the command."""
    if options.top < 0:
        raise ConfigurationError(f"--top must be 0 or more, not {options.top}")
    policy = DetectionPolicy.from_file(options.policy) if options.policy else DetectionPolicy()
    store = MemoryStore(max_records=options.max_accounts)
    detector = SyncModelTheftDetector(store, policy=policy, secret=_REPLAY_KEY)
    with _opened(options.file) as file:
        requests = read_requests(
            file, account_field=options.account_field, time_field=options.time_field
        )
        report = replay(requests, detector, max_accounts=options.max_accounts)
    if options.json:
        with atomic_text(options.json) as target:
            json.dump(report.to_dict(), target, indent=1)
            target.write("\n")
    if options.csv:
        _write_csv(options.csv, report)
    _print(report, options.top)
    if store.evictions:
        err().print(
            f"{store.evictions:,} accounts were evicted from memory and began anew: "
            "raise --max-accounts",
            style="yellow",
        )
    return BAD_INPUT if report.bad_line_count and not options.skip_bad else OK


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Open the log, with a progress bar where somebody watches and the size is known."""
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name)
    console = err()
    progress = Progress(
        TextColumn("judging"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"cannot read {name}: {error.strerror}") from error
    with file, progress:
        size = path.stat().st_size
        yield progress.wrap_file(file, total=size)


def _print(report: ReplayReport, top: int) -> None:
    console = out()
    table = Table(title="Accounts by highest score; #: number of the first such request")
    table.add_column("account", overflow="fold")
    for name in ("requests", "score", "degrade", "block"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("top reason", overflow="fold")
    shown = report.accounts[:top] if top else report.accounts
    for account in shown:
        table.add_row(
            safe(account.account),
            f"{account.requests:,}",
            f"{account.max_score:.3f}",
            _number(account.first_degrade, "yellow"),
            _number(account.first_block, "red"),
            safe(f"{account.top_signal}: {account.top_reason}" if account.top_signal else ""),
        )
    console.print(table)
    rest = len(report.accounts) - len(shown)
    if rest:
        console.print(f"... and {rest:,} more accounts (--top 0 prints all)")
    console.print(
        f"{report.requests:,} requests of {len(report.accounts):,} accounts; "
        f"{report.flagged:,} accounts degraded, {report.blocked:,} of them blocked"
    )
    if report.accounts_forgotten:
        console.print(
            f"{report.accounts_forgotten:,} idle accounts are left out: see --max-accounts"
        )
    if report.bad_line_count:
        problems = err()
        problems.print(f"{report.bad_line_count:,} bad lines:", style="red")
        for bad in report.bad_lines[:_BAD_LINES_SHOWN]:
            problems.print(safe(f"  line {bad.line}: {bad.problem}"))
        if report.bad_line_count > _BAD_LINES_SHOWN:
            problems.print("  ... the first 1,000 are in the --json report")


def _number(value: int | None, style: str) -> str:
    return "" if value is None else f"[{style}]#{value:,}[/{style}]"


def _write_csv(name: str, report: ReplayReport) -> None:
    with atomic_text(name) as target:
        writer = csv.DictWriter(target, [field.name for field in fields(AccountSummary)])
        writer.writeheader()
        writer.writerows(account.to_dict() for account in report.accounts)
