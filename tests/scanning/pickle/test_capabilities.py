"""The table that turns "unknown" into a sharper word."""

import pytest

from modelsec.scanning import Verdict, scan
from modelsec.scanning.pickle.capabilities import capability, embeds_code
from tests.scanning.support import assembler as asm


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"), ("os", "x"), ("posix", "x"), ("subprocess", "x"), ("os.path", "x"),
        ("importlib", "x"), ("pkgutil", "x"), ("ctypes.util", "x"), ("socket", "x"),
        ("pickle", "x"), ("torch", "load"), ("numpy", "load"), ("functools", "partial"),
        ("operator", "attrgetter"), ("logging.config", "x"), ("sys", "x"), ("runpy", "x"),
        ("numpy.testing._private.utils", "x"), ("anything", "import_module"),
        ("anything", "system"), ("pathlib", "Path.unlink"),
    ],
)  # fmt: skip
def test_families_are_known_by_module_or_meaning(module: str, name: str) -> None:
    """Prefixes of modules and meanings of names, not a list of exploits."""
    assert capability(module, name)


@pytest.mark.parametrize(
    ("module", "name"),
    [("mycompany.models", "Net"), ("collections", "OrderedDict"), ("osgeo", "x")],
)
def test_other_names_have_no_known_capability(module: str, name: str) -> None:
    """A prefix ends at a dot."""
    assert capability(module, name) == ""


@pytest.mark.parametrize("module", ["cloudpickle.cloudpickle", "dill._dill", "vendor.cloudpickle"])
def test_functions_rebuilt_from_code_are_called_that(module: str) -> None:
    """Also when honest: code is what they carry."""
    assert embeds_code(module, "_make_function")
    report = scan(asm.PROTO2 + asm.name(module, "_make_function") + asm.STOP)
    assert (report.verdict, report.findings[0].id) == (Verdict.DANGEROUS, "MS-PKL-022")
