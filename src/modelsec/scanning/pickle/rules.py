"""What the pickle reader can say."""

from modelsec.scanning.finding import Rule, Verdict

_PIN = "load it only if you trust its author: review, then pin the file's digest"
_LEARN = "if the class is yours, learn a policy from a trusted file (modelsec scan --learn-policy)"
_PICKLE = "https://docs.python.org/3/library/pickle.html"

UNLISTED_IMPORT = Rule(
    "MS-PKL-001",
    "import outside the policies",
    Verdict.UNKNOWN,
    capability="importing runs the module's code",
    reference=_PICKLE,
    remedy=_LEARN,
)
DANGEROUS_IMPORT = Rule(
    "MS-PKL-002",
    "import with a capability for harm",
    Verdict.DANGEROUS,
    capability="code execution",
    reference=_PICKLE,
    remedy="do not load this file",
)
UNLISTED_CALL = Rule(
    "MS-PKL-003",
    "call outside the policies",
    Verdict.UNKNOWN,
    capability="code execution",
    reference=_PICKLE,
    remedy=_LEARN,
)
DANGEROUS_CALL = Rule(
    "MS-PKL-004",
    "call with a capability for harm",
    Verdict.DANGEROUS,
    capability="code execution",
    reference=_PICKLE,
    remedy="do not load this file",
)
ARGUMENTS = Rule(
    "MS-PKL-005",
    "a permitted call with arguments that are not permitted",
    Verdict.DANGEROUS,
    capability="code execution or memory corruption",
    remedy="no honest writer produces such arguments; do not load this file",
)
PATCH = Rule(
    "MS-PKL-006",
    "state is set on something that is not a fresh object",
    Verdict.DANGEROUS,
    capability="classes and modules are changed for the whole process",
    remedy="do not load this file",
)
UNLISTED_BUILD = Rule(
    "MS-PKL-007",
    "state is set outside the policies",
    Verdict.UNKNOWN,
    capability="__setstate__ runs code; attributes are replaced",
    remedy=_LEARN,
)
UNLISTED_ITEMS = Rule(
    "MS-PKL-008",
    "items are put into an object outside the policies",
    Verdict.UNKNOWN,
    capability="__setitem__, append, extend, add or update runs code",
    remedy=_LEARN,
)
EXTENSION = Rule(
    "MS-PKL-009",
    "an object is named by its code in the copyreg registry",
    Verdict.DANGEROUS,
    capability="imports something that the file does not name",
    reference="PEP 307, extension codes",
    remedy="do not load this file",
)
PERSISTENT_ID = Rule(
    "MS-PKL-010",
    "a persistent id that this container does not define",
    Verdict.UNKNOWN,
    capability="depends on the loader",
    reference="https://docs.python.org/3/library/pickle.html#persistence-of-external-objects",
    remedy="only the program that wrote the file can load it",
)
OUT_OF_BAND = Rule(
    "MS-PKL-011",
    "data that are not in the file",
    Verdict.DATA_ONLY,
    incomplete=True,
    reference="PEP 574",
    remedy="scan the buffers, too: part of the object is outside this file",
)
ODD_LITERAL = Rule(
    "MS-PKL-012",
    "a literal on which unpicklers disagree",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="no honest writer produces it; do not load this file",
)
ODD_WITH_IMPORT = Rule(
    "MS-PKL-013",
    "unpicklers disagree about a pickle that imports",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="do not load this file",
)
FRAME = Rule(
    "MS-PKL-014",
    "a frame on which unpicklers disagree",
    Verdict.DANGEROUS,
    capability="hides opcodes in data",
    reference="CPython gh-154848",
    remedy="do not load this file",
)
MEMO_BOMB = Rule(
    "MS-PKL-015",
    "a memo index far beyond the entries",
    Verdict.DANGEROUS,
    capability="memory exhaustion",
    remedy="do not load this file",
)
EXPANSION = Rule(
    "MS-PKL-016",
    "shared containers expand beyond all measure",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    reference="the billion laughs attack",
    remedy="do not walk, print or copy what this file holds",
)
DEEP = Rule(
    "MS-PKL-017",
    "nested deeper than any honest data",
    Verdict.UNKNOWN,
    capability="stack exhaustion in whatever walks the result",
    remedy="do not load this file where a crash matters",
)
ALIASES_UNMEASURED = Rule(
    "MS-PKL-018",
    "sharing was not measured in skipped runs of constants",
    Verdict.DATA_ONLY,
)
MEMO_CARRY = Rule(
    "MS-PKL-019",
    "a memo entry of an earlier pickle is used",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="do not load this file",
)
STACKED = Rule("MS-PKL-020", "several pickles in a row", Verdict.DATA_ONLY)
BROKEN_AFTER_EFFECT = Rule(
    "MS-PKL-021",
    "the pickle breaks off after it has acted",
    Verdict.DANGEROUS,
    incomplete=True,
    capability="what stands before the break has run already",
    remedy="do not load this file",
)
EMBEDDED_CODE = Rule(
    "MS-PKL-022",
    "Python code is embedded",
    Verdict.DANGEROUS,
    capability="code execution by design",
    remedy=_PIN,
)
PROTOCOL = Rule(
    "MS-PKL-023",
    "a protocol that does not exist",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="do not load this file",
)
NESTED = Rule(
    "MS-PKL-025",
    "bytes that are a pickle with imports outside the policies",
    Verdict.UNKNOWN,
    capability="code execution, if something unpickles them",
    remedy="find out what reads these bytes; nothing honest hides a pickle in a pickle",
)
HANDED_OVER = Rule(
    "MS-PKL-026",
    "a callable that can do anything is handed over, not called",
    Verdict.DANGEROUS,
    capability="something else calls it, with arguments that no rule has seen",
    remedy="do not load this file",
)
PRIVATE_STATE = Rule(
    "MS-PKL-024",
    "state replaces special attributes",
    Verdict.DANGEROUS,
    capability="the class or dictionary of an object is changed",
    remedy="do not load this file",
)
