"""Programs and scripts under a model's name."""

import struct

import pytest

from modelsec.scanning import Coverage, Verdict, scan

PE = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(40)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x7fELF\2\1\1" + bytes(60), "elf"),
        (PE, "pe"),
        (b"\xcf\xfa\xed\xfe" + bytes(40), "mach-o"),
        (b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(40), "mach-o"),
        (b"\xca\xfe\xba\xbe\0\0\0\x3d" + bytes(40), "java class"),
        (b"\0asm\1\0\0\0" + bytes(10), "wasm"),
        (b"!<arch>\n" + bytes(60), "ar"),
        (b"dex\n035\0" + bytes(60), "dex"),
    ],
)
def test_machine_code_is_dangerous_and_not_understood(content: bytes, name: str) -> None:
    """A program is refused under every name; what it does is not asked."""
    report = scan(content, name="model.bin")
    assert (report.verdict, report.coverage) == (Verdict.DANGEROUS, Coverage.INCOMPLETE)
    assert name in report.format


@pytest.mark.parametrize(
    "content", [b"MZ" + bytes(100), b"MZ\0", b"\xca\xfe\xba\xbe", b"dex\n\0bc"]
)
def test_a_signature_without_its_header_is_not_called_a_program(content: bytes) -> None:
    """Bytes that start alike are left to the other readers, and are never safe."""
    report = scan(content)
    assert not report.safe
    assert "MS-NAT-001" not in {finding.id for finding in report.findings}


def test_a_portable_executable_is_seen_without_its_newer_header() -> None:
    """The kind that is also a shell script is recognised by its first six bytes."""
    report = scan(b"MZqFpD='\n" + bytes(100))
    assert report.verdict is Verdict.DANGEROUS
    assert "portable executable" in report.format


def test_a_script_is_dangerous_under_a_models_name_and_code_under_its_own() -> None:
    """A name that says honestly that it is code makes it a warning."""
    content = b"#!/bin/sh\necho hello\n"
    assert scan(content, name="model.pt").verdict is Verdict.DANGEROUS
    assert scan(content, name="download.sh").verdict is Verdict.UNKNOWN
    assert scan(content, name="model.pt").coverage is Coverage.COMPLETE


def test_text_that_only_looks_like_a_script_is_text() -> None:
    """An attribute of Rust starts with the same two characters."""
    assert scan(b"#![allow(dead_code)]\n").safe


def test_what_is_behind_a_script_is_scanned() -> None:
    """A self-extracting archive: the bytes behind the first line are looked at."""
    report = scan(b"#!/bin/sh\n" + b"\x7fELF" + bytes(60))
    assert "MS-NAT-001" in {finding.id for finding in report.findings}
