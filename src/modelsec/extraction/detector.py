"""The detector's two shells: everything they share is in the :class:`~.judge.Judge`."""

from collections.abc import Iterable
from inspect import isawaitable, iscoroutinefunction
from typing import Literal, TypeAlias, TypedDict, Unpack, cast

from modelsec.errors import ConfigurationError, StoreError, shown
from modelsec.events import LoggingSink, StoreFailed, logger
from modelsec.extraction.assessment import Assessment
from modelsec.extraction.judge import Judge, Plan, Verdict
from modelsec.extraction.policy import DetectionPolicy
from modelsec.extraction.registry import Weighted
from modelsec.keyed import Secret
from modelsec.protocols import AsyncStore, Clock, Event, EventSink, Record, Store

OnStoreError: TypeAlias = Literal["raise", "allow", "block"]
_CHOICES = ("raise", "allow", "block")


class _Settings(TypedDict, total=False):
    """Keyword arguments that both shells take."""

    policy: DetectionPolicy | None
    scorers: Iterable[Weighted]
    secret: bytes | None
    on_store_error: OnStoreError
    sink: EventSink | None
    clock: Clock | None


class _Shell:
    """What both shells set up, and what they do with a verdict."""

    def __init__(  # noqa: PLR0913 - keyword-only settings, every one with a default
        self,
        store: Store | AsyncStore,
        *,
        policy: DetectionPolicy | None = None,
        scorers: Iterable[Weighted] = (),
        secret: bytes | None = None,
        on_store_error: OnStoreError = "raise",
        sink: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not callable(getattr(store, "apply", None)):
            raise ConfigurationError(
                f"a store is needed, not {type(store).__name__}: MemoryStore(), "
                "AsyncRedisStore.from_url(url), or AsyncRedisStore(client) around a redis client"
            )
        if on_store_error not in _CHOICES:
            raise ConfigurationError(
                f"on_store_error must be one of {', '.join(_CHOICES)}, not {shown(on_store_error)}"
            )
        if sink is not None and not callable(getattr(sink, "emit", None)):
            raise ConfigurationError(f"a sink needs emit(event), {type(sink).__name__} has none")
        if clock is not None and not callable(clock):
            raise ConfigurationError(
                f"clock must be a function that returns seconds, not {type(clock).__name__}"
            )
        if policy is not None and not isinstance(policy, DetectionPolicy):
            raise ConfigurationError(
                f"policy must be a DetectionPolicy, not {type(policy).__name__}"
            )
        if secret is None and getattr(store, "shared", True):
            raise ConfigurationError(
                "a store that several processes share needs one common secret: secret=bytes, "
                "made once with secrets.token_bytes(32) and kept in your secret manager"
            )
        self._store = store
        key = Secret.random() if secret is None else Secret(secret)
        self._judge = Judge(DetectionPolicy() if policy is None else policy, scorers, key)
        self._on_store_error = on_store_error
        self._sink = LoggingSink() if sink is None else sink
        self._clock = clock

    @property
    def policy(self) -> DetectionPolicy:
        """The policy in force."""
        return self._judge.policy

    def _plan(self, user_id: str, request: object, now: float | None) -> Plan:
        if now is None and self._clock is not None:
            now = self._clock()
        return self._judge.plan(user_id, request, now)

    def _conclude(self, plan: Plan, record: Record) -> Assessment:
        return self._announced(self._judge.conclude(plan, record))

    def _store_failed(self, plan: Plan, error: Exception) -> Assessment:
        """Do what the operator chose; whatever a store of the user's own raises is a failure."""
        failure = error
        if not isinstance(error, StoreError):
            failure = StoreError(f"the store failed: {type(error).__name__}")
            failure.__cause__ = error
        self._emit(StoreFailed(plan.user_id, str(failure), self._on_store_error))
        if self._on_store_error == "raise":
            raise failure
        return self._announced(self._judge.without_record(plan, self._on_store_error))

    def _announced(self, verdict: Verdict) -> Assessment:
        for event in verdict.events:
            self._emit(event)
        return verdict.assessment

    def _emit(self, event: Event) -> None:
        try:
            self._sink.emit(event)
        except Exception as error:  # noqa: BLE001 - a sink may raise anything
            # The message may hold anything: its type is enough to find the culprit.
            logger.error("the event sink failed: %s", type(error).__name__)


class ModelTheftDetector(_Shell):
    """Scores every request of an account for signs of model extraction.

    Example:
        >>> import asyncio
        >>> from modelsec import MemoryStore, ModelTheftDetector
        >>> detector = ModelTheftDetector(MemoryStore())
        >>> body = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0.7}
        >>> asyncio.run(detector.analyze_request("alice", body)).action
        'allow'

    Args:
        store: where the state of accounts lives. A synchronous store is called inline, which
            suits :class:`~modelsec.stores.MemoryStore`; over a network use an asynchronous one.
        policy: weights and thresholds; by default five signals, degrade above 0.4, block
            above 0.7.
        scorers: your own signals.
        secret: at least 16 random bytes that key all fingerprints. Required, and the same
            everywhere, for a store that processes share.
        on_store_error: what to do with a request when the store fails: ``raise`` the
            :class:`~modelsec.errors.StoreError`, ``allow`` it or ``block`` it.
        sink: where events go; by default the ``modelsec`` logger.
        clock: time source for requests without ``now``; by default the store's own clock, which
            for Redis is the server's.

    Raises:
        ConfigurationError: a setting is impossible; the message says which and why.
        PluginError: a signal that the policy names cannot be loaded.
    """

    async def analyze_request(
        self, user_id: str, request: object, now: float | None = None
    ) -> Assessment:
        """Count and judge one request, in one store round trip.

        Args:
            user_id: the account that the request is billed to; any non-empty string.
            request: OpenAI-style body (``messages``, ``prompt`` or ``input``). It may be
                hostile: nothing in it raises, and what cannot be read counts as left out.
            now: time of the request, seconds since the Unix epoch.

        Raises:
            ConfigurationError: an empty account or an impossible time.
            StoreError: the store failed and ``on_store_error`` is ``raise``.
        """
        plan = self._plan(user_id, request, now)
        try:
            replies = self._store.apply((plan.operation,))
            if isawaitable(replies):
                replies = await replies
            record = _only_record(replies)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - stores are plug-ins, too
            return self._store_failed(plan, error)
        return self._conclude(plan, record)


class SyncModelTheftDetector(_Shell):
    """:class:`ModelTheftDetector` for synchronous code; takes the same arguments."""

    def __init__(self, store: Store, **settings: Unpack[_Settings]) -> None:
        if iscoroutinefunction(getattr(store, "apply", None)):
            raise ConfigurationError(
                f"{type(store).__name__} is asynchronous: use ModelTheftDetector, or RedisStore"
            )
        super().__init__(store, **settings)

    def analyze_request(
        self, user_id: str, request: object, now: float | None = None
    ) -> Assessment:
        """Count and judge one request; see :meth:`ModelTheftDetector.analyze_request`."""
        plan = self._plan(user_id, request, now)
        try:
            record = _only_record(cast("Store", self._store).apply((plan.operation,)))
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - stores are plug-ins, too
            return self._store_failed(plan, error)
        return self._conclude(plan, record)


def _only_record(replies: object) -> Record:
    if isinstance(replies, (list, tuple)) and len(replies) == 1 and isinstance(replies[0], Record):
        return replies[0]
    raise StoreError("the store did not return the one record that was asked for")
