import pytest

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.report import ScanReport
from tests.scanning.support.protobuf_writer import field, message


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def model(number: int, kind: bytes) -> bytes:
    return message((1, 7), (2, message((1, message((1, "x"))))), (number, kind))


def network(*layers: bytes) -> bytes:
    return message(*((1, layer) for layer in layers))


LAYER = message((1, "l"), (2, "x"), (3, "y"))
CUSTOM = message((1, "l"), (500, message((10, "AcmeLayer"))))


def program(path: str) -> bytes:
    value = message((5, message((1, path), (2, 64))))
    operation = message((1, "const"), (5, message((1, "val"), (2, value))))
    block = message((1, "CoreML5"), (2, message((3, operation))))
    function = message((2, "CoreML5"), (3, block))
    return message((1, 1), (2, message((1, "main"), (2, function))))


@pytest.mark.parametrize(
    "content",
    [model(500, network(LAYER)), model(502, program("@model_path/weights/weight.bin")),
     model(302, field(1, b"tree"))],
    ids=["network", "program", "trees"],
)  # fmt: skip
def test_a_model_is_recognised_and_never_complete(content: bytes) -> None:
    """Nothing is found, and the report says that not all was read."""
    report = scan(content)
    assert report.format == "coreml"
    assert ids(report) == {"MS-COV-002"}
    assert report.verdict is Verdict.DATA_ONLY
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize(
    "content",
    [
        model(500, network(LAYER, CUSTOM)),
        model(403, network(CUSTOM)),
        model(500, network(message((605, message((1, network(CUSTOM))))))),
        model(500, network(message((615, message((4, network(CUSTOM))))))),
        model(555, message((10, "AcmeModel"))),
        model(202, message((1, model(555, message((10, "AcmeModel")))))),
        model(200, message((1, message((1, model(500, network(CUSTOM))))))),
    ],
    ids=["layer", "classifier", "branch", "loop", "model", "pipeline", "wrapped pipeline"],
)
def test_custom_code_is_unknown(content: bytes) -> None:
    """A custom layer or model is a class of the application, wherever it stands."""
    report = scan(content)
    assert "MS-CML-001" in ids(report)
    assert report.verdict is Verdict.UNKNOWN


def test_a_link_is_unknown() -> None:
    """A linked model is another file."""
    assert "MS-CML-002" in ids(scan(model(556, field(1, b""))))


@pytest.mark.parametrize("path", ["/x", "weights.bin", "@model_path/../x", "@model_path/a\\..\\x"])
def test_weights_stay_in_the_package(path: str) -> None:
    """A program names the files of its weights, within the package."""
    report = scan(model(502, program(path)))
    assert "MS-CML-003" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "content",
    [message((1, 7), (2, b"x")), message((1, 7), (500, b"")), model(500, b"")[:-2],
     message((1, 7), (2, b"x"), (3, b"x"), (500, b"x"))],
    ids=["kindless", "undescribed", "cut", "another field"],
)  # fmt: skip
def test_other_messages_are_not_core_ml(content: bytes) -> None:
    """What is not recognised is never safe either."""
    report = scan(content)
    assert report.format != "coreml"
    assert not report.safe
