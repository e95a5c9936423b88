import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from modelsec.cli import main
from modelsec.provenance.cards.card_document import read_card
from modelsec.provenance.cards.readme_check import card_problems
from modelsec.provenance.integrity import check_integrity, file_digest
from modelsec.signing.keys import PrivateKey
from tests.provenance.cards.samples import LESSON, folder_of_weights, weights

TOML = """
name = "sentiment"
version = "1.2.0"
hash = "{hash}"
format = ".safetensors"
source = "https://models.example.org/sentiment"
training_date = 2026-01-15
training_data_description = "Reviews of films."
metrics = {{ accuracy = 0.93 }}
limitations = ["English only"]
license = "apache-2.0"
"""

Told = Callable[[], tuple[str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a model, what its maker says, and the keys of somebody who decides."""
    model = weights(tmp_path / "model.safetensors")
    (tmp_path / "info.toml").write_text(TOML.format(hash=file_digest(model)))
    for name, private in (("ann", PrivateKey.generate()), ("eve", PrivateKey.generate())):
        (tmp_path / f"{name}.pem").write_bytes(private.to_pem())
        (tmp_path / f"{name}.pub.pem").write_bytes(private.public.pem)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["card", *arguments])


def made(*arguments: str) -> dict[str, Any]:
    """Make card.json and return it."""
    run("make", "info.toml", "--output", "card.json", *arguments)
    card: dict[str, Any] = json.loads(Path("card.json").read_text())
    return card


def test_a_card_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    """The model is hashed and scanned, and the card goes to standard output."""
    assert run("make", "info.toml", "--model", "model.safetensors") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["security_review"]["hash_verified"] is True
    assert card["security_review"]["format_safe"] is True
    assert card["training_date"] == "2026-01-15"
    assert [one["check"] for one in card["receipts"]] == ["hash", "scan"]


def test_a_card_without_a_model() -> None:
    """Nothing was checked, and the card says so."""
    review = made()["security_review"]
    assert review["hash_verified"] is None
    assert review["format_safe"] is None


def test_a_failed_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The card is written, says what is wrong, and the exit code says it too."""
    weights(folder / "model.safetensors", 9)
    arguments = ("make", "info.toml", "--model", "model.safetensors", "--output", "card.json")
    assert run(*arguments) == 1
    assert "a check failed" in capsys.readouterr().err
    assert json.loads(Path("card.json").read_text())["security_review"]["hash_verified"] is False


def test_a_folder(folder: Path) -> None:
    """The digest of a folder is the one that ``modelsec digest`` prints."""
    folder_of_weights(folder / "model")
    digest = made("--model", "model")["receipts"][0]["digest"]
    assert check_integrity(folder / "model", digest).verified
    assert [one["check"] for one in made("--model", "model", "--no-scan")["receipts"]] == ["hash"]


def test_a_signature(capsys: pytest.CaptureFixture[str]) -> None:
    """A signature that verifies leaves a receipt; one by a stranger stops the card."""
    assert main(["sign", "model.safetensors", "--key", "ann.pem", "--signature", "m.sig"]) == 0
    signed = ("--model", "model.safetensors", "--signature", "m.sig")
    card = made(*signed, "--key", "ann.pub.pem")
    assert [one["check"] for one in card["receipts"]] == ["hash", "scan", "signature"]
    Path("card.json").unlink()
    for code, wrong in (
        (1, (*signed, "--key", "eve.pub.pem")),
        (2, signed),
        (2, ("--signature", "m.sig", "--key", "ann.pub.pem")),
        (2, (*signed, "--root", "ann.pub.pem")),
        (2, (*signed, "--key", "ann.pub.pem", "--secret-file", "ann.pem")),
    ):
        assert run("make", "info.toml", "--output", "card.json", *wrong) == code
        assert capsys.readouterr().err
        assert not Path("card.json").exists()


def test_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """README, bill of materials in both versions, and the outline."""
    assert run("make", "info.toml", "--format", "markdown") == 0
    assert card_problems(capsys.readouterr().out) == ()
    for version in ("1.6", "1.7"):
        assert run("make", "info.toml", "--format", "cyclonedx", "--spec-version", version) == 0
        text = capsys.readouterr().out
        schema = SchemaVersion[f"V{version.replace('.', '_')}"]
        assert JsonStrictValidator(schema).validate_str(text) is None
    assert run("make", "info.toml", "--format", "annex-iv") == 0
    assert "not an Annex IV file" in capsys.readouterr().out


def test_information_as_json() -> None:
    """JSON is read as well as TOML."""
    Path("info.json").write_text(json.dumps(LESSON))
    assert run("make", "info.json", "--output", "card.json") == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("info.toml", b"name = ", "is no TOML"),
        ("info.toml", b"\xff", "is no TOML"),
        ("info.toml", b'name = "a"', "version: Field required"),
        ("info.json", b"[]", "no JSON object"),
        ("info.json", b'{"name": 1, "name": 2}', "name"),
        ("info.txt", b"", ".toml or .json"),
        ("info.toml", None, "cannot open"),
    ],
)
def test_bad_information(
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    said: str,
) -> None:
    """A refusal says what is wrong, and writes nothing."""
    Path("info.toml").unlink()
    if content is not None:
        Path(name).write_bytes(content)
    assert run("make", name, "--output", "card.json") == 2
    assert said in capsys.readouterr().err
    assert not Path("card.json").exists()


def test_approving_and_checking(capsys: pytest.CaptureFixture[str]) -> None:
    """A card is approved by a key, and checked against the keys that are trusted."""
    made("--model", "model.safetensors")
    who = ("--key", "ann.pem", "--approver", "Ann", "--model", "model.safetensors")
    assert run("approve", "card.json", *who, "--conditions", "behind the gate") == 0
    assert "approved: card" in capsys.readouterr().out
    trusted = ("--key", "eve.pub.pem", "--key", "ann.pub.pem")
    assert run("check", "card.json", *trusted, "--model", "model.safetensors") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["approved"] is True
    assert told["model"] == "is that of the card"
    assert told["approver"] == "Ann"
    assert told["conditions"] == "behind the gate"
    assert run("check", "card.json", "--key", "eve.pub.pem") == 1
    assert "not among the trusted" in capsys.readouterr().err


def test_a_key_set() -> None:
    """Keys with validity say who may decide."""
    made("--model", "model.safetensors")
    assert run("approve", "card.json", "--key", "ann.pem", "--approver", "Ann") == 0
    Path("keys.toml").write_text('[[key]]\nfile = "ann.pub.pem"\n')
    assert run("check", "card.json", "--key-set", "keys.toml") == 0
    Path("keys.toml").write_text('[[key]]\nfile = "ann.pub.pem"\nrevoked = true\n')
    assert run("check", "card.json", "--key-set", "keys.toml") == 1
    assert run("check", "card.json") == 2


def test_an_edited_card(capsys: pytest.CaptureFixture[str]) -> None:
    """The approval of a card is none of an edited one."""
    card = made("--model", "model.safetensors")
    assert run("approve", "card.json", "--key", "ann.pem", "--approver", "Ann") == 0
    Path("card.json").write_text(json.dumps(card | {"known_limitations": []}))
    assert run("check", "card.json", "--key", "ann.pub.pem") == 1
    assert "changed after the decision" in capsys.readouterr().err


def test_another_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the model at hand, the card must be about it."""
    made("--model", "model.safetensors")
    assert run("approve", "card.json", "--key", "ann.pem", "--approver", "Ann") == 0
    weights(folder / "model.safetensors", 9)
    for action in (
        ("approve", "--key", "ann.pem", "--approver", "A"),
        ("check", "--key", "ann.pub.pem"),
    ):
        verb, *rest = action
        assert run(verb, "card.json", *rest, "--model", "model.safetensors") == 1
        assert "is not the model of this card" in capsys.readouterr().err


def test_a_rejection(capsys: pytest.CaptureFixture[str]) -> None:
    """A signed no is no approval."""
    made()
    assert run("approve", "card.json", "--key", "ann.pem", "--approver", "A", "--reject") == 0
    capsys.readouterr()
    assert run("check", "card.json", "--key", "ann.pub.pem") == 1
    assert json.loads(capsys.readouterr().out)["approved"] is False


def test_an_unchecked_card(capsys: pytest.CaptureFixture[str]) -> None:
    """It is approved only with a reason; an expiry in the past is refused."""
    made()
    approve = ("approve", "card.json", "--key", "ann.pem", "--approver", "Ann")
    assert run(*approve) == 2
    assert "despite" in capsys.readouterr().err
    assert not Path("card.json.approval").exists()
    assert run(*approve, "--despite", "a demo", "--not-after", "2001-01-01T00:00:00Z") == 2
    assert run(*approve, "--despite", "a demo", "--output", "a.json") == 0
    assert run("check", "card.json", "--key", "ann.pub.pem", "--approval", "a.json") == 0


@pytest.mark.parametrize(
    "arguments",
    [(), ("make",), ("approve", "card.json"), ("make", "i.toml", "--spec-version", "1.5")],
    ids=str,
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Wrong usage exits with 2."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


UNCLAIMED = TOML.format(hash="").replace('hash = ""\n', "")
ANN = ("--key", "ann.pem", "--approver", "Ann")


def test_what_make_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines on success: where the card is, and what was checked."""
    made("--model", "model.safetensors")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("written: ")
    assert second == "hash verified: yes; format safe: yes; receipts: hash, scan"


def test_what_approve_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Before it signs: which card, and what was checked; and that no model was compared."""
    made("--model", "model.safetensors")
    digest = read_card(Path("card.json").read_bytes()).digest
    capsys.readouterr()
    assert run("approve", "card.json", *ANN) == 0
    told = capsys.readouterr()
    for said in ("sentiment 1.2.0", digest, "format safe: yes", "receipts: hash, scan"):
        assert said in told.out
    assert "model: not compared" in told.err
    assert run("check", "card.json", "--key", "ann.pub.pem") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["model"] == "not compared"
    assert "model: not compared" in told.err


def test_a_card_that_lies_about_its_scan(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the model at hand it is scanned again before anybody signs."""
    bad = folder / "model.pkl"
    bad.write_bytes(pickle.dumps(print))
    Path("info.toml").write_text(TOML.format(hash=file_digest(bad)))
    card = made("--model", "model.pkl")
    assert card["security_review"]["format_safe"] is False
    card["security_review"]["format_safe"] = True
    next(one for one in card["receipts"] if one["check"] == "scan")["safe"] = True
    Path("card.json").write_text(json.dumps(card))
    assert run("approve", "card.json", *ANN, "--model", "model.pkl") == 1
    assert "scanned now" in capsys.readouterr().err
    assert not Path("card.json.approval").exists()


def test_a_signature_inside_the_model(folder: Path) -> None:
    """It stays out of the digest, in the card, when approving, and when checking."""
    folder_of_weights(folder / "model")
    Path("info.toml").write_text(UNCLAIMED)
    assert main(["sign", "model", "--key", "ann.pem", "--signature", "model/model.sig"]) == 0
    card = made("--model", "model", "--signature", "model/model.sig", "--key", "ann.pub.pem")
    assert card["receipts"][0]["left_out"][0]["name"] == "model.sig"
    assert run("approve", "card.json", *ANN, "--model", "model") == 0
    assert run("check", "card.json", "--key", "ann.pub.pem", "--model", "model") == 0
    (folder / "model" / "model.sig").write_bytes(pickle.dumps(print))
    assert run("check", "card.json", "--key", "ann.pub.pem", "--model", "model") == 1


def test_a_card_inside_its_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card is not written where it would change the model that it is about."""
    folder_of_weights(folder / "model")
    for output in ("model/README.md", "model/sub/../card.json", "model"):
        assert run("make", "info.toml", "--model", "model", "--output", output) == 2
        assert "beside the model, or before signing" in capsys.readouterr().err
    assert run("make", "info.toml", "--model", "model.safetensors", "--output", "README.md") == 0


def test_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    """A card that was made before is shown in every form, with its verified decision."""
    made("--model", "model.safetensors")
    assert run("approve", "card.json", *ANN) == 0
    verified = ("--approval", "card.json.approval", "--key", "ann.pub.pem")
    capsys.readouterr()
    assert run("render", "card.json", *verified) == 0
    assert "| approved | True |" in capsys.readouterr().out
    for form in ("json", "cyclonedx", "annex-iv"):
        assert run("render", "card.json", "--format", form, "--output", form) == 0
    assert json.loads(Path("json").read_text()) == json.loads(Path("card.json").read_text())
    assert (
        JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path("cyclonedx").read_text()) is None
    )
    assert run("render", "card.json", *verified[:2], "--key", "eve.pub.pem") == 1
    assert run("render", "card.json", *verified[:2]) == 2
    assert run("render", "card.json", *verified[2:]) == 2


def test_a_decision_that_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that says of itself that it is approved is warned of."""
    card = made("--model", "model.safetensors")
    card["deployment_approval"] = {"approved": True, "approver": "the board"}
    Path("card.json").write_text(json.dumps(card))
    assert run("render", "card.json") == 0
    told = capsys.readouterr()
    assert "counts for nothing" in told.err
    assert "the board" not in told.out


def test_a_later_rejection(capsys: pytest.CaptureFixture[str]) -> None:
    """All decisions that are named count; an environment is part of one."""
    made("--model", "model.safetensors")
    assert run("approve", "card.json", *ANN, "--environment", "staging") == 0
    assert run("approve", "card.json", *ANN, "--reject") == 2
    assert "--replace" in capsys.readouterr().err
    assert run("approve", "card.json", *ANN, "--reject", "--output", "no") == 0
    trusted = ("--key", "ann.pub.pem", "--environment", "staging")
    assert run("check", "card.json", *trusted) == 0
    both = ("--approval", "no", "--approval", "card.json.approval")
    assert run("check", "card.json", *trusted, *both) == 1
    assert run("check", "card.json", "--key", "ann.pub.pem") == 1
    assert run("approve", "card.json", *ANN, "--replace") == 0


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("info.toml", b"#" * (1 << 20) + b"\n", "too large"),
        ("info.toml", b"a" + b".a" * 600 + b" = 1", "dots"),
        ("info.toml", b'name = "a"', 'e.g. version = "1.2.0"'),
    ],
    ids=["long", "dots", "example"],
)
def test_costly_information(
    name: str, raw: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would cost too much is refused before it is parsed; what is missing has an example."""
    Path(name).write_bytes(raw)
    assert run("make", name) == 2
    assert said in capsys.readouterr().err
