from pathlib import Path

from modelsec.provenance.cards.annex_iv import HEADINGS, annex_iv_outline
from modelsec.provenance.cards.card import make_card
from modelsec.provenance.cards.card_info import CardInfo
from modelsec.provenance.integrity import file_digest
from tests.provenance.cards.samples import FULL, LESSON, NOW, weights


def test_the_nine_headings() -> None:
    """Annex IV has nine headings; each asks for fields that exist, and for more than a card."""
    assert [heading.number for heading in HEADINGS] == list(range(1, 10))
    for heading in HEADINGS:
        assert heading.beyond
        assert heading.fields
        assert set(heading.fields) <= set(CardInfo.model_fields)
        assert set(heading.receipts) <= {"hash", "scan", "signature"}


def test_what_a_full_card_says() -> None:
    """With every field there is nothing missing, and still nothing checked."""
    outline = annex_iv_outline(make_card(FULL, now=NOW))
    assert all(not line.missing for line in outline.headings)
    assert all(not line.checked for line in outline.headings)
    assert outline.headings[0].unchecked == ("hash",)


def test_what_the_lesson_does_not_say(tmp_path: Path) -> None:
    """The lesson's keys leave most headings empty, and the outline says which."""
    path = weights(tmp_path / "m.safetensors")
    card = make_card({**LESSON, "hash": file_digest(path)}, now=NOW, path=path)
    lines = {line.heading.number: line for line in annex_iv_outline(card).headings}
    assert lines[1].present == ("name", "version", "source", "format")
    assert lines[1].checked == ("hash",)
    assert lines[2].checked == ("scan",)
    assert lines[2].unchecked == ("signature",)
    assert [number for number, line in lines.items() if not line.present] == [5, 7, 8, 9]
    assert lines[9].missing == ("post_market_monitoring",)


def test_it_is_no_annex_iv_file() -> None:
    """Both forms say what they are not, and neither names a date."""
    outline = annex_iv_outline(make_card(FULL, now=NOW))
    told = outline.to_dict()
    assert "not an Annex IV file" in str(told["note"])
    assert len(told["headings"]) == 9  # type: ignore[arg-type]
    text = outline.to_markdown()
    assert "not an Annex IV file" in text
    assert "202" not in text.replace(outline.card, "")
    assert outline.card in text
    assert outline.model == told["model"] == "sentiment 1.2.0"
    assert text.count("\n|") == 11


def test_a_failed_check(tmp_path: Path) -> None:
    """A check that failed is told as failed, in both forms."""
    card = make_card(LESSON, now=NOW, path=weights(tmp_path / "m.safetensors"))
    outline = annex_iv_outline(card)
    assert outline.headings[0].failed == ("hash",)
    assert outline.headings[0].checked == ()
    assert "| nothing | `hash` |" in outline.to_markdown()
