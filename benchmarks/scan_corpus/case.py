"""One file of the hostile corpus, or one of its honest look-alikes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

Group = Callable[[], Iterator["Case"]]


@dataclass(frozen=True, slots=True)
class Case:
    """A file and what a scanner should make of it.

    Attributes:
        name: file name; its ending is the one that users of the format expect.
        content: the whole file.
        effect: what a loader would do with it.
        dangerous: a scanner should not only refuse it but say what it can do.
        hostile: False for a look-alike: the same container without the trick.
        group: row of the result table.
        section: of the catalogue of techniques that the cases follow.
        beside: further files that belong into the same folder, by relative path.
    """

    name: str
    content: bytes
    effect: str = "calls a function chosen by the file"
    dangerous: bool = True
    hostile: bool = True
    group: str = ""
    section: str = ""
    beside: tuple[tuple[str, bytes], ...] = ()


def grouped(group: str, section: str, cases: Iterator[Case]) -> Iterator[Case]:
    """Fill in what all cases of a group share."""
    for case in cases:
        yield replace(case, group=case.group or group, section=case.section or section)


def honest(name: str, content: bytes, **more: object) -> Case:
    """Return a look-alike."""
    settings = {"effect": "none", "dangerous": False, "hostile": False, **more}
    return Case(name, content, **settings)  # type: ignore[arg-type]
