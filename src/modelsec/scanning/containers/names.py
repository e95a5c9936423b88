"""What the name of a member may not be, in any archive.

A name is harmless until somebody extracts the archive: then it decides where a file is written.
"""

import re
from collections.abc import Iterator

from modelsec.scanning.finding import Finding, Rule, Verdict

NUL = Rule(
    "MS-ARC-010",
    "a NUL byte in a member's name",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the archive: some readers cut the name there, others do not",
)
ABSOLUTE = Rule(
    "MS-ARC-011",
    "an absolute member name",
    Verdict.DANGEROUS,
    capability="file write",
    remedy="do not extract the archive: the file would be written where its name says",
)
TRAVERSAL = Rule(
    "MS-ARC-012",
    "a member name that leaves the folder",
    Verdict.DANGEROUS,
    capability="file write",
    remedy="do not extract the archive: the file would be written outside the chosen folder",
)
SEPARATOR = Rule(
    "MS-ARC-013",
    "a backslash in a member's name",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="make the archive again with '/' between folders: systems read this name differently",
)
ODD = Rule(
    "MS-ARC-014",
    "a member without a usable name",
    Verdict.UNKNOWN,
    remedy="ask how the archive was made",
)
LINK = Rule(
    "MS-ARC-015",
    "a link that leaves the folder",
    Verdict.DANGEROUS,
    capability="file read and write",
    remedy="do not extract the archive: the link opens files outside the chosen folder",
)
THROUGH_LINK = Rule(
    "MS-ARC-016",
    "a member below a link",
    Verdict.DANGEROUS,
    capability="file write",
    remedy="do not extract the archive: the file would be written where the link points",
)
SPECIAL = Rule(
    "MS-ARC-017",
    "a device, a pipe or another special file",
    Verdict.DANGEROUS,
    capability="access to devices",
    remedy="do not extract the archive: no model contains special files",
)

LONGEST = 4096
"""Bytes of a path that systems accept; longer names are not looked at piece by piece."""

_ROOT = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


def about_name(name: str, offset: int) -> Iterator[Finding]:
    """Yield what is wrong with a member's name.

    Args:
        name: as the archive says.
        offset: of the member's header, for the findings.
    """
    if not name or len(name) > LONGEST:
        yield ODD.at(offset, f"a member's name has {len(name)} characters", subject=name)
        return
    if "\0" in name:
        yield NUL.at(offset, "a member's name contains a NUL byte", subject=name)
    if _ROOT.match(name):
        yield ABSOLUTE.at(offset, "a member's name is absolute", subject=name)
    if ".." in _pieces(name):
        yield TRAVERSAL.at(offset, "a member's name climbs out with '..'", subject=name)
    if "\\" in name:
        yield SEPARATOR.at(offset, "a member's name contains a backslash", subject=name)


def _pieces(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")


def path_key(name: str) -> str:
    """Return the path that a name means on every system that does not tell cases apart."""
    if "//" in name or "\\" in name or name.startswith((".", "/")) or "/." in name:
        name = "/".join(piece for piece in _pieces(name) if piece not in {"", "."})
    return name.rstrip("/").casefold()


def escapes(name: str, target: str, *, symbolic: bool) -> bool:
    """Say whether a link leads out of the folder that the archive is extracted to.

    Args:
        name: of the link.
        target: what it points to: from its own folder if symbolic, else from the root.
        symbolic: a hard link if not.
    """
    if not target or len(target) > LONGEST or "\0" in target or _ROOT.match(target):
        return True
    depth = len(path_key(name).split("/")) - 1 if symbolic else 0
    descended = False
    for piece in _pieces(target):
        if piece in {"", "."}:
            continue
        if piece != "..":
            descended = True
            depth += 1
        elif descended:
            return True  # up from somewhere that may be a link itself: nobody can say where to
        else:
            depth -= 1
        if depth < 0:
            return True
    return False


def below_link(name: str, links: set[str]) -> bool:
    """Say whether a folder of this name is one of the links (given by their ``path_key``)."""
    if not links or len(name) > LONGEST:
        return False
    key = path_key(name)
    position = key.find("/")
    while position >= 0:
        if key[:position] in links:
            return True
        position = key.find("/", position + 1)
    return False
