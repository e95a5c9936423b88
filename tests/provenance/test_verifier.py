import hashlib
import pickle
from datetime import UTC, datetime
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


INFO = {
    "name": "churn",
    "version": "1.0",
    "hash": hashlib.sha256(b"weights").hexdigest(),
    "format": ".safetensors",
    "source": "ours",
    "training_date": "2026-01-01",
    "training_data_description": "calls of two years",
    "metrics": {"auc": 0.9},
    "limitations": "one country",
}


def test_integrity_of_files_and_directories(tmp_path: Path) -> None:
    """A file has the digest of its bytes, a directory one that binds names, too."""
    verifier = ModelProvenanceVerifier()
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert verifier.verify_model_integrity(str(file), expected.upper()).to_dict() == {
        "verified": True,
        "expected_hash": expected,
        "actual_hash": expected,
        "model_path": str(file),
        "kind": "file",
    }
    assert not verifier.verify_model_integrity(file, "0" * 64).verified
    tree = verifier.verify_model_integrity(tmp_path, "0" * 64).actual_hash
    assert verifier.verify_model_integrity(tmp_path, tree).verified
    file.rename(tmp_path / "model.py")
    assert not verifier.verify_model_integrity(tmp_path, tree).verified


@pytest.mark.parametrize("digest", ["", "abc", "0" * 63, "g" * 64, " " + "0" * 64, None, b"0" * 64])
def test_a_digest_is_whole_or_none(digest: object, tmp_path: Path) -> None:
    """A cut digest would be met by other files, too."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    with pytest.raises(ConfigurationError):
        ModelProvenanceVerifier().verify_model_integrity(
            tmp_path / "model.bin",
            digest,  # type: ignore[arg-type]
        )


def test_a_card_claims_only_what_was_checked(tmp_path: Path) -> None:
    """Without the model nothing is verified; with another model neither; and nobody approved."""
    verifier = ModelProvenanceVerifier(clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    path = tmp_path / "model.json"
    path.write_bytes(b"weights")
    unread = verifier.generate_model_card(INFO).to_dict()
    right = verifier.generate_model_card(INFO, path=path).to_dict()
    path.write_bytes(b"others")
    wrong = verifier.generate_model_card(INFO, path=path).to_dict()
    found = [card["security_review"]["hash_verified"] for card in (unread, right, wrong)]  # type: ignore[index]
    assert found == [None, True, False]
    for card in (unread, right, wrong):
        assert card["deployment_approval"]["approved"] is False  # type: ignore[index]
        lesson = {"model_name", "version", "sha256", "format", "source", "training_date"}
        lesson |= {"training_data", "evaluation_metrics", "known_limitations"}
        assert lesson <= card.keys()
