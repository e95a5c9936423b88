"""The pure core of the detector: what to remember, and what to conclude.

``plan`` and ``conclude`` touch no store, no clock and no randomness; the shells in
:mod:`modelsec.extraction.detector` call the store in between, awaited or not.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from modelsec.errors import ConfigurationError, ScorerError, shown
from modelsec.events import DecisionTaken, ScorerFailed
from modelsec.extraction.assessment import REASONS, Action, Assessment
from modelsec.extraction.policy import DetectionPolicy
from modelsec.extraction.registry import Weighted, enabled_scorers
from modelsec.extraction.request import parse_request
from modelsec.keyed import Secret
from modelsec.protocols import (
    CellUpdate,
    Event,
    Feature,
    FeatureValue,
    InferenceRequest,
    Record,
    Remember,
    Signal,
    SignalScorer,
    Window,
)
from modelsec.protocols.features import cell_tag, cell_update, constant_update
from modelsec.protocols.store import MAX_TIME_S
from modelsec.stores.codec import CELL_OVERHEAD_BYTES, HEADER_BYTES
from modelsec.text import KeyedFingerprints

MAX_RECORD_BYTES = 4_096
"""Most bytes that the state of one account may take."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,64}\Z")


class Plan(NamedTuple):
    """One request on its way: what to ask of the store, and what to conclude from later.

    Attributes:
        user_id: whose request it is.
        request: the parsed request.
        operation: what the store shall remember.
        failed: scorers whose features could not be computed, as events.
    """

    user_id: str
    request: InferenceRequest
    operation: Remember
    failed: tuple[ScorerFailed, ...] = ()


class Verdict(NamedTuple):
    """An assessment and the events that go with it."""

    assessment: Assessment
    events: tuple[Event, ...]


class _Cell(NamedTuple):
    """A feature and its place in the record."""

    tag: bytes
    feature: Feature
    constant: CellUpdate | None


@dataclass(frozen=True, slots=True)
class _Seat:
    """One scorer at the bench, with the cells of its features."""

    scorer: SignalScorer
    name: str
    weight: float
    cells: tuple[_Cell, ...]

    @classmethod
    def of(cls, weighted: Weighted) -> "_Seat":
        """Make the seat of a scorer."""
        scorer = weighted.scorer
        tags = [cell_tag(scorer.name, feature) for feature in scorer.remembers]
        pairs = zip(tags, scorer.remembers, strict=True)
        cells = tuple(_Cell(tag, f, constant_update(tag, f)) for tag, f in pairs)
        return cls(scorer, scorer.name, weighted.weight, cells)

    def window(self, bare: Window, stored: Mapping[bytes, bytes]) -> Window:
        """Return the window with the scorer's own features in it."""
        values: dict[str, FeatureValue] = {}
        for tag, feature, _ in self.cells:
            raw = stored.get(tag)
            values[feature.name] = feature.empty() if raw is None else feature.decode(raw)
        return Window(bare.request, bare.count, bare.now, values)


class Judge:
    """Judges requests purely.

    Args:
        policy: weights and thresholds.
        scorers: scorers of the caller's own.
        secret: keys the fingerprints of texts and of unusual account names.

    Raises:
        ConfigurationError: scorers of one name, or more memory than an account may take.
        PluginError: a signal that the policy names cannot be loaded.
    """

    def __init__(
        self, policy: DetectionPolicy, scorers: Iterable[Weighted], secret: Secret
    ) -> None:
        self.policy = policy
        self._fallback = Signal(policy.scorer_fallback, "the scorer failed: fallback score")
        self._fingerprints = KeyedFingerprints(secret.subkey("extraction/fingerprints"))
        self._account_key = secret.subkey("extraction/accounts")
        self._seats = tuple(map(_Seat.of, enabled_scorers(policy, scorers)))
        if not self._seats:
            raise ConfigurationError("no signal is enabled: name some in weights, or pass scorers")
        self._weights = MappingProxyType({seat.name: seat.weight for seat in self._seats})
        _check_memory(self._seats)

    def plan(self, user_id: str, body: object, now: float | None) -> Plan:
        """Read a request and say what to remember of it.

        Args:
            user_id: the account; any non-empty string.
            body: OpenAI-style request body; anything else reads as an empty one.
            now: seconds since the Unix epoch; ``None``: the store's clock.

        Raises:
            ConfigurationError: an empty or non-string account, or an impossible time.
        """
        request = parse_request(body, self._fingerprints)
        cells: list[CellUpdate] = []
        failed: list[ScorerFailed] = []
        for seat in self._seats:
            try:
                for tag, feature, constant in seat.cells:
                    update = constant or cell_update(tag, feature, request)
                    if update is not None:
                        cells.append(update)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
                failed.append(self._failure(user_id, seat, "remember", error))
        operation = Remember(
            self.record_key(user_id),
            None if now is None else _milliseconds(now),
            self.policy.retention_seconds,
            MAX_RECORD_BYTES,
            tuple(cells),
        )
        return Plan(user_id, request, operation, tuple(failed))

    def conclude(self, plan: Plan, record: Record) -> Verdict:
        """Judge a request by the account's record, this request included."""
        now = record.last_ms / 1000
        stored = record.cells
        events: list[Event] = list(plan.failed)
        broken = {failure.signal for failure in plan.failed}
        bare = Window(plan.request, record.count, now, {})
        signals: dict[str, Signal] = {}
        score = 0.0
        for seat in self._seats:
            signal = None
            if seat.name not in broken:
                try:
                    window = bare if not seat.cells else seat.window(bare, stored)
                    signal = _checked(seat.name, seat.scorer.score(window))
                except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
                    events.append(self._failure(plan.user_id, seat, "score", error))
                    broken.add(seat.name)
            if signal is None:
                signal = self._fallback
            signals[seat.name] = signal
            score += seat.weight * signal.score
        score = min(score, 1.0)
        return self._verdict(plan, self.action(score), score, signals, record.count, events, broken)

    def without_record(self, plan: Plan, action: Action) -> Verdict:
        """Judge a request that the store did not serve: the action is the operator's choice.

        Signals of the request alone are still reported; the others are incomplete.
        """
        signals: dict[str, Signal] = {}
        incomplete = set()
        events: list[Event] = list(plan.failed)
        score = 0.0
        for seat in self._seats:
            if seat.cells:
                signal = Signal(0.0, "the store did not answer")
                incomplete.add(seat.name)
            else:
                try:
                    window = Window(plan.request, 0, 0.0, {})
                    signal = _checked(seat.name, seat.scorer.score(window))
                except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
                    events.append(self._failure(plan.user_id, seat, "score", error))
                    incomplete.add(seat.name)
                    signal = self._fallback
            signals[seat.name] = signal
            score += seat.weight * signal.score
        return self._verdict(plan, action, min(score, 1.0), signals, 0, events, incomplete)

    def action(self, score: float) -> Action:
        """Return what the policy does at an extraction score."""
        if score > self.policy.block_above:
            return "block"
        return "degrade" if score > self.policy.degrade_above else "allow"

    def record_key(self, user_id: str) -> str:
        """Return the store key of an account: its name if it is plain, else a keyed fingerprint.

        Raises:
            ConfigurationError: not a non-empty string.
        """
        if not isinstance(user_id, str) or not user_id:
            raise ConfigurationError(
                f"user_id must be a non-empty string, not {shown(user_id)}: "
                "every request needs an account to be counted on"
            )
        if _PLAIN_ID.match(user_id):
            return user_id
        data = user_id.encode("utf-8", "surrogatepass")
        return "#" + blake2b(data, key=self._account_key, digest_size=16).hexdigest()

    def _verdict(  # noqa: PLR0913, PLR0917 - the parts of an assessment
        self,
        plan: Plan,
        action: Action,
        score: float,
        signals: dict[str, Signal],
        count: int,
        events: list[Event],
        incomplete: set[str],
    ) -> Verdict:
        policy = self.policy
        missing = tuple(filter(incomplete.__contains__, signals)) if incomplete else ()
        reason = REASONS[action]
        if count == 0:
            reason = f"The store did not answer; on_store_error={action!r} decided"
        assessment = Assessment(
            action,
            score,
            signals,
            self._weights,
            reason,
            count,
            policy.degrade_above,
            policy.block_above,
            missing,
        )
        events.append(DecisionTaken(plan.user_id, action, score, signals, count, missing))
        return Verdict(assessment, tuple(events))

    def _failure(self, user_id: str, seat: _Seat, stage: str, error: Exception) -> ScorerFailed:
        return ScorerFailed(user_id, seat.name, stage, _place(error), self.policy.scorer_fallback)


def _checked(name: str, signal: object) -> Signal:
    if not isinstance(signal, Signal):
        raise ScorerError(f"scorer {name!r} returned {type(signal).__name__}, not a Signal")
    score = signal.score
    if not 0.0 <= score <= 1.0:  # NaN is refused here, too
        raise ScorerError(f"scorer {name!r} returned the score {score}, not 0 to 1")
    if not isinstance(signal.explanation, str):
        raise ScorerError(f"scorer {name!r} explained itself without a string")
    if type(score) is not float:  # a number of NumPy, a bool: results are plain data
        return Signal(float(score), signal.explanation)
    return signal


def _place(error: BaseException) -> str:
    """Return type and place of an exception, never its message: that may quote a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    kind = type(error).__name__
    if trace is None:
        return kind
    file = trace.tb_frame.f_code.co_filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{kind} at {file}:{trace.tb_lineno}"


def _milliseconds(now: float) -> int:
    is_number = isinstance(now, (int, float)) and not isinstance(now, bool)
    if not is_number or not 0 <= now <= MAX_TIME_S:  # NaN is refused here, too
        raise ConfigurationError(f"now must be seconds since the Unix epoch, not {shown(now)}")
    return round(now * 1000)


def _check_memory(seats: tuple[_Seat, ...]) -> None:
    tags: dict[bytes, str] = {}
    size = HEADER_BYTES
    for seat in seats:
        for tag, feature, _ in seat.cells:
            if tag in tags:
                raise ConfigurationError(
                    f"features {tags[tag]!r} and {seat.name}/{feature.name} collide: rename one"
                )
            tags[tag] = f"{seat.name}/{feature.name}"
            fixed = feature.kind in ("total", "peak")
            size += CELL_OVERHEAD_BYTES + (32 if fixed else int(feature.limit))
    if size > MAX_RECORD_BYTES:
        raise ConfigurationError(
            f"the enabled scorers would remember {size} bytes an account, "
            f"{MAX_RECORD_BYTES} are allowed: shorten rings or drop a scorer"
        )
