import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from modelsec.errors import ConfigurationError
from modelsec.provenance.cards.annex_iv import annex_iv_outline
from modelsec.provenance.cards.approval import approve
from modelsec.provenance.cards.card import make_card
from modelsec.provenance.cards.card_document import read_card
from modelsec.provenance.cards.card_info import CardInfo
from modelsec.provenance.cards.card_markdown import card_to_markdown
from modelsec.provenance.cards.markdown_text import inline, paragraphs, table
from modelsec.provenance.cards.ml_bom import card_to_ml_bom
from modelsec.provenance.cards.readme_check import card_problems
from modelsec.provenance.integrity import file_digest
from modelsec.signing import PrivateKey, TrustedKeys, Verifier, sign
from tests.provenance.cards.samples import (
    FULL,
    HOSTILE_LINES,
    INFOS,
    LESSON,
    NOW,
    folder_of_weights,
    weights,
)

MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKUP = {"html_block", "html_inline", "link_open", "image", "code_inline", "fence", "em_open"}
MARKUP |= {"code_block", "hr", "strong_open", "blockquote_open", "ordered_list_open"}


def parts(readme: str) -> tuple[dict[str, Any], str]:
    """Split a README as a hub does."""
    found = re.match(r"---\n(.*?\n)??---\n", readme, re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1] or "{}"), readme[found.end() :]


def tokens(text: str) -> list[Token]:
    """Return the blocks of a text and what is within them."""
    blocks = MARKDOWN.parse(text)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def headings(text: str) -> list[str]:
    blocks = MARKDOWN.parse(text)
    return [
        blocks[place + 1].content
        for place, token in enumerate(blocks)
        if token.type == "heading_open" and token.tag != "h1"
    ]


def shown_text(text: str) -> str:
    """Return what a reader sees."""
    return "".join(
        "\n" if token.type in {"softbreak", "hardbreak"} else token.content
        for token in tokens(text)
        if token.type in {"text", "softbreak", "hardbreak", "text_special"}
    )


def test_the_front_matter() -> None:
    """A hub finds licence, languages, data, base models and results where it looks."""
    data, _ = parts(card_to_markdown(make_card(FULL, now=NOW)))
    assert data == {
        "license": "other",
        "license_name": "Apache-2.0 OR MIT",
        "language": ["en"],
        "tags": ["text", "sentiment"],
        "datasets": ["example/films"],
        "base_model": ["example/bert-small"],
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "model-index": [
            {
                "name": "sentiment",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {
                            "name": "example/films",
                            "type": "example/films",
                            "split": "test",
                        },
                        "metrics": [{"type": "accuracy", "value": 0.93, "name": "accuracy"}],
                    },
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": "example/films", "type": "example/films"},
                        "metrics": [{"type": "accuracy", "value": 0.8, "name": "accuracy, short"}],
                    },
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "front"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("GPL-3.0-only", {"license": "gpl-3.0"}),
        ("GPL-3.0-or-later", {"license": "other", "license_name": "GPL-3.0-or-later"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("llama3.1", {"license": "llama3.1"}),
        ("LicenseRef-ours", {"license": "other", "license_name": "LicenseRef-ours"}),
    ],
)
def test_what_the_hub_calls_a_licence(name: str, front: dict[str, str]) -> None:
    """A licence that the Hub has no name for keeps its own."""
    data, _ = parts(card_to_markdown(make_card({**LESSON, "license": name}, now=NOW)))
    assert data == front


def test_the_sections(tmp_path: Path) -> None:
    """Checks and decision come first, and say who says what."""
    path = weights(tmp_path / "model.safetensors")
    card = make_card({**FULL, "hash": file_digest(path)}, now=NOW, path=path)
    key = PrivateKey.generate()
    approval = approve(card, key, approver="Ann", now=NOW, conditions="behind the gate")
    _, text = parts(card_to_markdown(card.with_approval(approval, [key.public], NOW)))
    listed = headings(text)
    assert listed[:3] == ["Checks", "Deployment approval", "Origin"]
    assert {"Energy", "Human oversight", "Fairness", "Intended use"} <= set(listed)
    seen = shown_text(text)
    for said in ("hash verified", file_digest(path), "behind the gate", key.key_id, "not checked"):
        assert said in seen


def test_a_signed_model(tmp_path: Path) -> None:
    """A verified signature is told with its method and key; the outline counts it."""
    path = weights(tmp_path / "model.safetensors")
    key = PrivateKey.generate()
    sign(path, key, signature=tmp_path / "sig")
    receipt = Verifier(TrustedKeys([key.public]), clock=lambda: NOW).verify(path, tmp_path / "sig")
    info = {**LESSON, "hash": file_digest(path)}
    card = make_card(info, now=NOW, path=path, verification=receipt)
    seen = shown_text(parts(card_to_markdown(card))[1])
    assert f"key {key.key_id}, over {receipt.tree_digest}" in seen
    assert annex_iv_outline(card).headings[1].checked == ("scan", "signature")


def test_an_unchecked_card_says_so() -> None:
    """Nothing in the text of a card without a file says that something was verified."""
    _, text = parts(card_to_markdown(make_card(LESSON, now=NOW)))
    assert shown_text(text).count("not checked") >= 4
    assert "yes" not in shown_text(text)


@given(info=INFOS)
def test_nothing_breaks_out(info: dict[str, object]) -> None:
    """Whatever a field holds, headings, tables and front matter are those of the card."""
    card = make_card(info, now=NOW)
    readme = card_to_markdown(card)
    data, text = parts(readme)
    assert card_problems(readme) == ()
    assert set(data) <= {
        *("license", "license_name", "language", "tags", "datasets", "base_model"),
        *("library_name", "pipeline_tag", "model-index"),
    }
    assert data.get("tags", []) == list(card.info.tags)
    assert not {token.type for token in tokens(text)} & MARKUP
    harmless = CardInfo.read({key: plain(value, key) for key, value in info.items()})
    twin = parts(card_to_markdown(make_card(harmless, now=NOW)))[1]
    assert headings(text) == headings(twin)
    for kind in ("table_open", "tr_open", "td_open", "th_open", "bullet_list_open"):
        assert count(text, kind) == count(twin, kind)


FIXED = ("hash", "license", "url", "email", "activity", "source", "approach")


def plain(value: object, key: str = "") -> object:
    """Return the same information with harmless words."""
    if isinstance(value, dict):
        numbered = enumerate(value.items())
        named = key in {"metrics", "hyperparameters"}
        return {
            (f"n{number}" if named else name): plain(inner, name)
            for number, (name, inner) in numbered
        }
    if isinstance(value, list):
        return [
            f"w{number}" if isinstance(one, str) else plain(one)
            for number, one in enumerate(unique(value))
        ]
    if isinstance(value, str):
        return value if key in FIXED and key != "source" else "unknown" if key == "source" else "w"
    return value


def unique(values: list[Any]) -> list[Any]:
    """Drop equal texts, as a card does."""
    return list(dict.fromkeys(values)) if all(isinstance(one, str) for one in values) else values


def count(text: str, kind: str) -> int:
    return sum(token.type == kind for token in MARKDOWN.parse(text))


LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)


@given(text=LINES | HOSTILE_LINES)
@example(text="a\\|b")
@example(text="12. x")
@example(text="https://e.org/?a=b&amp;c")
def test_a_line_is_shown_as_it_is(text: str) -> None:
    """In a cell: one cell, no markup, and a reader sees the very characters."""
    rendered = MARKDOWN.parse(table(("a", "b"), [(text, "z")]))
    cells = [rendered[n + 1] for n, token in enumerate(rendered) if token.type == "td_open"]
    assert len(cells) == 2
    kinds = {child.type for child in cells[0].children or ()}
    assert kinds <= {"text", "text_special"}
    seen = "".join(child.content for child in cells[0].children or ())
    assert seen == " ".join(text.split()).strip()
    assert not re.search(r"(?i)(https?|ftp):|www\.", inline(text))


@given(lines=st.lists(LINES | HOSTILE_LINES, max_size=5))
def test_prose_stays_prose(lines: list[str]) -> None:
    """In a section: paragraphs, whatever its lines start with."""
    kinds = {token.type for token in tokens(paragraphs("\n".join(lines)))}
    assert kinds <= {
        *("paragraph_open", "paragraph_close", "inline", "text", "text_special"),
        "softbreak",
    }


@pytest.mark.parametrize(
    ("readme", "said"),
    [
        ("", "no front matter"),
        ("# title", "no front matter"),
        ("---\nlicense: mit\n", "does not end"),
        ("---\n[\n---\n", "no YAML"),
        ("---\n- a\n---\n", "no mapping"),
        ("---\nlicense: nonsense-license\n---\n", "nonsense-license"),
        ("---\nlicense: 3\n---\n", "no text"),
        ("---\nlicense: [mit, x]\n---\n", "'x'"),
        ("---\nlicense: other\n---\n", "license_name"),
        ("---\ntags: [a, {b: c}]\n---\n", "tags"),
        ("---\nmodel-index: 3\n---\n", "no list of models"),
        ("---\nmodel-index: [{}]\n---\n", "no name"),
        ("---\nmodel-index: [{name: a}]\n---\n", "no list of results"),
        ("---\nmodel-index: [{name: a, results: [3]}]\n---\n", "no mapping"),
        ("---\nmodel-index: [{name: a, results: [{}]}]\n---\n", "no task.type"),
        ("---\nmodel-index: [{name: a, results: [{metrics: [{}]}]}]\n---\n", "no type"),
        ("---\nmodel-index: [{name: a, results: [{metrics: [{type: b}]}]}]\n---\n", "no value"),
        ("---\na: &a 1\nb: *a\n---\n", "aliases"),
        ("---\na: 2026-99-99\n---\n", "cannot be read"),
        ("---\na: " + "[" * 5000 + "\n---\n", "nested"),
        ("---\n? [a]\n: b\n---\n", "no YAML"),
        ("---\na: !!python/object:os.system {}\n---\n", "no YAML"),
        ("---\n" + "a: b\n" * 300_000 + "---\n", "does not end within"),
        ("---\n\x00: b\n---\n", "no YAML"),
    ],
    ids=lambda value: f"{value!r:.45}" if "\n" not in value else None,
)
def test_what_is_wrong_with_a_readme(readme: str, said: str) -> None:
    """Each fault is told, without the network."""
    assert any(said in problem for problem in card_problems(readme))


def test_a_good_readme() -> None:
    """What a hub takes has no problems, Windows line ends included."""
    good = "---\r\nlicense: apache-2.0\r\ntags:\r\n- a\r\n---\r\n# Title\r\n"
    assert card_problems(good) == ()
    assert card_problems("---\n---\n") == ()
    with pytest.raises(ConfigurationError):
        card_problems(b"---\n---\n")  # type: ignore[arg-type]


@given(text=st.text(max_size=200))
def test_any_readme(text: str) -> None:
    """Whatever stands between the fences, there is an answer."""
    assert isinstance(card_problems(f"---\n{text}\n---\n"), tuple)


def test_without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"modelsec\[card\]"):
        card_to_markdown(make_card({**LESSON, "tags": ["a"]}, now=NOW))


def test_without_packaging(monkeypatch: pytest.MonkeyPatch) -> None:
    """A licence cannot be checked without the list; a card without one needs no extra."""
    monkeypatch.setitem(__import__("sys").modules, "packaging.licenses", None)
    make_card(LESSON, now=NOW)
    with pytest.raises(ConfigurationError, match=r"modelsec\[card\]"):
        make_card({**LESSON, "license": "mit"}, now=NOW)


def test_a_card_that_was_read(tmp_path: Path) -> None:
    """Its README, bill and outline are those of the card that was made."""
    path = weights(tmp_path / "model.safetensors")
    # A card that was read has the keys of its tables in order.
    ordered = dict(sorted(cast("dict[str, object]", FULL["hyperparameters"]).items()))
    info = {**FULL, "hash": file_digest(path), "hyperparameters": ordered}
    card = make_card(info, now=NOW, path=path)
    key = PrivateKey.generate()
    approval = approve(card, key, approver="Ann", now=NOW)
    made = card.with_approval(approval, [key.public], NOW)
    document = read_card(json.dumps(card.to_dict()).encode())
    read = document.with_approval(approval, [key.public], NOW)
    assert read.approved
    assert read.to_dict() == made.to_dict()
    assert card_to_markdown(read) == card_to_markdown(made)
    assert card_to_ml_bom(read) == card_to_ml_bom(made)
    assert annex_iv_outline(read) == annex_iv_outline(made)


def test_the_digest_of_a_folder(tmp_path: Path) -> None:
    """It is called a tree digest."""
    folder = folder_of_weights(tmp_path / "model")
    seen = shown_text(card_to_markdown(make_card(LESSON, now=NOW, path=folder)))
    assert "Tree digest (claimed)" in seen
    assert "SHA-256 (claimed)" not in seen
