"""From a checkpoint that may hold code to a safetensors file that cannot."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal

from modelsec.errors import (
    ArtifactError,
    ConfigurationError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsafeArtifactError,
    UnsupportedFormatError,
    printable,
    shown,
)
from modelsec.files import atomic_binary, regular_file
from modelsec.provenance.conversion.checkpoints import read_contents
from modelsec.provenance.conversion.gather import blocks
from modelsec.provenance.conversion.record import Conversion, ConvertedTensor
from modelsec.provenance.conversion.safetensors import Layout, layout
from modelsec.provenance.conversion.state_dict import Contents
from modelsec.provenance.conversion.tensors import StoredTensor
from modelsec.provenance.conversion.transfer import (
    Progress,
    Range,
    copy,
    digest,
    read_into,
    same,
    write,
)
from modelsec.scanning import Limits, Policy, ScanReport, scan
from modelsec.scanning.limits import MIB

DIGEST_LIMIT = 64 * MIB
"""Outputs up to this size get digests of their own without being asked for."""

OnProgress = Callable[[int, int], None]
"""Told the bytes of work that are done, and that there are in all."""


def convert(  # noqa: PLR0913 - options by keyword
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    on_shared: Literal["copy", "refuse"] = "copy",
    keep_scalars: bool = False,
    digests: bool | None = None,
    on_progress: OnProgress | None = None,
) -> Conversion:
    """Write the tensors of a torch or numpy file to a safetensors file, bit by bit.

    Nothing of the source is executed, and neither torch nor an unpickler is needed. The source is
    scanned first, and converted from the same open file. The output appears under its name only
    when it is complete, was read back, and equals the source.

    Args:
        src: a ``.pt``, ``.pth``, ``.bin``, ``.npz`` or ``.npy`` file; the content decides.
        dst: the safetensors file; replaced if it exists.
        policy: what the source may import and call; default: that of ``scan``.
        limits: what reading may cost. Beyond the source's own size, the output may have
            ``limits.expanded_bytes`` more: expanded views grow when they are written out.
        on_shared: what to do with tensors that share memory, which safetensors cannot say:
            write each of them and name them in the metadata, or refuse.
        keep_scalars: keep numbers, texts and truth values, as JSON in the metadata's ``scalars``.
        digests: compute the SHA-256 of the output and of each tensor; None: only up to 64 MiB.
        on_progress: told the bytes of work that are done, and that there are in all.

    Returns:
        What was converted, and what was not.

    Raises:
        UnsafeArtifactError: the scan does not find the source safe.
        UnsupportedFormatError: it holds tensors that cannot be converted; the message names them.
        MalformedArtifactError: it contradicts itself, or changed meanwhile.
        ResourceLimitError: the output would exceed the limits.
        ConfigurationError: a path or an option is wrong, or the output cannot be written.
    """
    source, target = Path(src), Path(dst)
    if on_shared not in {"copy", "refuse"}:
        raise ConfigurationError(f"on_shared must be 'copy' or 'refuse', not {shown(on_shared)}")
    bounds = limits or Limits()
    with regular_file(source) as descriptor, ExitStack() as resources:
        before = os.fstat(descriptor)
        if target.exists() and os.path.samestat(before, target.stat()):
            raise ConfigurationError(f"cannot convert {printable(str(source))} onto itself")
        # The same descriptor is scanned and converted: no other file can slip in between.
        with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            report = scan(file, policy=policy, limits=bounds, name=str(source), digest=False)
        if not report.safe:
            raise UnsafeArtifactError(_why(report))
        contents = read_contents(descriptor, before.st_size, bounds, policy, resources)
        _check(contents, before.st_size, bounds)
        aliases = _aliases(contents.tensors)
        if aliases and on_shared == "refuse":
            names = ", ".join(printable(name) for name in aliases[0][:5])
            raise UnsupportedFormatError(f"tensors share memory: {names}")
        written = sum(tensor.nbytes for tensor in contents.tensors)
        wanted = written <= DIGEST_LIMIT if digests is None else digests
        meter = _Meter(on_progress, before.st_size + written * (4 if wanted else 2))
        source_sha256 = digest(Range(descriptor, 0, before.st_size), meter.advance)
        plan = layout(contents.tensors, _metadata(source_sha256, aliases, contents, keep_scalars))
        with atomic_binary(target) as output:
            gathered = _write(output.fileno(), plan, meter.advance)
            tensors = _verified(output, plan, gathered, meter.advance, digests=wanted)
            everything = Range(output.fileno(), 0, plan.size)
            target_sha256 = digest(everything, meter.advance) if wanted else None
            _check_unchanged(descriptor, before)
    return Conversion(
        source=str(source),
        source_format=report.format,
        source_sha256=source_sha256,
        target=str(target),
        target_bytes=plan.size,
        target_sha256=target_sha256,
        tensors=tensors,
        aliases=aliases,
        dropped=tuple(contents.dropped),
        dropped_count=contents.dropped_count,
        policy=report.policy,
        policy_digest=report.policy_digest,
    )


def _why(report: ScanReport) -> str:
    """Say which finding speaks against a file."""
    name = printable(report.name)
    if not report.findings:
        return f"{name} is {report.verdict}, {report.coverage}"
    worst = report.findings[0]
    where = f" in {printable(worst.member)}" if worst.path else ""
    more = len(report.findings) + report.unlisted - 1
    rest = f" (and {more} more findings)" if more else ""
    return (
        f"{name} is not safe to convert ({report.verdict}, {report.coverage}): "
        f"{worst.id}{where}: {worst.message}{rest}"
    )


def _check(contents: Contents, source_bytes: int, limits: Limits) -> None:
    """Refuse what has no tensors, or would grow beyond the limits."""
    if not contents.tensors:
        raise UnsupportedFormatError("there is not a single tensor")
    room = source_bytes + limits.expanded_bytes
    for tensor in contents.tensors:
        room -= tensor.nbytes
        if room < 0:
            raise ResourceLimitError(
                f"{tensor.shown}: written out, the tensors are larger than the file by more than "
                f"limits.expanded_bytes ({limits.expanded_bytes})"
            )


def _aliases(tensors: list[StoredTensor]) -> tuple[tuple[str, ...], ...]:
    """Return the groups of tensors whose ranges in a storage overlap."""
    by_storage: dict[str, list[StoredTensor]] = {}
    for tensor in tensors:
        if tensor.count:
            by_storage.setdefault(tensor.storage.key, []).append(tensor)
    groups: list[tuple[str, ...]] = []
    for sharing in by_storage.values():
        end, group = -1, list[str]()
        for tensor in sorted(sharing, key=lambda tensor: (tensor.reach, tensor.name)):
            start, stop = tensor.reach
            if start >= end:
                groups.append(tuple(sorted(group)))
                group = []
            group.append(tensor.name)
            end = max(end, stop)
        groups.append(tuple(sorted(group)))
    return tuple(sorted(group for group in groups if len(group) > 1))


def _metadata(
    source_sha256: str,
    aliases: tuple[tuple[str, ...], ...],
    contents: Contents,
    keep_scalars: bool,  # noqa: FBT001 - the caller's option
) -> Mapping[str, str]:
    metadata = {"format": "pt", "source_sha256": source_sha256}
    if aliases:
        metadata["aliases"] = json.dumps(aliases)
    if keep_scalars and contents.scalars:
        values = {
            name: value if not isinstance(value, float) or math.isfinite(value) else repr(value)
            for name, value in sorted(contents.scalars.items())
        }
        metadata["scalars"] = json.dumps(values)
    return metadata


class _Meter:
    """Adds up the work that is done."""

    def __init__(self, on_progress: OnProgress | None, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self._done = 0

    def advance(self, count: int) -> None:
        """Tell the caller of further bytes."""
        self._done += count
        if self._on_progress is not None:
            self._on_progress(min(self._done, self._total), self._total)


def _write(descriptor: int, plan: Layout, progress: Progress) -> dict[str, str]:
    """Write the output; return the digests of the tensors that were gathered, by name."""
    os.ftruncate(descriptor, plan.size)
    write(descriptor, 0, memoryview(plan.header))
    gathered: dict[str, str] = {}
    for tensor, start in plan.places:
        if tensor.contiguous:
            copy(tensor.range, descriptor, start, progress)
            continue
        # To gather them once more for the comparison would cost more than this.
        state, position = hashlib.sha256(), start
        for block in blocks(tensor):
            state.update(block)
            write(descriptor, position, block)
            position += len(block)
            progress(len(block))
        gathered[tensor.name] = state.hexdigest()
    return gathered


def _verified(
    output: BinaryIO,
    plan: Layout,
    gathered: Mapping[str, str],
    progress: Progress,
    *,
    digests: bool,
) -> tuple[ConvertedTensor, ...]:
    """Read the output as anybody would, and compare it with the source.

    Raises:
        ArtifactError: it is not what it should be: a fault of the disk, or of ours.
    """
    report = scan(output, name="the output.safetensors", digest=False)
    if not report.safe or report.format != "safetensors":
        raise ArtifactError(_why(report))
    descriptor = output.fileno()
    head = bytearray(8)
    read_into(descriptor, 0, memoryview(head))
    text = bytearray(int.from_bytes(head, "little"))
    read_into(descriptor, 8, memoryview(text))
    table = json.loads(text)
    if len(table) != len(plan.places) + 1:
        raise ArtifactError("the output does not hold the tensors of the source")
    tensors = []
    for tensor, _ in plan.places:
        begin, end = _entry(table, tensor)
        written = Range(descriptor, 8 + len(text) + begin, end - begin)
        found = gathered.get(tensor.name)
        equal = (
            digest(written) == found
            if found is not None
            else written.size == tensor.nbytes and same(tensor.range, descriptor, written.start)
        )
        if not equal:
            raise ArtifactError(f"{tensor.shown} is not in the output as it is in the source")
        progress(tensor.nbytes)
        if digests:
            found = found or digest(written, progress)
        tensors.append(
            ConvertedTensor(tensor.name, tensor.dtype, tensor.shape, tensor.nbytes, found)
        )
    return tuple(tensors)


def _entry(table: Mapping[str, object], tensor: StoredTensor) -> tuple[int, int]:
    """Return where the output says that a tensor is, within its data."""
    match table.get(tensor.name):
        case {
            "dtype": tensor.dtype,
            "shape": [*shape],
            "data_offsets": [int() as begin, int() as end],
        }:
            if tuple(shape) == tensor.shape:
                return begin, end
    raise ArtifactError(f"{tensor.shown} is not in the output as it is in the source")


def _check_unchanged(descriptor: int, before: os.stat_result) -> None:
    after = os.fstat(descriptor)
    # The time of change cannot be set back by whoever wrote to the file.
    if (after.st_size, after.st_ctime_ns) != (before.st_size, before.st_ctime_ns):
        raise MalformedArtifactError("the source changed while it was converted")
