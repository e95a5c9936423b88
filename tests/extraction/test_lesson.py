"""The source lesson fixes names, weights, thresholds and the keys of the result."""

import itertools
import json
import math

import pytest

from modelsec import DetectionPolicy, MemoryStore, ModelTheftDetector, Weighted
from modelsec.extraction import DEFAULT_WEIGHTS
from tests.extraction.support import SECRET, START, always, chat, detector

LOUD = {"logprobs": True, "top_logprobs": 5, "temperature": 0, "max_tokens": 1}


def test_default_weights() -> None:
    """Five signals are on by default, with the lesson's weights, which sum to 1."""
    assert dict(DEFAULT_WEIGHTS) == {
        "velocity": 0.30,
        "logprobs": 0.25,
        "deterministic": 0.15,
        "short_response": 0.10,
        "low_diversity": 0.20,
    }
    assert dict(DetectionPolicy().weights) == dict(DEFAULT_WEIGHTS)
    assert math.isclose(sum(DEFAULT_WEIGHTS.values()), 1.0)


def test_default_thresholds() -> None:
    """Degrade above .4, block above .7."""
    assert (DetectionPolicy().degrade_above, DetectionPolicy().block_above) == (0.4, 0.7)


@pytest.mark.parametrize(
    ("settings", "signal", "score"),
    [
        ({}, "logprobs", 0.0),
        ({"logprobs": True}, "logprobs", 0.8),
        ({"logprobs": 5}, "logprobs", 0.8),
        ({"top_logprobs": 3}, "logprobs", 0.8),
        ({"prompt_logprobs": 0}, "logprobs", 0.8),
        ({"include": ["message.output_text.logprobs"]}, "logprobs", 0.8),
        ({"logprobs": False, "top_logprobs": None}, "logprobs", 0.0),
        ({"logprobs": 0}, "logprobs", 0.0),
        ({"include": ["file_search_call.results"]}, "logprobs", 0.0),
        ({}, "deterministic", 0.0),
        ({"temperature": 0}, "deterministic", 1.0),
        ({"temperature": "0.0"}, "deterministic", 1.0),
        ({"temperature": 0.01}, "deterministic", 1.0),
        ({"temperature": 0.011}, "deterministic", 0.0),
        ({"temperature": -1}, "deterministic", 1.0),
        ({"temperature": 1.0, "top_k": 1}, "deterministic", 1.0),
        ({"temperature": 1.0, "top_k": 2}, "deterministic", 0.0),
        ({"temperature": 1.0, "top_p": 0.01}, "deterministic", 1.0),
        ({"temperature": 1.0, "top_p": 0.9}, "deterministic", 0.0),
        ({}, "short_response", 0.0),
        ({"max_tokens": 49}, "short_response", 0.6),
        ({"max_tokens": 50}, "short_response", 0.0),
        ({"max_completion_tokens": 49}, "short_response", 0.6),
        ({"max_completion_tokens": 50}, "short_response", 0.0),
        ({"max_output_tokens": 49}, "short_response", 0.6),
        ({"max_tokens": 1_000, "max_completion_tokens": 10}, "short_response", 0.6),
    ],
)
def test_signals_of_one_request(settings: dict[str, object], signal: str, score: float) -> None:
    """Logprobs gives .8, greedy decoding 1, a limit below 50 tokens .6; else they give 0."""
    assessment = detector().analyze_request("alice", chat(**settings), START)
    assert assessment.scores[signal] == score


def test_completions_give_the_chosen_token_for_logprobs_0() -> None:
    """In a completion body ``logprobs: 0`` asks for log-probabilities, in a chat it does not."""
    completion = detector().analyze_request("alice", {"prompt": "Hi", "logprobs": 0}, START)
    assert completion.scores["logprobs"] == 0.8


def test_velocity_counts_this_call() -> None:
    """The first request of a minute scores .01, the hundredth 1, and more do not exceed it."""
    watching = detector()
    scores = [
        watching.analyze_request("alice", chat(), START + number / 10).scores["velocity"]
        for number in range(105)
    ]
    assert scores[0] == 0.01
    assert scores[41] == 0.42
    assert scores[98] == 0.99
    assert scores[99:] == [1.0] * 6


def test_low_diversity_begins_with_ten_inputs() -> None:
    """Nine equal inputs say nothing yet, ten of them score .9."""
    watching = detector()
    scores = [
        watching.analyze_request("alice", chat("same"), START + number).scores["low_diversity"]
        for number in range(10)
    ]
    assert scores[:9] == [0.0] * 9
    assert scores[9] == pytest.approx(0.9)


def test_the_score_is_the_weighted_sum() -> None:
    """The extraction score is the sum of weight times score over the signals."""
    for chosen in itertools.product([False, True], repeat=4):
        settings = {k: v for (k, v), on in zip(LOUD.items(), chosen, strict=True) if on}
        assessment = detector().analyze_request("alice", chat(**settings), START)
        total = sum(DEFAULT_WEIGHTS[name] * score for name, score in assessment.scores.items())
        assert assessment.extraction_score == pytest.approx(total)
        assert assessment.weights == DEFAULT_WEIGHTS


@pytest.mark.parametrize(
    ("score", "action"),
    [
        (0.0, "allow"),
        (0.4, "allow"),
        (math.nextafter(0.4, 1), "degrade"),
        (0.7, "degrade"),
        (math.nextafter(0.7, 1), "block"),
        (1.0, "block"),
    ],
)
def test_thresholds_are_strict(score: float, action: str) -> None:
    """A score at a threshold stays below the action, the next number above it triggers it."""
    watching = detector(Weighted(always(score), 1.0), weights={"logprobs": 1.0})
    assessment = watching.analyze_request("alice", chat(), START)
    assert assessment.extraction_score == score
    assert assessment.action == action


def test_an_attack_is_blocked() -> None:
    """A loud grid at full speed reaches block, which the lesson's own code never could."""
    watching = detector()
    actions = [
        watching.analyze_request(
            "mallory", chat("The capital of X is", **LOUD), START + n / 5
        ).action
        for n in range(100)
    ]
    assert actions[0] == "degrade"
    assert actions[-1] == "block"
    assert actions == sorted(actions, key=["allow", "degrade", "block"].index)


def test_weights_beyond_one_are_capped() -> None:
    """However large the weights, the score does not exceed 1."""
    watching = detector(Weighted(always(1.0), 1e308), weights={"logprobs": 1e308})
    assessment = watching.analyze_request("alice", chat(logprobs=True), START)
    assert assessment.extraction_score == 1.0
    assert assessment.action == "block"


@pytest.mark.parametrize(("settings", "action"), [({}, "allow"), (LOUD, "degrade")])
def test_to_dict_holds_the_lessons_keys(settings: dict[str, object], action: str) -> None:
    """to_dict() has action, extraction_score to 3 digits, scores and reason, and is JSON."""
    assessment = detector().analyze_request("alice", chat(**settings), START)
    plain = json.loads(json.dumps(assessment.to_dict(), allow_nan=False))
    assert plain["action"] == action
    assert plain["extraction_score"] == round(assessment.extraction_score, 3)
    assert plain["scores"] == assessment.scores
    assert set(plain["scores"]) == set(DEFAULT_WEIGHTS)
    assert bool(plain["reason"]) == (action != "allow")


def test_rounding() -> None:
    """extraction_score is rounded in to_dict() only."""
    watching = detector(Weighted(always(0.123456), 1.0), weights={"logprobs": 1.0})
    assessment = watching.analyze_request("alice", chat(), START)
    assert assessment.extraction_score == 0.123456
    assert assessment.to_dict()["extraction_score"] == 0.123


def test_a_block_says_why() -> None:
    """The reason of a block names model extraction, as the lesson's does."""
    watching = detector(Weighted(always(1.0), 1.0), weights={"logprobs": 1.0})
    blocked = watching.analyze_request("alice", chat(), START)
    assert blocked.to_dict()["reason"] == "Suspected model extraction attack"


async def test_the_front_door_is_asynchronous() -> None:
    """ModelTheftDetector.analyze_request is awaited and says the same as its synchronous twin."""
    awaited = ModelTheftDetector(MemoryStore(), secret=SECRET)
    called = detector()
    for number in range(30):
        body = chat("One of two" if number % 2 else "The other", **LOUD)
        now = START + number / 3
        assert await awaited.analyze_request("alice", body, now) == called.analyze_request(
            "alice", body, now
        )


def test_requests_seen_and_accounts_are_apart() -> None:
    """Each account has its own count and its own past."""
    watching = detector()
    for number in range(12):
        watching.analyze_request("alice", chat("same"), START + number)
    bob = watching.analyze_request("bob", chat("same"), START + 12)
    alice = watching.analyze_request("alice", chat("same"), START + 12)
    assert (alice.requests_seen, bob.requests_seen) == (13, 1)
    assert alice.scores["low_diversity"] > 0.9
    assert bob.scores["low_diversity"] == 0.0


def test_top_signal() -> None:
    """top_signal names the largest contribution, and nothing when nothing contributes."""
    weights = {"logprobs": 1.0, "deterministic": 0.1}
    watching = detector(weights=weights)
    assert watching.analyze_request("a", chat(), START).top_signal == ""
    both = watching.analyze_request("a", chat(logprobs=True, temperature=0), START)
    assert both.top_signal == "logprobs"


def test_idle_accounts_are_forgotten() -> None:
    """After retention_seconds of silence an account begins anew."""
    watching = detector(policy=DetectionPolicy(retention_seconds=3_600))
    watching.analyze_request("alice", chat(), START)
    assert watching.analyze_request("alice", chat(), START + 3_599).requests_seen == 2
    assert watching.analyze_request("alice", chat(), START + 3_599 + 3_600).requests_seen == 1
