"""Scanning the very bytes that are handed out."""

import posixpath
from collections.abc import Callable
from contextlib import ExitStack

from modelsec.errors import ConfigurationError, UnsafeArtifactError, printable, shown
from modelsec.scanning import Limits, Policy, ScanReport, scan
from modelsec.scanning.source import BytesSource

Beside = Callable[[str], memoryview | None]
"""Return the verified bytes of a file by its signed name, or None if nobody signed it."""

_NAMED = 3


class Inspection:
    """What is permitted, and what was found so far.

    A file is scanned once: its bytes are those of a signed digest, so they cannot become others.

    Attributes:
        reports: of the files that were scanned, by name.
    """

    def __init__(self, policy: Policy | None, limits: Limits | None) -> None:
        if policy is not None and not isinstance(policy, Policy):
            raise ConfigurationError(f"{shown(policy)} is not a Policy: use Policy.load()")
        if limits is not None and not isinstance(limits, Limits):
            raise ConfigurationError(f"{shown(limits)} are not Limits")
        self._policy = policy
        self._limits = limits
        self.reports: dict[str, ScanReport] = {}

    def check(self, name: str, content: memoryview, beside: Beside) -> None:
        """Scan a file unless that was done.

        Raises:
            UnsafeArtifactError: it is not safe to load; the message names the worst findings.
        """
        report = self.reports.get(name)
        if report is None:
            report = self._scan(name, content, beside)
            self.reports[name] = report
        if not report.safe:
            raise UnsafeArtifactError(_why(report))

    def _scan(self, name: str, content: memoryview, beside: Beside) -> ScanReport:
        with ExitStack() as views:
            # A view of its own, which is let go of: a scan may leave an exception behind, in a
            # cycle with its frames, that would keep the memory until it is collected.
            return scan(
                views.enter_context(content.toreadonly()),
                policy=self._policy,
                limits=self._limits,
                name=name,
                siblings=Siblings(posixpath.dirname(name), beside, views),
                digest=False,
            )


class Siblings:
    """The signed files beside one that is scanned, as far as it names them.

    Args:
        folder: of the file that is scanned, relative to the model.
        beside: reads and verifies a file.
        views: lets go of what was opened.
    """

    def __init__(self, folder: str, beside: Beside, views: ExitStack) -> None:
        self._folder = folder
        self._beside = beside
        self._views = views

    def open(self, name: str) -> BytesSource | None:
        """Return a sibling's content, or None if nobody signed such a file.

        Raises:
            UnsafeArtifactError: the name is not a plain relative one.
        """
        pieces = name.replace("\\", "/").split("/")
        if not name or name.startswith(("/", "\\")) or ".." in pieces or ":" in name:
            raise UnsafeArtifactError(f"the name leaves the folder: {printable(name)}")
        # The same canonical form as signed names have: neither "." nor an empty piece.
        plain = posixpath.normpath(posixpath.join(self._folder, *pieces))
        view = self._beside(plain)
        if view is None:
            return None
        return BytesSource(self._views.enter_context(view))


def _why(report: ScanReport) -> str:
    worst = report.findings[:_NAMED]
    told = "; ".join(
        f"{finding.id}{f' in {finding.member}' if finding.path else ''}: {finding.message}"
        for finding in worst
    )
    more = len(report.findings) + report.unlisted - len(worst)
    rest = f" (and {more} more findings)" if more else ""
    return (
        f"{shown(report.name)} is what was signed, but is not safe to load ({report.verdict}, "
        f"{report.coverage}): {told}{rest}. Ask its signer for another format, or permit what it "
        "does with a policy"
    )
