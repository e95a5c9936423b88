import pytest

from modelsec.scanning.containers import tar
from modelsec.scanning.containers import zip as zip_
from modelsec.scanning.containers.archive import Application
from modelsec.scanning.recognise import ENDINGS, POLYGLOT, STRONG, WEAK, Format

HOMES = [*STRONG, *WEAK, Format("polyglot", bool, POLYGLOT), *zip_.APPLICATIONS, *tar.APPLICATIONS]


@pytest.mark.parametrize("format_", HOMES, ids=lambda format_: format_.home)
def test_every_reader_is_where_the_tables_say(format_: Format | Application) -> None:
    """They are imported when a file asks for them, and then it is too late to miss one."""
    assert callable(format_.reader())


def test_no_format_is_recognised_twice_by_one_table() -> None:
    """A name stands for one row, so that reports can be read back to it."""
    for table in (STRONG, WEAK, zip_.APPLICATIONS + tar.APPLICATIONS):
        names = [row.name for row in table]
        assert len(set(names)) == len(names)


def test_endings_are_lower_case_and_promise_something() -> None:
    """Names are folded before they are looked up."""
    assert all(ending == ending.lower() and ending[0] == "." for ending in ENDINGS)
    assert all(ENDINGS.values())
