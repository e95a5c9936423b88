"""From effects to findings: what the policy says of each import, call, state and item."""

import re

from modelsec.errors import printable
from modelsec.scanning.finding import Finding, Rule
from modelsec.scanning.part import Observation, Part, Permitted
from modelsec.scanning.pickle import opcodes as op
from modelsec.scanning.pickle import rules
from modelsec.scanning.pickle.arguments import check_named
from modelsec.scanning.pickle.capabilities import capability, embeds_code
from modelsec.scanning.pickle.checks import Check, Refusal, is_constant, require_exact
from modelsec.scanning.pickle.effects import PersistentRule
from modelsec.scanning.pickle.values import UNKNOWN, Call, Container, Global, PersistentId, Value
from modelsec.scanning.policy import OPERATIONS, Allowance

CONSTRUCTORS = frozenset(
    {
        ("copyreg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("copyreg", "__newobj_ex__"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core._internal", "_reconstruct"),
    }
)
"""Functions that make an instance of their first argument."""

_PLAIN = frozenset({"__networkx_cache__"})
"""Attributes that look special and are not."""

_FILL_NAMES = {
    op.SETITEM: "setitem",
    op.SETITEMS: "setitem",
    op.APPEND: "append",
    op.APPENDS: "append",
    op.ADDITEMS: "add",
}

_MAPPINGS = frozenset({"OrderedDict", "Counter", "defaultdict", "Bunch"})
"""Classes that are filled by their items only; ``append`` and ``add`` would be attributes."""

_SPECIAL = re.compile(r"__(?!doc__|name__|module__|version__|len__)\w*__")
"""Attributes that decide what an object is, or what is called with it."""


class PolicyJudge:
    """The judge of one part; collects what is observed, each thing once.

    Attributes:
        observed: findings, permissions and nested parts, in order.
        imports: every (module, name) that was imported, permitted or not.
        odd_at: offset of the first odd encoding, or None.
        tools: imported callables that can do anything with the right arguments.
        array_from: where the first array begins that only joblib skips; 0 for none.
        raw_from: where the first one that is no nested pickle begins; 0 for none.
    """

    def __init__(
        self,
        part: Part,
        persistent: PersistentRule | None = None,
        local: tuple[str, ...] = (),
    ) -> None:
        self.observed: dict[object, Observation] = {}
        self.imports: dict[tuple[str, str], None] = {}
        self.odd_at: int | None = None
        self._noted: dict[tuple[str, int], Global | None] = {}
        self._values: dict[Global, Call] = {}
        self.tools: set[Global] = set()
        self.array_from = 0
        self.raw_from = 0
        self._worst = -1
        self._part = part
        self._policy = part.policy
        self._persistent = persistent
        self._local = local
        self._limit = part.budget.limits.findings

    # --- the machine's side --------------------------------------------------------------------

    def imported(self, offset: int, target: Global, *, walks: bool) -> None:
        """Permit what a policy lists; a dotted name only if exactly it is listed."""
        module, name = target.module, target.name
        if (module, name) in self.imports:
            return
        if len(self.imports) < self._limit:
            self.imports[module, name] = None
        allowance = self._permits("import", module, name)
        subject = str(target)
        if allowance is not None:
            self._permit(allowance.layer, "import", target)
            if check_named(allowance.arguments).tool:
                self.tools.add(target)
            return
        rule, why = rules.DANGEROUS_IMPORT, capability(module, name)
        if embeds_code(module, name):
            rule, why = rules.EMBEDDED_CODE, "rebuilds a function from its code"
        elif not why and "." in name:
            why = "is a walk from attribute to attribute" if walks else "is a dotted name"
        elif not why:
            rule, why = rules.UNLISTED_IMPORT, "no policy lists"
        self._find(rule, offset, f"imports {subject}, which {why}", "import", subject)

    def called(self, offset: int, call: Call) -> Value:
        """Permit a listed callable with arguments that its rule accepts."""
        callee = call.callee
        if type(callee) is not Global:
            self._find(
                rules.DANGEROUS_CALL,
                offset,
                f"calls {_describe(callee)}",
                "call",
                _describe(callee),
            )
            return call
        allowance = self._permits("call", callee.module, callee.name)
        made_first = (callee.module, callee.name) in CONSTRUCTORS
        if made_first and call.args and isinstance(call.args[0], Global):
            call.produces = call.args[0]
        if allowance is None:
            self._refuse_call(offset, callee, call)
            return call
        self._permit(allowance.layer, "call", callee)
        if allowance.arguments:
            result = self._check_call(offset, call, check_named(allowance.arguments))
            if result is not None:
                return result
        # Nothing will ever be asked of a value that cannot change: one stands for millions.
        final = not allowance.operations & {"build", "items"} and call.produces is callee
        if final and all(map(_is_settled, call.args)):
            return self._values.setdefault(callee, Call(callee, [], callee))
        return call

    def _refuse_call(self, offset: int, callee: Global, call: Call) -> None:
        """Say what a call that no policy permits may do."""
        rule, why = rules.DANGEROUS_CALL, capability(callee.module, callee.name)
        if not why and "." in callee.name:
            why = "is reached by a walk"
        elif not why and self._policy.permits("import", callee.module, callee.name):
            why = "may be imported, but not called"
        elif not why:
            rule, why = rules.UNLISTED_CALL, "no policy lists"
        shown = ", ".join(_describe(argument) for argument in call.args[:4])
        message, subject = f"calls {callee}, which {why}", str(callee)
        self._keep(rule.at(offset, message, operation="call", subject=subject, evidence=shown))

    def _check_call(self, offset: int, call: Call, check: Check) -> Value:
        """Apply a rule of arguments; return the constant that the call is, or None."""
        if check.exact:
            require_exact(call.args)
        refusal = check.call(call, self._part, self._policy)
        if refusal is None and call.kwargs is not None:
            refusal = _refuse_keywords(call.kwargs)
        self._judge_refusal(offset, str(call.callee), "call", refusal)
        for nested in check.nested(call, self._part):
            self.observed["nested", offset] = nested
        return check.evaluate(call, self._part)

    def built(self, offset: int, target: Value, state: Value) -> None:
        """Permit state on an object that a listed constructor has made."""
        if not isinstance(target, Call):
            what = _describe(target)
            self._find(rules.PATCH, offset, f"sets state on {what}", "build", what)
            return
        made = target.produces
        subject = str(made) if made else _describe(target)
        self._special_attributes(offset, subject, state)
        if target.states or target.known is not None or target.given:
            message = f"sets state on an object of {subject} that is complete"
            self._find(rules.PATCH, offset, message, "build", subject)
        allowance = self._permits("build", made.module, made.name) if made else None
        if allowance is None:
            self._find(
                rules.UNLISTED_BUILD,
                offset,
                f"sets state on an object of {subject}, which no policy lists",
                "build",
                subject,
            )
            return
        self._permit(allowance.layer, "build", made)
        if allowance.arguments:
            refusal = check_named(allowance.arguments).build(target, state, self._part)
            self._judge_refusal(offset, subject, "build", refusal)

    def filled(self, offset: int, target: Value, items: list[Value], code: int) -> None:
        """Permit items in objects whose class a policy lists for it."""
        what = _FILL_NAMES[code]
        if isinstance(target, Container):
            if (
                target.kind == "list"
                and not target.given
                and what == "setitem"
                and all(isinstance(key, int) for key in items[::2])
            ):
                return
            if target.given:
                message = f"{what} on a {target.kind} that is part of something else already"
                self._find(rules.PATCH, offset, message, "items")
            else:
                self.odd(offset, f"{what} on a {target.kind}")
            return
        if not isinstance(target, Call) or target.produces is None:
            described = _describe(target)
            self._find(rules.PATCH, offset, f"{what} on {described}", "items", described)
            return
        made = target.produces
        allowance = self._permits("items", made.module, made.name)
        if target.given or target.states or (what != "setitem" and made.name in _MAPPINGS):
            message = f"{what} on an object of {made}, which no writer does at this point"
            self._find(rules.PATCH, offset, message, "items", str(made))
        elif allowance is not None:
            self._permit(allowance.layer, "items", made)
        else:
            self._find(
                rules.UNLISTED_ITEMS,
                offset,
                f"{what} on an object of {made}, which no policy lists",
                "items",
                str(made),
            )

    def persistent(self, offset: int, identity: PersistentId) -> Value:
        """Ask the container's rule; without one, no plain unpickler goes on."""
        if self._persistent is None:
            self._find(
                rules.PERSISTENT_ID,
                offset,
                "a persistent id, which only a custom loader resolves",
                "persistent id",
                "",
            )
            return identity
        for observed in self._persistent(offset, identity):
            self.note(observed)
        match identity.id:
            case Container(kind="tuple", items=["module", Global() as named, *_]):
                return named  # old torch: the class itself, together with its source
        return identity

    def odd(self, offset: int, message: str, evidence: bytes = b"") -> None:
        """Note an encoding on which unpicklers disagree."""
        if self.odd_at is None:
            self.odd_at = offset
        self._keep(rules.ODD_LITERAL.at(offset, message, evidence=evidence))

    def extension(self, offset: int, code: object) -> None:
        """Refuse: nothing in the file says what the code stands for."""
        if offset:  # as the very first byte it is how a msgpack map begins
            self.imports["copyreg", f"extension {code}"] = None
        self._find(
            rules.EXTENSION,
            offset,
            f"asks the copyreg registry for code {code}",
            "import",
            f"copyreg extension {code}",
        )

    def out_of_band(self, offset: int) -> None:
        """Note a buffer that is not in the file."""
        self._find(rules.OUT_OF_BAND, offset, "the object continues in a buffer outside this file")

    def memo_bomb(self, offset: int, index: int) -> None:
        """Note a memo index that costs memory."""
        self._find(rules.MEMO_BOMB, offset, f"memo index {index} with far fewer entries")

    def memo_carried(self, offset: int, index: int) -> None:
        """Note a memo entry that only an earlier pickle has set."""
        self._find(rules.MEMO_CARRY, offset, f"memo entry {index} was set in an earlier pickle")

    # --- the reader's side ---------------------------------------------------------------------

    def note(self, observed: Observation) -> None:
        """Keep an observation, once for each rule and subject."""
        if isinstance(observed, Finding):
            self._keep(observed)
        else:
            self.observed.setdefault(observed, observed)

    # --- inside -------------------------------------------------------------------------------

    def _permits(self, operation: str, module: str, name: str) -> Allowance | None:
        if self._local and module.partition(".")[0] in self._local:
            return Allowance("defined in the file", OPERATIONS)
        return self._policy.permits(operation, module, name)

    def _special_attributes(self, offset: int, subject: str, state: Value) -> None:
        """Refuse ``__class__`` and the like, which change what the object is."""
        parts = [state]
        if isinstance(state, Container) and state.kind == "tuple":
            parts = list(state.items)
        for part in parts:
            if not isinstance(part, Container) or part.kind != "dict":
                continue
            for key in part.items[::2]:
                if isinstance(key, str):
                    if key.startswith("__") and _SPECIAL.fullmatch(key) and key not in _PLAIN:
                        message = f"sets {key} on an object of {subject}"
                        self._find(rules.PRIVATE_STATE, offset, message, "build", subject)
                elif not is_constant(key) and not isinstance(key, Container):
                    message = f"sets an attribute of an object of {subject} by a computed name"
                    self._find(rules.PRIVATE_STATE, offset, message, "build", subject)

    def _judge_refusal(
        self, offset: int, subject: str, operation: str, refusal: Refusal | None
    ) -> None:
        if refusal is None:
            return
        rule = (
            rules.ARGUMENTS
            if refusal.dangerous
            else (rules.UNLISTED_CALL if operation == "call" else rules.UNLISTED_BUILD)
        )
        self._find(rule, offset, f"{subject}: {refusal.reason}", operation, subject)

    def _permit(self, layer: str, operation: str, subject: Global | None) -> None:
        key = (operation, id(subject))
        if key in self._noted:
            return
        self._noted[key] = subject  # held, so that its id stays its own
        permitted = Permitted(layer, operation, str(subject))
        if len(self.observed) < 20 * self._limit:
            self.observed.setdefault(permitted, permitted)

    def _find(
        self, rule: Rule, offset: int, message: str, operation: str = "", subject: str = ""
    ) -> None:
        self._keep(rule.at(offset, message, operation=operation, subject=subject))

    def _keep(self, finding: Finding) -> None:
        key = (finding.id, finding.subject, finding.message if not finding.subject else "")
        if key in self.observed:
            return
        # Keep the first few thousand, and always what makes the verdict worse: it must stand.
        rank = 2 * finding.verdict.rank + finding.incomplete
        if len(self.observed) < 20 * self._limit or rank > self._worst:
            self.observed[key] = finding
            self._worst = max(self._worst, rank)


def _refuse_keywords(keywords: Container) -> Refusal | None:
    if keywords.items or keywords.hidden:
        return Refusal("keyword arguments, which no rule covers", dangerous=False)
    return None


def _is_settled(value: Value) -> bool:
    """Return whether nothing can change a value: a constant, or a type that was worked out."""
    return is_constant(value) or (type(value) is Call and value.known is not None)


def _describe(value: Value) -> str:
    """Return a value for a message, shallowly: contents may be huge or cyclic."""
    match value:
        case Global():
            text = str(value)
        case Call():
            inner = str(value.callee) if isinstance(value.callee, Global) else "a computed callable"
            text = f"the result of {inner}"
        case Container():
            text = f"a {value.kind}"
        case PersistentId():
            text = "a persistent id"
        case str() | bytes():
            text = printable(repr(value[:60]), 60)
        case bool() | int() | float() | None:
            text = f"{value!r}"
        case _:
            text = "an unknown value" if value is UNKNOWN else "a long constant"
    return text
