"""What encryption at rest costs beside Tink's, on the same bytes in the same run.

Both sides use Tink's format, so each reads what Tink wrote; `tink` is the Python package, whose
work is done in C++. CPU seconds of all threads count, the best of some rounds that alternate
between the two; wall seconds are told, too, but the machine may be busy with other things.

    python benchmarks/encryption.py --mib 256
"""

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from tink import proto_keyset_format, secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from harness import environment, markdown, met, write_json
from modelsec.encryption import (
    LocalKeyWrapper,
    decrypt_into,
    decrypt_tink_stream,
    encrypt_file,
    encrypt_tink_stream,
    tink_stream_to_buffer,
)

_ASSOCIATED = b"benchmark"
_STEP = 1 << 20
_SEGMENTS = {"1 MiB": 1 << 20, "4 KiB": 4096}
_DECRYPT_GOAL, _ENCRYPT_GOAL = 3.0, 1.0
_TYPE = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


class Tink:
    """Tink's streaming encryption with a key that we choose, used as its documentation shows."""

    def __init__(self, key: bytes, segment: int) -> None:
        streaming_aead.register()
        value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0,
            key_value=key,
            params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
                ciphertext_segment_size=segment,
                derived_key_size=32,
                hkdf_hash_type=common_pb2.SHA256,
            ),
        )
        only = tink_pb2.Keyset.Key(
            key_data=tink_pb2.KeyData(
                type_url=_TYPE,
                value=value.SerializeToString(),
                key_material_type=tink_pb2.KeyData.SYMMETRIC,
            ),
            status=tink_pb2.ENABLED,
            key_id=1,
            output_prefix_type=tink_pb2.RAW,
        )
        keyset = tink_pb2.Keyset(primary_key_id=1, key=[only]).SerializeToString()
        handle = proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
        self._primitive = handle.primitive(streaming_aead.StreamingAead)

    def encrypt(self, source: Path, target: Path) -> None:
        """File to file, in steps of 1 MiB."""
        with (
            source.open("rb") as read,
            target.open("wb") as written,
            self._primitive.new_encrypting_stream(written, _ASSOCIATED) as stream,
        ):
            while piece := read.read(_STEP):
                stream.write(piece)

    def decrypt(self, source: Path, target: Path) -> None:
        """File to file, in steps of 1 MiB."""
        with (
            source.open("rb") as read,
            target.open("wb") as written,
            self._primitive.new_decrypting_stream(read, _ASSOCIATED) as stream,
        ):
            while piece := stream.read(_STEP):
                written.write(piece)

    def read(self, source: Path) -> bytes:
        """File to memory, the short way."""
        with (
            source.open("rb") as read,
            self._primitive.new_decrypting_stream(read, _ASSOCIATED) as stream,
        ):
            return bytes(stream.read())

    def read_into(self, source: Path, room: bytearray) -> None:
        """File to memory, the fastest way that we know: pieces of one buffer."""
        view, done = memoryview(room), 0
        with (
            source.open("rb") as read,
            self._primitive.new_decrypting_stream(read, _ASSOCIATED) as stream,
        ):
            while got := stream.readinto(view[done : done + _STEP]):
                done += got
        assert done == len(room)


@dataclass(slots=True)
class Case:
    """One thing that is measured."""

    task: str
    segment: str
    label: str
    run: Callable[[], object]
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether this is modelsec."""
        return self.label.startswith("modelsec")

    def measure(self) -> None:
        """Run once. What the task returns is freed after the clock was read."""
        wall, cpu = time.perf_counter(), time.process_time()
        kept = self.run()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        del kept


def cases(folder: Path, segment: str, size: int, key: bytes) -> list[Case]:
    """Return what is measured for one segment size."""
    number = _SEGMENTS[segment]
    tink = Tink(key, number)
    plain, sealed, target = folder / "plain", folder / f"sealed-{number}", folder / "target"
    envelope, wrapper, room = folder / f"envelope-{number}", LocalKeyWrapper(key), bytearray(size)
    tink.encrypt(plain, sealed)
    encrypt_file(plain, envelope, wrapper, segment_size=number)
    given = {"associated_data": _ASSOCIATED, "segment_size": number}

    def ours(workers: int) -> list[Case]:
        label = f"modelsec, {workers} worker{'s' * (workers > 1)}"
        tasks: dict[str, Callable[[], object]] = {
            "encrypt, file to file": lambda: encrypt_tink_stream(
                plain, target, key, workers=workers, **given
            ),
            "decrypt, file to file": lambda: decrypt_tink_stream(
                sealed, target, key, workers=workers, **given
            ),
            "decrypt, file to new memory": lambda: tink_stream_to_buffer(
                sealed, key, workers=workers, **given
            ),
            "decrypt, file to memory in use": lambda: decrypt_into(
                envelope, room, wrapper, workers=workers
            ),
        }
        return [Case(task, segment, label, run) for task, run in tasks.items()]

    new, used = "decrypt, file to new memory", "decrypt, file to memory in use"
    return [
        Case("encrypt, file to file", segment, "tink", lambda: tink.encrypt(plain, target)),
        Case("decrypt, file to file", segment, "tink", lambda: tink.decrypt(sealed, target)),
        Case(new, segment, "tink, read()", lambda: tink.read(sealed)),
        Case(new, segment, "tink, readinto()", lambda: tink.read_into(sealed, bytearray(size))),
        Case(used, segment, "tink, readinto()", lambda: tink.read_into(sealed, room)),
        *ours(1),
        *ours(2),
    ]


def check(folder: Path, key: bytes) -> None:
    """Assert that both sides read each other, byte for byte."""
    plain = (folder / "plain").read_bytes()
    for number in _SEGMENTS.values():
        tink, ours = Tink(key, number), folder / "ours"
        encrypt_tink_stream(
            folder / "plain", ours, key, associated_data=_ASSOCIATED, segment_size=number
        )
        assert tink.read(ours) == plain
        got = tink_stream_to_buffer(
            folder / f"sealed-{number}", key, associated_data=_ASSOCIATED, segment_size=number
        )
        assert got == plain
        ours.unlink()


def rows(found: list[Case], size: int) -> list[list[object]]:
    """Return the table: the ratio is to Tink's better way of doing the same."""
    table: list[list[object]] = []
    for case in sorted(found, key=lambda case: (case.segment != "1 MiB", case.task, not case.ours)):
        peers = [
            min(peer.cpu)
            for peer in found
            if not peer.ours and (peer.task, peer.segment) == (case.task, case.segment)
        ]
        ratio = min(peers) / min(case.cpu)
        goal = ""
        if case.label == "modelsec, 1 worker" and case.segment == "1 MiB":
            if case.task == "decrypt, file to new memory":
                goal = f"{_DECRYPT_GOAL} x: {met(ratio >= _DECRYPT_GOAL)}"
            elif case.task.startswith("encrypt"):
                goal = f"{_ENCRYPT_GOAL} x: {met(ratio >= _ENCRYPT_GOAL)}"
        table.append(
            [
                case.task,
                case.segment,
                case.label,
                min(case.cpu),
                size / min(case.cpu) / 1e9,
                min(case.wall),
                f"{ratio:.2f}",
                goal,
            ]
        )
    return table


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the plaintext")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the files are; default: the system's")
    parser.add_argument("--json", metavar="FILE", help="also write the result as JSON")
    options = parser.parse_args()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tink", "cryptography"))
    print(f"{environment()}, {versions}; {options.mib} MiB, best of {options.rounds}\n")
    size, key = options.mib << 20, secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        with (folder / "plain").open("wb") as file:
            for _ in range(options.mib):
                file.write(secrets.token_bytes(1 << 20))
        found = [case for segment in _SEGMENTS for case in cases(folder, segment, size, key)]
        check(folder, key)
        for _ in range(options.rounds):
            for case in found:
                case.measure()
    headers = ["task", "segments", "by", "CPU s", "GB/s", "wall s", "x tink (CPU)", "goal"]
    print(markdown(headers, rows(found, size)))
    results = [
        {"task": c.task, "segment": c.segment, "by": c.label, "cpu": c.cpu, "wall": c.wall}
        for c in found
    ]
    write_json(options.json, {"bytes": size, "versions": versions, "cases": results})


if __name__ == "__main__":
    main()
