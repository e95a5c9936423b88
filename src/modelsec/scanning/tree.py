"""A folder of model files: every file by content, and what only the folder shows.

Every regular file is scanned, whatever it is called, in the order of the names. One broken file
never ends the run: it gets a report that says so. The folder itself adds findings: links that
leave it, files that are no files, code and pickles beside weights.

Links. A link to a file within the folder is scanned under the link's name too if the ending
differs (a loader goes by it), else only noted. A link to a folder within is noted: what it points
to is scanned in its own place. A link that leaves the folder is dangerous, for whoever loads the
folder reads, and perhaps sends, a file that is not part of it. The exception is the cache layout of
the Hub, ``models--<owner>--<name>/snapshots/<revision>/<file> -> ../../blobs/<hash>``: links into
the ``blobs`` of the enclosing repository are followed, and a blob is reported under the names of
the links to it, not under its hash. ``follow_links=True`` follows all links, and notes them.

What belongs to git (``.git``) is read by git, not by loaders: it is noted, its active hooks are
reported as code (so are programs that its configuration names), and its objects are not scanned.
What git itself does not put there makes the result incomplete: a configuration could name it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from modelsec.errors import ConfigurationError, printable
from modelsec.scanning.engine import PARSER_ERROR
from modelsec.scanning.file import scan
from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
from modelsec.scanning.limits import Limits
from modelsec.scanning.policy import Policy, default_policy
from modelsec.scanning.report import ScanReport, TreeReport
from modelsec.scanning.shards import missing_shards
from modelsec.scanning.walk import LINK, STOPPED, UNREADABLE, File, Walk, hub_blobs

CODE = Rule(
    "MS-DIR-006",
    "code beside weights",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="load the model without it (trust_remote_code=False), or read it first",
)
TWICE = Rule(
    "MS-DIR-007",
    "weights as a pickle beside weights without code",
    Verdict.DATA_ONLY,
    remedy="delete the pickle: some loaders prefer it",
)
_LISTED = 10
_CODE_ENDINGS = (".py", ".pyw", ".pyx", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh")
_WITHOUT_CODE = frozenset({"safetensors"})
_PICKLES = frozenset({"pickle", "torch", "torch legacy", "torch tar", "joblib"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan of a folder has come.

    Attributes:
        done: files that are scanned.
        total: files to scan.
        name: the one that was scanned last, by path within the folder.
    """

    done: int
    total: int
    name: str


def scan_tree(  # noqa: PLR0913 - options by keyword, each with a default
    root: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    digest: bool | None = None,
    follow_links: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TreeReport:
    """Say what the files of a folder can do when they are loaded, without loading them.

    Args:
        root: the folder.
        policy: as for ``scan``.
        limits: for each file; ``members`` also limits the entries of the folder.
        digest: as for ``scan``.
        follow_links: follow links that leave the folder, instead of reporting them as dangerous.
        on_progress: called after each file.
        cancelled: asked before each file; if true, the rest is reported as not scanned.

    Raises:
        ConfigurationError: ``root`` is not a folder, or cannot be opened.
    """
    folder = _resolved(root)
    rules = policy or default_policy()
    bounds = limits or Limits()
    walk = Walk(folder, hub_blobs(folder), follow_links, bounds.members)
    walk.run()
    jobs = _jobs(walk)
    reports: list[ScanReport] = []
    for done, job in enumerate(jobs, 1):
        if cancelled is not None and cancelled():
            walk.say(STOPPED, job.name, f"cancelled with {len(jobs) - done + 1} files left")
            break
        reports.append(_one(job, rules, bounds, digest=digest))
        if on_progress is not None:
            on_progress(Progress(done, len(jobs), job.name))
    findings = [*walk.findings, *_about_folders(reports)]
    for job in jobs:
        if job.name.endswith(".index.json"):
            # Shards lie beside the name, which in the Hub's cache is a link.
            where = folder / job.name
            path = where if where.exists() else job.path
            shown = (printable(job.name, 400),)
            findings += [replace(found, path=shown) for found in missing_shards(path, bounds)]
    findings.sort(key=lambda found: (-found.verdict.rank, not found.incomplete, found.path))
    return TreeReport(str(root), tuple(reports), tuple(findings))


def _resolved(root: str | os.PathLike[str]) -> Path:
    try:
        folder = Path(root).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"cannot open {printable(str(root))}: {error}") from error
    if not folder.is_dir():
        raise ConfigurationError(f"{printable(str(root))} is not a folder: use scan()")
    return folder


def _jobs(walk: Walk) -> list[File]:
    """Order the files, and scan none twice under names that mean the same to a loader."""
    linked = {file.identity for file in walk.files if file.linked}
    seen: set[tuple[tuple[int, int], str]] = set()
    jobs = []
    # Names before links: of two names that mean the same, a file's own is the one to report.
    for file in sorted(walk.files, key=lambda item: (item.linked, item.name)):
        blob = walk.blobs is not None and file.path.is_relative_to(walk.blobs)
        if blob and not file.linked and file.identity in linked:
            continue
        key = (file.identity, PurePosixPath(file.name).suffix.lower())
        if key in seen and file.linked:
            walk.say(LINK, file.name, "a link to a file that is scanned under another name")
            continue
        seen.add(key)
        jobs.append(file)
    return sorted(jobs, key=lambda item: item.name)


def _one(job: File, policy: Policy, limits: Limits, *, digest: bool | None) -> ScanReport:
    """Scan a file; whatever happens, the result is a report."""
    try:
        return scan(job.path, policy=policy, limits=limits, name=job.name, digest=digest)
    except (ConfigurationError, OSError) as error:
        finding = UNREADABLE.at(None, str(error).rpartition(": ")[2])
    except Exception as error:  # noqa: BLE001 - one file must never end the run
        finding = PARSER_ERROR.at(None, f"{type(error).__name__}: {error}")
    return ScanReport(
        name=job.name,
        size=0,
        sha256=None,
        format="unread",
        verdict=finding.verdict,
        coverage=Coverage.INCOMPLETE,
        findings=(finding,),
        unlisted=0,
        permitted=(),
        policy=policy.layers,
        policy_digest=policy.digest,
    )


def _about_folders(reports: list[ScanReport]) -> Iterator[Finding]:
    """Yield what the files of one folder mean together."""
    folders: dict[str, list[ScanReport]] = {}
    for report in reports:
        folders.setdefault(report.name.rpartition("/")[0], []).append(report)
    for folder, files in sorted(folders.items()):
        formats = {report.name: set(report.format.split(" + ")) for report in files}
        safe = any(found & _WITHOUT_CODE for found in formats.values())
        pickles = [name for name, found in formats.items() if found & _PICKLES]
        if safe and pickles:
            yield _about(TWICE, folder, f"{_listed(pickles)} beside safetensors")
    code = [report.name for report in reports if report.name.lower().endswith(_CODE_ENDINGS)]
    if code and len(code) < len(reports):
        yield _about(CODE, "", f"{_listed(code)}: loaders may import it, if they are told to")


def _about(rule: Rule, folder: str, message: str) -> Finding:
    return replace(rule.at(None, message), path=(printable(folder or ".", 400),))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name.rpartition("/")[2] for name in names[:_LISTED]) + more
