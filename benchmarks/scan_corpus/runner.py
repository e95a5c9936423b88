"""One scanner, many files, one process: run by the interpreter of that scanner's environment.

``python runner.py SCANNER`` reads paths from standard input and answers each with a line of JSON:
``outcome`` (flagged, clean, error, skipped), ``exit`` (what its command line would have returned),
``detail``, ``cpu``. It imports nothing of ours but, for ``modelsec`` itself, the library.
"""

# ruff: noqa: PLC0415 - only one of the scanners is there to be imported

import contextlib
import io
import json
import logging
import os
import resource
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIMIT_S = int(os.environ.get("BENCH_FILE_LIMIT_S", "60"))
"""CPU seconds a file."""
Answer = dict[str, Any]
Scanner = Callable[[str], Answer]


def answer(outcome: str, code: int, detail: object = "") -> Answer:
    """Return what one scan gave."""
    return {"outcome": outcome, "exit": code, "detail": str(detail)[:300]}


def modelsec() -> Scanner:
    """Ours: safe or not; ``exit`` as the note's section 3 has it."""
    from modelsec.scanning import scan

    def run(path: str) -> Answer:
        report = scan(path)
        detail = " ".join(
            dict.fromkeys(
                f.id
                for f in report.findings
                if str(f.verdict) in {"unknown", "dangerous"} or f.incomplete
            )
        )
        outcome = "clean" if report.safe else "flagged"
        code = (
            0 if report.safe else 2 if str(report.verdict) in {"data_only", "allow_listed"} else 1
        )
        said = answer(outcome, code, detail)
        return {
            **said,
            "verdict": str(report.verdict),
            "coverage": str(report.coverage),
            "format": report.format,
            "findings": [
                [
                    f.id,
                    str(f.verdict),
                    f.incomplete,
                    f.member[-80:],
                    f.offset,
                    f.message[:160],
                    f.subject[:80],
                ]
                for f in report.findings[:12]
            ],
        }

    return run


def picklescan(*, strict: bool = False) -> Scanner:
    """Default, or default-deny; what it says about unparsable files is only in its log."""
    from picklescan.scanner import scan_file_path

    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log = logging.getLogger("picklescan")
    log.addHandler(Keep())
    log.propagate = False

    def run(path: str) -> Answer:
        said.clear()
        result = scan_file_path(path, strict=strict)
        code = 2 if result.scan_err else int(result.issues_count > 0)
        if result.issues_count:
            return answer("flagged", code, said[:2])
        if result.scan_err or any("could not parse" in line for line in said):
            return answer("error", code, said[:2])
        return answer("clean", code)

    return run


def fickling() -> Scanner:
    """``--check-safety``; the pickles of a zip are handed to it one by one."""
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import PickleDecodeError, StackedPickle

    def streams(path: str) -> list[bytes]:
        content = Path(path).read_bytes()
        if content.startswith(b"PK\3\4"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return [
                    archive.read(n) for n in archive.namelist() if n.endswith((".pkl", ".pickle"))
                ]
        return [content]

    def run(path: str) -> Answer:
        try:
            found = [
                p
                for s in streams(path)
                for p in StackedPickle.load(io.BytesIO(s), fail_on_decode_error=False)
            ]
        except PickleDecodeError as error:
            return answer("error", 2, error)
        if not found:
            return answer("skipped", 0, "no pickle")
        worst = max(
            (check_safety(p, json_output_path=os.devnull).severity for p in found),
            key=lambda s: s.severity,
        )
        flagged = worst > Severity.LIKELY_SAFE
        return answer("flagged" if flagged else "clean", int(flagged), worst.name)

    return run


def modelscan() -> Scanner:
    """Default settings."""
    from modelscan.modelscan import ModelScan

    def run(path: str) -> Answer:
        scanner = ModelScan()
        result = scanner.scan(path)
        scanned, issues = (
            result["summary"]["scanned"]["total_scanned"],
            result["summary"]["total_issues"],
        )
        code = 3 if not scanned else 2 if result["errors"] else int(issues > 0)
        if issues:
            return answer("flagged", code, [i.get("operator") for i in result["issues"]][:3])
        if result["errors"]:
            return answer("error", code, result["errors"][:1])
        return answer("clean" if scanned else "skipped", code)

    return run


def modelaudit() -> Scanner:
    """Default settings, its own exit code."""
    from modelaudit.core import determine_exit_code, scan_model_directory_or_file

    def run(path: str) -> Answer:
        result = scan_model_directory_or_file(path, timeout=LIMIT_S, cache_enabled=False)
        code = determine_exit_code(result)
        worst = [
            f"{i.severity.name}: {i.message}"
            for i in result.issues
            if i.severity.name in {"WARNING", "CRITICAL"}
        ]
        if worst:
            return answer("flagged", code, worst[:2])
        return answer({0: "clean", 1: "flagged"}.get(code, "error"), code)

    return run


def hayward(*, anything: bool = False) -> Scanner:
    """Default gate (high and above), or any finding at all."""
    from hayward import ModelFileScanner, is_coverage_gap

    def run(path: str) -> Answer:
        found = ModelFileScanner().scan_file(Path(path))
        severe = [f for f in found if anything or f.severity.value.lower() in {"critical", "high"}]
        detail = [f.rule_id for f in found][:4]
        if severe:
            return answer("flagged", 1, detail)
        return answer("error" if any(map(is_coverage_gap, found)) else "clean", 0, detail)

    return run


SCANNERS: dict[str, Callable[[], Scanner]] = {
    "modelsec": modelsec,
    "picklescan": picklescan,
    "picklescan --strict": lambda: picklescan(strict=True),
    "fickling": fickling,
    "modelscan": modelscan,
    "modelaudit": modelaudit,
    "hayward": hayward,
    "hayward, any finding": lambda: hayward(anything=True),
}


def cpu_seconds() -> float:
    """CPU seconds so far, exactly: the process clock is coarse while an interval timer runs."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_kib() -> int:
    """The largest resident set of this program (rusage would count who started it, too)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


class OverTimeError(Exception):
    """A file took longer than the limit."""


def _alarm(*_: object) -> None:
    raise OverTimeError


def main() -> None:
    """Answer line by line."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    started = cpu_seconds()
    with contextlib.redirect_stdout(io.StringIO()):
        scan = SCANNERS[sys.argv[1]]()
        signal.signal(signal.SIGPROF, _alarm)
        for line in sys.stdin:
            path, before = line.rstrip("\n"), cpu_seconds()
            signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
            try:
                said = scan(path)
            except OverTimeError:
                said = answer("error", 2, "time")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - an unhandled one ends a command line
                said = answer("error", 2, f"{type(error).__name__}: {error}")
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            out.write(
                json.dumps(
                    {
                        "path": path,
                        **said,
                        "cpu": cpu_seconds() - before,
                        "start": before - started,
                        "peak_kib": peak_kib(),
                    }
                )
                + "\n"
            )


if __name__ == "__main__":
    main()
