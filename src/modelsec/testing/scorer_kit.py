"""A contract suite for signals: whoever writes one runs :func:`check_scorer` on it, as a test."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from modelsec.errors import ConfigurationError
from modelsec.events import ScorerFailed
from modelsec.extraction import (
    DetectionPolicy,
    SyncModelTheftDetector,
    Weighted,
    parse_request,
)
from modelsec.protocols import (
    Event,
    Feature,
    Gaps,
    InferenceRequest,
    Ring,
    Signal,
    SignalScorer,
    Window,
)
from modelsec.stores import MemoryStore
from modelsec.text import KeyedFingerprints

Body: TypeAlias = Mapping[str, object]

_SECRET = b"check_scorer " * 3
_FINGERPRINTS = KeyedFingerprints(_SECRET[:32])
_ORDINARY = 120
_QUOTED = 8
_DEPTH = 20_000
_STRIDE = 5
_FIELDS = (
    *("messages", "prompt", "input", "model", "user", "stop", "tools", "n", "best_of", "seed"),
    *("temperature", "top_p", "top_k", "max_tokens", "logprobs", "top_logprobs", "logit_bias"),
)


@dataclass(frozen=True)
class _Case:
    """A scorer and what it is tried on.

    Attributes:
        scorer: the scorer.
        marker: begins every prompt of the kit.
        given: bodies from the caller.
        ordinary: bodies as they should be.
        hostile: bodies as they should not be.
        untouched: a copy of the ordinary ones.
        first: what the scorer said when it saw each window for the first time.
    """

    scorer: SignalScorer
    marker: str
    given: Sequence[Body]
    ordinary: Sequence[Body]
    hostile: Sequence[Body]
    untouched: Sequence[Body]
    first: list[Signal] = field(default_factory=list)


def check_scorer(scorer: SignalScorer, *, requests: Iterable[Body] | None = None) -> None:
    """Hold a signal to the contract of :class:`~modelsec.protocols.SignalScorer`.

    It is fed ordinary and hostile requests, through a detector and by hand. The same scorer gets
    the same requests every time.

    Example:
        >>> from modelsec.extraction.signals import Velocity
        >>> from modelsec.testing import check_scorer
        >>> check_scorer(Velocity())

    Args:
        scorer: the signal.
        requests: bodies that matter to this signal, fed before the kit's own.

    Raises:
        AssertionError: the message names the clause that the scorer breaks, and how.
    """
    marker = "zq" + blake2b(str(getattr(scorer, "name", "")).encode(), digest_size=5).hexdigest()
    ordinary, hostile = list(_ordinary_bodies(marker)), list(_hostile_bodies(marker))
    case = _Case(scorer, marker, list(requests or ()), ordinary, hostile, deepcopy(ordinary))
    for clause in _CLAUSES:
        try:
            clause(case)
        except AssertionError as broken:
            fact = f"the scorer breaks the contract: {clause.__doc__}"
            raise AssertionError(f"{fact} But: {broken}") from broken.__cause__


def _it_has_the_shape(case: _Case) -> None:
    """A scorer has a name, a tuple of features and a method score."""
    try:
        Weighted(case.scorer, 1.0)
    except ConfigurationError as error:
        raise AssertionError(str(error)) from None
    first, second = ([(f.identity, f.limit) for f in case.scorer.remembers] for _ in range(2))
    _hold(first == second, "its features change")


def _it_fits_the_record(case: _Case) -> None:
    """The memory of a scorer is bounded and fits the record of an account."""
    try:
        _detector(case.scorer, [case.scorer], _Sink())
    except ConfigurationError as error:
        raise AssertionError(str(error)) from None


def _its_features_compute(case: _Case) -> None:
    """Features compute for any body, always the same value for the same body."""
    for body in (*case.given, *case.ordinary, *case.hostile):
        request = parse_request(body, _FINGERPRINTS)
        for feature in case.scorer.remembers:
            try:
                first, second = _added(feature, request), _added(feature, request)
            except Exception as error:
                raise AssertionError(
                    f"feature {feature.name!r} raised {type(error).__name__} on {_shown(body)}"
                ) from error
            _hold(first == second, f"feature {feature.name!r} varies on {_shown(body)}")


def _it_scores_every_window(case: _Case) -> None:
    """A score is a Signal from 0 to 1, for windows that are empty, filling up and full."""
    case.first.extend(_scored(case.scorer, window) for window in _all_windows(case))


def _it_is_pure(case: _Case) -> None:
    """The same window gives the same Signal, whatever came before, and stays as it was."""
    windows = _all_windows(case)
    past = [_values(window) for window in windows]
    again = [_scored(case.scorer, window) for window in reversed(windows)]
    _hold(case.ordinary == case.untouched, "it changed the body of a request")
    _hold(past == [_values(window) for window in windows], "it changed the values of a window")
    _hold(case.first == again[::-1], "it judged the same windows differently the second time")


def _it_quotes_no_prompt(case: _Case) -> None:
    """An explanation is a string without prompt text."""
    for window in _all_windows(case):
        explanation = _scored(case.scorer, window).explanation
        _hold(isinstance(explanation, str), f"{type(explanation).__name__} is no explanation")
        _hold(
            case.marker[:_QUOTED] not in explanation.casefold(),
            "an explanation quotes the beginning of a prompt",
        )


def _it_works_in_a_detector(case: _Case) -> None:
    """A detector gets a Signal for every request, and no ScorerFailed event."""
    sink = _Sink()
    _run(_detector(case.scorer, [case.scorer], sink), case)
    for failure in sink.failures:
        raise AssertionError(f"stage {failure.stage} failed: {failure.error}")


def _it_stands_alone(case: _Case) -> None:
    """Other scorers beside it, failing ones included, change nothing."""
    name = case.scorer.name
    alone = _run(_detector(case.scorer, [case.scorer], _Sink()), case)
    features = [feature.name for feature in case.scorer.remembers]
    before, after = _Companion("company_before", features), _Companion("company_after", [])
    try:
        detector = _detector(case.scorer, [before, case.scorer, after], _Sink())
    except ConfigurationError:  # the scorer leaves no room for another one's memory
        detector = _detector(case.scorer, [after, case.scorer], _Sink())
    together = _run(detector, case)
    _hold(
        [signals[name] for signals in alone] == [signals[name] for signals in together],
        "its signals differ in company",
    )


_CLAUSES: Sequence[Callable[[_Case], None]] = (
    _it_has_the_shape,
    _it_fits_the_record,
    _its_features_compute,
    _it_scores_every_window,
    _it_is_pure,
    _it_quotes_no_prompt,
    _it_works_in_a_detector,
    _it_stands_alone,
)


@dataclass
class _Sink:
    """Keeps the failures of scorers."""

    failures: list[ScorerFailed] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        if isinstance(event, ScorerFailed):
            self.failures.append(event)


@dataclass
class _Recorder:
    """Stands in for a scorer, to see the windows that it would be shown."""

    name: str
    remembers: tuple[Feature, ...]
    windows: list[Window] = field(default_factory=list)

    def score(self, window: Window) -> Signal:
        self.windows.append(window)
        return Signal(0.0)


class _Companion:
    """Another scorer: with memory of the same names, and out of order now and then."""

    def __init__(self, name: str, features: Sequence[str]) -> None:
        self.name = name
        self.remembers = tuple(Gaps(feature, length=2) for feature in features)

    def score(self, window: Window) -> Signal:
        if window.count % 3 == 0:
            raise RuntimeError
        return Signal(1.0)


def _detector(
    scorer: SignalScorer, scorers: Sequence[SignalScorer], sink: _Sink
) -> SyncModelTheftDetector:
    built_in = "logprobs" if scorer.name != "logprobs" else "deterministic"
    return SyncModelTheftDetector(
        MemoryStore(),
        policy=DetectionPolicy(weights={built_in: 1.0}),
        scorers=[Weighted(one, 1.0) for one in scorers],
        secret=_SECRET,
        sink=sink,
    )


def _run(detector: SyncModelTheftDetector, case: _Case) -> list[Mapping[str, Signal]]:
    return [
        detector.analyze_request("account", body, 1_000_000.0 + 0.7 * index).signals
        for index, body in enumerate(_stream(case))
    ]


def _stream(case: _Case) -> list[Body]:
    """Return requests enough to fill the longest memory, hostile ones in the middle."""
    half = len(case.ordinary) // 2
    stream = [*case.given, *case.ordinary[:half], *case.hostile, *case.ordinary[half:]]
    lengths = [f.length for f in case.scorer.remembers if isinstance(f, (Ring, Gaps))]
    while len(stream) <= max(lengths, default=0):
        stream += case.ordinary
    return stream


def _all_windows(case: _Case) -> list[Window]:
    """Return an empty window, and the window after each request of the stream."""
    recorder = _Recorder(case.scorer.name, tuple(case.scorer.remembers))
    _run(_detector(case.scorer, [recorder], _Sink()), case)
    nothing = {feature.name: feature.empty() for feature in recorder.remembers}
    return [
        Window(parse_request({}, _FINGERPRINTS), 1, 1_000_000.0, nothing),
        Window(parse_request(case.ordinary[-1], _FINGERPRINTS), 1, 1_000_000.0, nothing),
        *recorder.windows,
    ]


def _scored(scorer: SignalScorer, window: Window) -> Signal:
    where = f"the window of request {window.count}"
    try:
        signal: object = scorer.score(window)
    except Exception as error:
        raise AssertionError(f"it raised {type(error).__name__} on {where}") from error
    if not isinstance(signal, Signal):
        raise AssertionError(f"it returned {type(signal).__name__} for {where}, not a Signal")  # noqa: TRY004
    is_number = isinstance(signal.score, (int, float))
    _hold(
        is_number and math.isfinite(signal.score) and 0.0 <= signal.score <= 1.0,
        f"the score of {where} is {signal.score!r:.60}",
    )
    return signal


def _added(feature: Feature, request: InferenceRequest) -> object:
    value = feature.of(request)
    return None if value is None else feature.encode(value)  # type: ignore[arg-type]


def _values(window: Window) -> dict[str, object]:
    return {n: v if isinstance(v, float) else list(v) for n, v in window.values.items()}


def _hold(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not fact:
        raise AssertionError(otherwise)


def _shown(body: Body) -> str:
    fields = (f"{name}: {type(value).__name__}" for name, value in body.items())
    return f"a body of {{{', '.join(fields)}}}"


def _ordinary_bodies(marker: str) -> Iterator[Body]:
    topics = ("bread", "tides", "jazz", "rust", "owls", "chess", "Lisbon", "taxes", "ferns")
    verbs = ("explain", "translate", "summarise", "criticise", "rhyme", "outline", "quote")
    for index in range(_ORDINARY):
        topic, verb = topics[index % len(topics)], verbs[index % len(verbs)]
        text = f"{marker} {verb} something about {topic}, number {index}"
        turns = [
            {"role": "system", "content": f"{marker} be kind"},
            {"role": "user", "content": text},
        ]
        yield (
            {"messages": turns, "temperature": 0.7, "max_tokens": 300},
            {"messages": turns, "temperature": 0, "logprobs": True, "max_tokens": 1},
            {"prompt": text, "logprobs": 5, "echo": True, "n": 2, "stop": ["\n"]},
            {"input": text, "max_output_tokens": 20, "logit_bias": {"50256": -100}},
        )[index % 4]


def _hostile_bodies(marker: str) -> Iterator[Body]:
    deep: list[object] = []
    for _ in range(_DEPTH):
        deep = [deep]
    values: tuple[object, ...] = (
        *(None, True, -1, 10**400, math.nan, math.inf, "", f"{marker} text", "\ud800", "nan"),
        *(
            [],
            {},
            [None],
            [[1, 2], [3]],
            [{}],
            {"role": 1},
            deep,
            "\u0301" * 50_000,
            "ab " * 50_000,
        ),
    )
    yield {}
    for value in values:
        yield dict.fromkeys(_FIELDS, value)
        yield {"messages": [value, {"role": value, "content": value}]}
        yield {"messages": [{"role": "system", "content": value}, {"role": "user"}]}
        yield {"messages": [{"role": "user", "content": [value, {"type": "text", "text": value}]}]}
    for index, name in enumerate(_FIELDS):
        for value in values[index % _STRIDE :: _STRIDE]:
            yield {"messages": [{"role": "user", "content": marker}], name: value}
