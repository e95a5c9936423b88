"""XML: nothing is expanded, and nothing that could be is let through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, ScanReport, Verdict, scan

PMML = b"""<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header><Application name="x &amp; y"/></Header><!-- a comment -->
  <DataDictionary><DataField name="a" optype="continuous"/></DataDictionary>
  <TransformationDictionary><DerivedField name="b"><Apply function="+"><FieldRef field="a"/>
  <Constant><![CDATA[ 1 & 2 ]]></Constant></Apply></DerivedField></TransformationDictionary>
</PMML>
"""
SVG_TYPE = (
    b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n'
    b'  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
)
ENTITY = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///nowhere">]><a>&e;</a>'


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_a_pmml_model_is_data() -> None:
    """A model in XML with comments, references and plain sections is clean."""
    report = scan(PMML, name="model.pmml")
    assert report.safe, report.findings
    assert report.verdict is Verdict.DATA_ONLY
    assert "pmml" in report.format


@pytest.mark.parametrize(
    "content",
    [
        ENTITY.encode(),
        ENTITY.encode("utf-16"),
        ENTITY.encode("utf-16-le"),
        ENTITY.encode("utf-16-be"),
        b"\xef\xbb\xbf" + ENTITY.encode(),
        b" \n" + ENTITY.encode(),
        b'<!DOCTYPE a SYSTEM "http://nowhere.invalid/a.dtd"><a/>',
        b"<!-- c --><!DOCTYPE a><a/>",
        b"<!DOCTYPE a><not closed",
        b"<a><!ENTITY x 'y'></a>",
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://nowhere.invalid/x"><svg/>',
        SVG_TYPE[:-2] + b" [<!ENTITY a 'b'>]><svg/>",
        SVG_TYPE + SVG_TYPE + b"<svg/>",
    ],
)
def test_a_declaration_is_dangerous_in_every_encoding(content: bytes) -> None:
    """Document types and entities are recognised, and never interpreted."""
    report = scan(content)
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-XML-001" in ids(report)


@pytest.mark.parametrize("name", ["utf-7", "UTF7"])
def test_utf7_is_dangerous(name: str) -> None:
    """An encoding that turns letters into markup hides it from everybody else."""
    content = f'<?xml version="1.0" encoding="{name}"?>+ADwAIQ-DOCTYPE a+AD4-'.encode()
    report = scan(content)
    assert "MS-XML-010" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0" encoding="cp037"?><a/>',
        b'<?xml version="1.0" encoding="gb18030"?><a/>',
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        '<?xml version="1.0" encoding="iso-8859-1"?><a/>'.encode("utf-16"),
        '<?xml version="1.0"?><a/>'.encode("utf-32"),
        b"\x4c\x6f\xa7\x94\x93\x40\xa5\x85\x99",
        b'<?xml version="1.0"?><a>\xff</a>',
        b"<?xml version='1.0' encoding='\xe9'?><a/>",
    ],
)
def test_other_encodings_are_not_read(content: bytes) -> None:
    """What is not understood is incomplete, not clean."""
    assert scan(content).coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "us-ascii", "UTF-8"])
def test_single_byte_encodings_are_read(encoding: str) -> None:
    """Markup is ASCII in all of them."""
    assert scan(f'<?xml version="1.0" encoding="{encoding}"?><a b="c"/>'.encode()).safe


def test_xinclude_is_dangerous_however_it_is_written() -> None:
    """The namespace is compared after its references are resolved."""
    for address in (
        b"http://www.w3.org/2001/XInclude",
        b"http&#58;//www.w3.org/2001/X&#x49;nclude",
    ):
        report = scan(b'<a xmlns:i="' + address + b'"><i:include href="x"/></a>')
        assert report.verdict is Verdict.DANGEROUS


def test_a_picture_with_a_published_type_is_clean() -> None:
    """Plotting libraries write that document type into every picture."""
    report = scan(SVG_TYPE + b'<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>')
    assert report.safe, report.findings
    assert ids(report) == {"MS-XML-002"}


@pytest.mark.parametrize(
    "content",
    [b"<script>x</script>", b'<g onload="x"/>', b'<a href=" javascript:x"/>', b"<foreignObject/>"],
)
def test_a_script_in_a_picture_is_noted(content: bytes) -> None:
    """It matters to browsers, not to loaders of models."""
    report = scan(b'<svg xmlns="http://www.w3.org/2000/svg">' + content + b"</svg>")
    assert report.safe
    assert ids(report) == {"MS-XML-005"}


def test_web_pages_are_text() -> None:
    """HTML is not well-formed XML, and need not be."""
    report = scan(b"<!DOCTYPE html>\n<html><body><p>a<br>b &nbsp;<script>1</script></html>\n")
    assert report.safe
    assert "html" in report.format


def test_a_model_card_that_begins_with_a_tag_is_text() -> None:
    """Markdown with HTML in it is neither XML nor a page."""
    assert scan(b'<p align="center"><img src="a.png"></p>\n\n# Title\n\nText & more <br>\n').safe


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b'<PMML><Apply function="com.nowhere.Thing"/></PMML>', "MS-XML-007"),
        (b'<net name="n" version="11"><layer type="X" version="mine"/></net>', "MS-XML-009"),
        (b'<x:t xmlns:x="http://www.w3.org/1999/XSL/Transform"/>', "MS-XML-008"),
    ],
)
def test_what_reaches_beyond_the_model_is_unknown(content: bytes, rule: str) -> None:
    """Classes, custom layers and programs are named."""
    report = scan(content)
    assert report.verdict is Verdict.UNKNOWN
    assert rule in ids(report)


def test_an_openvino_graph_of_standard_layers_is_data() -> None:
    """Layers of the published sets compute, and nothing else."""
    content = (
        b'<net name="n" version="11"><layers><layer type="Add" version="opset1"/></layers></net>'
    )
    report = scan(content)
    assert report.safe
    assert "openvino" in report.format


def test_a_style_sheet_is_noted() -> None:
    """An instruction names another file to a browser."""
    report = scan(b'<?xml version="1.0"?><?xml-stylesheet href="a.xsl"?><a/>')
    assert report.safe
    assert ids(report) == {"MS-XML-004"}


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?><a>",
        b"<?xml version='1.0'?><a></b>",
        b"<?xml version='1.0'?><a/><b/>",
        b"<?xml version='1.0'?><a x='1' x='2'/>",
        b"<?xml version='1.0'?><a>&undeclared;</a>",
        b"<?xml version='1.0'?>text",
        b"<?xml version='1.0'?><a/><?xml version='1.0'?>",
        b"<?xml version='1.0'?><a><!-- -- --></a>",
        b"<?xml version='1.0'?><a><![CDATA[</a>",
        b"<?xml version='1.0'?><a><?b</a>",
        b"<?xml version='1.0'?><a b=c/>",
        b"<?xml version='1.0'?>" + b"<a>" * 1000,
        b"<?xml nonsense?><a/>",
    ],
)
def test_broken_xml_is_never_safe(content: bytes) -> None:
    """What breaks the rules is incomplete."""
    assert scan(content).coverage is Coverage.INCOMPLETE


def test_a_cut_model_is_never_safe() -> None:
    """Truncation at every offset behind the declaration is incomplete."""
    whole = PMML.rstrip()
    for length in range(8, len(whole)):
        assert not scan(whole[:length]).safe, length


@given(st.integers(0, len(PMML) - 1), st.integers(0, 255))
def test_a_changed_byte_never_raises(offset: int, value: int) -> None:
    """Whatever is broken, the result is a report."""
    content = bytearray(PMML)
    content[offset] = value
    assert "MS-COV-004" not in ids(scan(bytes(content)))


def test_many_extensions_are_counted() -> None:
    """A hundred notes of one kind are summed up."""
    assert "MS-XML-011" in ids(scan(b"<PMML>" + b"<Extension/>" * 100 + b"</PMML>"))


def test_xml_that_is_yaml_as_well_is_unknown() -> None:
    """A loader that goes by the name would make Python objects of it."""
    report = scan(b"<a>: !!python/object/apply:inert.run [x] #</a>", name="c.yaml")
    assert ids(report) >= {"MS-XML-012"}
    assert not report.safe


def test_xinclude_in_a_page_is_dangerous() -> None:
    """A processor of XML includes files into pages as well."""
    content = b'<html xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="x"/></html>'
    assert scan(content).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "content",
    [
        b'<java class="java.beans.XMLDecoder"><object class="inert"/></java>',
        b'<a><handler class="java.beans.EventHandler"/></a>',
        b'<R xmlns:s="clr-namespace:System.Diagnostics;assembly=x"><ObjectDataProvider/></R>',
        b'<beans xmlns="http://www.springframework.org/schema/beans"/>',
    ],
)
def test_objects_in_xml_are_dangerous(content: bytes) -> None:
    """Some readers of models make any object that the text names."""
    assert "MS-XML-013" in ids(scan(content))


def test_the_attributes_of_an_element_are_bounded() -> None:
    """They are held together, so that duplicates are seen."""
    many = b"".join(b' a%d=""' % number for number in range(10_001))
    assert "MS-COV-003" in ids(scan(b"<a xmlns=''" + many + b"/>"))
