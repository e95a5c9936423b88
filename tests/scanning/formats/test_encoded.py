import base64
import json

import pytest

from modelsec.scanning import Verdict, scan

BINARY = b"\x80\x02cinert_recorder\nrun\nX\x01\0\0\0x\x85R."
TEXT = base64.b64encode(BINARY)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", b"a,b\n1," + TEXT + b"\n"),
        ("config.json", json.dumps({"x": [TEXT.decode()]}).encode()),
        ("config.yaml", b"target: 1\nx: !!binary " + TEXT + b"\n"),
        ("model.xml", b"<a>" + TEXT + b"</a>"),
        ("page.html", b"<html>" + TEXT + b"</html>"),
        ("safe.txt", base64.urlsafe_b64encode(BINARY + b"\xff\xff\xff").rstrip(b"=")),
    ],
)
def test_a_pickle_in_base64_is_found_in_every_kind_of_text(name: str, content: bytes) -> None:
    """Somebody is to decode and unpickle it."""
    report = scan(content, name=name)
    assert not report.safe
    assert any("base64" in finding.path[0] for finding in report.findings if finding.path)


@pytest.mark.parametrize(
    "content",
    [
        b"gAJ" + b"A" * 200,
        base64.b64encode(b"\x80\x02]q\x00(K\x01K\x02K\x03e." + b"\0" * 9),
        b"gAJkYXRhIG9mIG5vIGtpbmQ=",
        b"cat\ndog\n(\ncos\nsystem\nof\n(\n",
        b"cos\nx = sin(x)\n",
    ],
)
def test_text_that_nothing_acts_on_stays_text(content: bytes) -> None:
    """Data in base64, and lists of words, are data."""
    assert scan(b"# \n" + content, name="a.txt").findings == ()


@pytest.mark.parametrize("prefix", [b"\n", b"# a comment\n", b"\xef\xbb\xbf", b"  "])
def test_a_call_behind_a_prefix_is_found(prefix: bytes) -> None:
    """A pickle of protocol 0 is text; what stands before it does not make it harmless."""
    report = scan(prefix + b"cos\nsystem\n(S'inert'\ntR.", name="notes.txt")
    assert not report.safe


def test_a_pickle_of_protocol_0_in_base64_is_found() -> None:
    """Its first bytes are those of an import."""
    content = base64.b64encode(b"cos\nsystem\n(S'inert'\ntR.")
    assert scan(b"x,y\n1," + content, name="a.csv").verdict is Verdict.DANGEROUS


def test_decoys_do_not_hide_a_pickle() -> None:
    """Beyond a number of candidates the text is not understood, and never safe."""
    decoy = b"gAJ" + b"A" * 13 + b"\n"
    assert not scan(b"x\n" + decoy * 1000 + TEXT).safe
    assert not scan(b"x\n" + decoy * 6000 + TEXT).safe
