"""Regular expressions that read hostile text."""

import re
from pathlib import Path

import modelsec

SOURCE = Path(modelsec.__file__).parent
POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")


def test_no_group_is_possessive() -> None:
    """CPython before 3.11.5 gets possessive groups wrong (gh-106052); atomic groups are right.

    The one exception chooses by the interpreter's version.
    """
    found = [
        (path.name, line.strip())
        for path in SOURCE.rglob("*.py")
        for line in path.read_text().splitlines()
        if POSSESSIVE_GROUP.search(line) and not line.lstrip().startswith("_IN_")
    ]
    assert found == [("runs.py", 'return rb"(?:" + alternatives + rb")*+"')]
