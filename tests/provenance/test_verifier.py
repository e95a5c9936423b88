import pickle
from pathlib import Path

import pytest

from modelsec import ModelProvenanceVerifier
from modelsec.errors import ConfigurationError
from modelsec.scanning import Limits, Policy, Verdict

HOSTILE = b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00echo inert\x85R."


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_content_decides(tmp_path: Path) -> None:
    """A pickle is a pickle under the name of any safe format."""
    for ending in (".safetensors", ".onnx", ".json", ".tflite", ""):
        check = ModelProvenanceVerifier().check_model_format(
            written(tmp_path, f"model{ending}", HOSTILE)
        )
        assert not check.safe
        assert check.format == "pickle"
        assert check.report.verdict is Verdict.DANGEROUS
        assert "os:system" in check.note
        assert check.recommendation


def test_a_pickle_of_data_is_safe(tmp_path: Path) -> None:
    """The lesson called every pickle unsafe; plain data in one can do nothing."""
    path = written(tmp_path, "model.pkl", pickle.dumps({"weights": [1.0, 2.0]}))
    check = ModelProvenanceVerifier().check_model_format(str(path))
    assert check.safe
    assert check.recommendation == ""


def test_the_lessons_keys_remain(tmp_path: Path) -> None:
    """``safe``, ``format`` and ``note`` always; ``recommendation`` when there is one."""
    good = ModelProvenanceVerifier().check_model_format(written(tmp_path, "a", pickle.dumps([1])))
    bad = ModelProvenanceVerifier().check_model_format(written(tmp_path, "b", HOSTILE))
    assert {"safe", "format", "note"} <= good.to_dict().keys()
    assert "recommendation" not in good.to_dict()
    assert {"safe", "format", "note", "recommendation"} <= bad.to_dict().keys()
    assert bad.to_dict()["safe"] is False


def test_what_was_not_understood_is_not_safe(tmp_path: Path) -> None:
    """Cut files and exceeded limits say so."""
    path = written(tmp_path, "cut.pkl", pickle.dumps(list(range(50)))[:-9])
    check = ModelProvenanceVerifier().check_model_format(path)
    assert not check.safe
    assert "not all of it was understood" in check.note
    whole = written(tmp_path, "whole.pkl", pickle.dumps([[[1]]]))
    limited = ModelProvenanceVerifier(limits=Limits(members=1, opcodes=1))
    assert not limited.check_model_format(whole).safe


def test_a_class_of_the_users_own_suggests_conversion(tmp_path: Path) -> None:
    """What is merely unknown may be converted or learnt."""
    path = written(tmp_path, "ours.pkl", b"\x80\x02cour_models\nNet\n)R.")
    check = ModelProvenanceVerifier(policy=Policy.load("core")).check_model_format(path)
    assert check.report.verdict is Verdict.UNKNOWN
    assert "SafeTensors" in check.recommendation


@pytest.mark.parametrize("path", ["missing", "."])
def test_what_cannot_be_opened_is_the_callers_error(tmp_path: Path, path: str) -> None:
    """A missing file or a folder is no verdict."""
    with pytest.raises(ConfigurationError):
        ModelProvenanceVerifier().check_model_format(tmp_path / path)
