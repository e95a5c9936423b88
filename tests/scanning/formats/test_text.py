import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.parametrize("name", ["a.py", "a.R", "a.vbs", "a.PSM1", "a.php", "a.ipy", "a.desktop"])
def test_source_code_is_unknown_by_its_name(name: str) -> None:
    """Text is run if its name says so."""
    assert ids(scan(b"x = 1\n", name=name)) == {"MS-TXT-001"}
    assert ids(scan(b"{{ messages }}\n", name=name)) == {"MS-TXT-001"}


def test_a_program_in_xml_is_code() -> None:
    """Script hosts read programs in XML."""
    assert "MS-TXT-001" in ids(scan(b"<job><script>x</script></job>", name="a.wsf"))


def test_lines_that_python_runs_at_its_start_are_dangerous() -> None:
    """Python runs the lines of a .pth file that begin with import."""
    report = scan(b"# paths\nimport inert_package\n", name="a.pth")
    assert ids(report) >= {"MS-TXT-002"}
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TXT-002" not in ids(scan(b"# paths\n/usr/lib\n", name="a.pth"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("saved_model.pbtxt", b'meta_graphs {\n graph_def { node { op: "Inert" } } }\n'),
        ("graph.pbtxt", b'node {\n  name: "a"\n  op: "Inert"\n}\n'),
        ("net.prototxt", b'layer { name: "a" type: "ReLU" }\n'),
        ("model.onnxtext", b"<ir_version: 7>\ng (float[N] x) => (float[N] y) { y = a.B(x) }\n"),
    ],
)
def test_graphs_in_text_are_incomplete(name: str, content: bytes) -> None:
    """Loaders read them as they read the binary form."""
    report = scan(content, name=name)
    assert report.coverage is Coverage.INCOMPLETE


def test_a_layer_in_python_is_dangerous() -> None:
    """Caffe imports the module that a layer names."""
    report = scan(b'layer { python_param { module: "inert" layer: "X" } }', name="net.prototxt")
    assert report.verdict is Verdict.DANGEROUS


def test_a_label_map_is_data() -> None:
    """Not everything in text form is a graph."""
    assert (
        scan(b'# labels\nitem {\n  id: 1\n  name: "cat"\n}\n', name="labels.pbtxt").findings == ()
    )


@pytest.mark.parametrize("content", [b'{"auto_map": {"A": "m.M"}}', b"<!DOCTYPE a SYSTEM 'x'><a/>"])
def test_blanks_hide_nothing(content: bytes) -> None:
    """Recognition looks at the first bytes; a loader skips blanks."""
    assert not scan(b" \n" * 3000 + content).safe
    assert scan(b" \n" * 3000 + b"words\n").safe


@pytest.mark.parametrize(
    "content",
    [b"// c\n{'auto_map': {'A': 'm.M'}}", b"{auto_map: {A: 'm.M'}}", b'1 {"auto_map": {"A": "m"}}'],
)
def test_almost_json_with_keys_that_act_is_unknown(content: bytes) -> None:
    """Other readers are more lenient than the standard."""
    assert not scan(content, name="config.json").safe
    assert scan(b"// c\n{'a': 1}", name="config.json").safe
