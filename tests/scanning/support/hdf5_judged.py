"""Shorthands for tests of HDF5 files: build, scan, and look at the result."""

from modelsec.scanning import Coverage, Policy, ScanReport, Verdict, scan
from tests.scanning.support.hdf5_writer import Writer, link

POLICY = Policy.load("core", "numpy", "torch", "keras")
MODEL: dict[str, object] = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}
LAMBDA: dict[str, object] = {"class_name": "Lambda", "config": {"function": ["inert", None, None]}}


def judged(data: bytes) -> ScanReport:
    return scan(data, policy=POLICY)


def ids(data: bytes) -> set[str]:
    return {finding.id for finding in judged(data).findings}


def safe(data: bytes) -> bool:
    report = judged(data)
    good = report.verdict in {Verdict.DATA_ONLY, Verdict.ALLOW_LISTED}
    return good and report.coverage is Coverage.COMPLETE


def single(*messages: bytes, modern: bool = False) -> bytes:
    """Return a file whose root has these messages."""
    writer = Writer(modern=modern)
    return writer.finish(writer.header(*messages))


def with_dataset(writer: Writer, *messages: bytes) -> bytes:
    """Return a file with one dataset, d."""
    return writer.finish(writer.header(link("d", writer.header(*messages))))
