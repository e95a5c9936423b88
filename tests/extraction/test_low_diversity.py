"""Repeats, near-duplicates and templates are found in any script; human chat is left alone."""

import random
import statistics
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.extraction import parse_request
from modelsec.extraction.signals import LowDiversity
from modelsec.protocols import Window
from modelsec.text import KeyedFingerprints
from tests.extraction.corpus import CHATS, ENGLISH, GRIDS, grid
from tests.extraction.support import START, chat, detector, diversity_scores

SECRETS = [b"secret number %04d" % number for number in range(40)]
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
SPACES = " \t\n\u00a0\u2003\u3000"


def levels(texts: list[str], secrets: int) -> list[float]:
    """Return the score of the last text, under several secrets."""
    return [diversity_scores(texts, secret)[-1] for secret in SECRETS[:secrets]]


@pytest.mark.parametrize("repeats", [10, 13, 32, 33, 57, 100, 130])
@pytest.mark.parametrize("text", ["", "hi", "请问一下", ENGLISH[0], "long " * 3_000])
def test_exact_repeats(text: str, repeats: int) -> None:
    """N equal inputs score exactly 1 - 1/n, n up to 100."""
    scores = diversity_scores([text] * repeats)
    assert scores[-1] == pytest.approx(1 - 1 / min(repeats, 100))


def test_the_memory_is_100_inputs() -> None:
    """After a hundred varied inputs, nothing of earlier repeats is left."""
    scores = diversity_scores(["the same old question, again"] * 50 + list(ENGLISH[:100]))
    assert scores[49] > 0.95
    assert scores[-1] < 0.2


@pytest.mark.parametrize("kinds", [1, 2, 4, 8])
def test_diversity_counts_kinds(kinds: int) -> None:
    """For k kinds of input, equally often, the score is about 1 - k/n."""
    texts = [ENGLISH[7 * (number % kinds)] for number in range(32)]
    assert diversity_scores(texts)[-1] == pytest.approx(1 - kinds / 32, abs=0.04)


@pytest.mark.parametrize("script", CHATS)
def test_human_chat_is_diverse(script: str) -> None:
    """Varied chat scores below .1 on average over secrets, and below .35 at its worst moment."""
    running = [max(diversity_scores(CHATS[script], secret)) for secret in SECRETS[:12]]
    final = levels(list(CHATS[script]), 12)
    assert statistics.mean(final) < 0.1
    assert max(running) < 0.35


def test_mixed_languages_are_diverse() -> None:
    """So does chat that changes languages."""
    lines = [line for chats in CHATS.values() for line in chats[:30]]
    random.Random(5).shuffle(lines)  # noqa: S311
    assert statistics.mean(levels(lines, 12)) < 0.1


@pytest.mark.parametrize("family", GRIDS)
def test_template_grids_score_high(family: str) -> None:
    """Each family of templates scores above .65 at 20 inputs, .8 at 40 and .9 at 100 (means)."""
    runs = [diversity_scores(grid(family, 100), secret) for secret in SECRETS[:8]]
    for inputs, level in ((20, 0.65), (40, 0.8), (100, 0.9)):
        assert statistics.mean(run[inputs - 1] for run in runs) > level


@pytest.mark.parametrize("number", [2, 3, 5])
def test_interleaved_grids_score_high(number: int) -> None:
    """Several templates dealt out in turn score above .85 at 100 inputs."""
    families = random.Random(number).sample(sorted(GRIDS), number)  # noqa: S311
    rows = [grid(family, 100) for family in families]
    texts = [rows[index % number][index // number] for index in range(100)]
    assert statistics.mean(levels(texts, 12)) > 0.85


def test_a_grid_inside_chat_shows_in_part() -> None:
    """Half a grid, half chat: the score lies between, so padding dilutes but does not hide."""
    texts = [line for pair in zip(grid("arithmetic", 50), ENGLISH, strict=False) for line in pair]
    assert 0.35 < statistics.mean(levels(texts, 12)) < 0.65


@pytest.mark.parametrize("shape", ["completion", "responses", "parts", "conversation", "system"])
def test_the_shape_of_the_body_does_not_matter(shape: str) -> None:
    """A grid scores the same as a chat, completion, responses body or in a conversation."""
    texts = grid("review-sentiment", 40)
    watching = detector(weights={"low_diversity": 1.0})
    for index, text in enumerate(texts):
        user = {"role": "user", "content": text}
        body = {
            "completion": {"prompt": text},
            "responses": {"input": [user]},
            "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
            "conversation": {
                "messages": [
                    *[{"role": "user", "content": texts[index - 1]}] * (index > 0),
                    {"role": "assistant", "content": ENGLISH[index]},
                    user,
                ]
            },
            "system": {"messages": [{"role": "system", "content": ENGLISH[index]}, user]},
        }[shape]
        score = watching.analyze_request("a", body, START + index).scores["low_diversity"]
    assert score == diversity_scores(texts)[-1]


@pytest.mark.parametrize("script", CHATS)
@given(data=st.data())
def test_variations_of_one_text_are_repeats(script: str, data: st.DataObject) -> None:
    """Case, spacing, invisible characters and Unicode forms make no new input."""
    text = data.draw(st.sampled_from(CHATS[script]))
    varied = "".join(
        (
            data.draw(st.sampled_from(SPACES)) * data.draw(st.integers(1, 3))
            if character == " "
            else character
        )
        + (data.draw(st.sampled_from(INVISIBLE)) if data.draw(st.booleans()) else "")
        for character in text
    )
    if script in {"english", "russian"} and data.draw(st.booleans()):
        varied = varied.upper()
    if script == "english" and data.draw(st.booleans()):
        varied = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in varied)
    form = data.draw(st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    fingerprints = KeyedFingerprints(bytes(32))
    one = parse_request(chat(text), fingerprints)
    other = parse_request(chat(unicodedata.normalize(form, varied)), fingerprints)
    assert other.text == one.text
    assert other.sketch() == one.sketch()


def test_near_duplicates_score_high() -> None:
    """Another number, name, ending or typing error in a sentence makes no new kind of input."""
    text = "please translate the following customer review into french and keep the tone of it"
    position = random.Random(3)  # noqa: S311
    varied = []
    for number in range(40):
        place = position.randrange(len(text))
        varied.append(
            (text[:place] + "x" + text[place + 1 :], text + "!" * number, f"{text} {number}")[
                number % 3
            ]
        )
    assert statistics.mean(levels(varied, 12)) > 0.9


@pytest.mark.parametrize("family", ["arithmetic", "chinese-story", "uses-of-a-thing"])
def test_the_secret_decides_nothing(family: str) -> None:
    """Over 40 secrets the score of a grid varies by a few hundredths only."""
    scores = levels(grid(family, 60), 40)
    assert statistics.stdev(scores) < 0.06
    assert len({round(score, 6) for score in scores}) > 5


def test_the_secret_decides_nothing_for_chat() -> None:
    """The same for chat."""
    assert statistics.stdev(levels(list(ENGLISH[:60]), 40)) < 0.05


def test_two_detectors_with_one_secret_agree() -> None:
    """The score is a function of texts and secret: nothing random is in it."""
    assert diversity_scores(ENGLISH[:40]) == diversity_scores(ENGLISH[:40])


def test_images_are_told_apart() -> None:
    """Of inputs that differ in their image only, the image counts."""

    def picture(number: int) -> dict[str, object]:
        data = random.Random(number).randbytes(60).hex()  # noqa: S311
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, image]}]}

    watching = detector(weights={"low_diversity": 1.0})
    for number in range(30):
        score = watching.analyze_request("a", picture(number), START).scores["low_diversity"]
    assert score < 0.2
    for _ in range(100):
        score = watching.analyze_request("a", picture(0), START).scores["low_diversity"]
    assert score > 0.95


def test_history_is_no_input() -> None:
    """A growing conversation repeats its past in every request, and is diverse all the same."""
    for field in ("messages", "input"):
        watching = detector(weights={"low_diversity": 1.0})
        turns: list[dict[str, str]] = [{"role": "system", "content": "You are kind. " * 50}]
        for index, line in enumerate(ENGLISH[:40]):
            turns.append({"role": "user", "content": line})
            found = watching.analyze_request("a", {field: list(turns)}, START + index)
            turns.append({"role": "assistant", "content": ENGLISH[-index]})
        assert found.scores["low_diversity"] < 0.2


@given(st.lists(st.integers(0, 2**32 - 1), max_size=100))
def test_any_window_has_a_score(sketches: list[int]) -> None:
    """Whatever sketches are stored, the score is a number from 0 to .99."""
    scorer = LowDiversity()
    request = parse_request({}, KeyedFingerprints(bytes(32)))
    signal = scorer.score(Window(request, len(sketches), 0.0, {"sketches": sketches}))
    assert 0.0 <= signal.score <= 0.99
    assert (signal.score == 0.0) or len(sketches) >= 10
