"""Runs the examples of the documentation: every code block in it is executed."""

import shlex
import subprocess
import sys
from pathlib import Path

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser


def run_console(example: Example) -> None:
    """Run the ``$ modelsec ...`` lines of a console block in the block's folder of samples."""
    for line in str(example.parsed).splitlines():
        if not line.startswith("$ "):
            continue
        program, *arguments = shlex.split(line[2:])
        if program != "modelsec":
            raise ValueError(f"only modelsec is run from a console block: {line}")
        subprocess.run(
            [sys.executable, "-m", "modelsec", *arguments],
            check=True,
            capture_output=True,
            cwd=example.namespace["folder"],
        )


def in_a_folder_of_its_own(namespace: dict[str, object]) -> None:
    """Give the examples of one document a folder to write to."""
    import tempfile  # noqa: PLC0415 - also the name that the examples would import

    folder = tempfile.TemporaryDirectory()
    namespace["_folder"], namespace["folder"] = folder, Path(folder.name)


def cleaned_up(namespace: dict[str, object]) -> None:
    """Delete the folder."""
    namespace["_folder"].cleanup()  # type: ignore[attr-defined]


pytest_collect_file = (
    Sybil(
        parsers=[PythonCodeBlockParser(), CodeBlockParser("console", run_console)],
        patterns=["README.md", "docs/*.md", "docs/**/*.md"],
        setup=in_a_folder_of_its_own,
        teardown=cleaned_up,
    )
    + Sybil(parsers=[DocTestParser()], patterns=["src/modelsec/**/*.py"])
).pytest()
