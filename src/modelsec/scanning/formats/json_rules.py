"""What can be said about a JSON file beside a model; see ``json_config``."""

from modelsec.scanning.finding import Rule, Verdict

_READ_CODE = "read the code, pin its revision, or load the model without trust_remote_code"

CODE = Rule(
    "MS-JSN-001",
    "a configuration names Python code that comes with the model",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy=_READ_CODE,
)
TRUST = Rule(
    "MS-JSN-002",
    "a configuration trusts remote code on behalf of its user",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy=_READ_CODE,
)
TARGET = Rule(
    "MS-JSN-003",
    "a configuration names a callable that no rule permits",
    Verdict.UNKNOWN,
    capability="code execution",
    reference="CVE-2025-23304",
    remedy="look up what the loader does with the path; permit it only if it is a plain class",
)
POWER = Rule(
    "MS-JSN-004",
    "a configuration names a callable of a known capability",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-23304",
    remedy="refuse the file: no model is configured with it",
)
OUTSIDE = Rule(
    "MS-JSN-005",
    "a configuration names files outside its folder",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the file: the parts of a model lie beside it",
)
NOTEBOOK = Rule(
    "MS-JSN-006",
    "a notebook: source code",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it; it is not needed to load a model",
)
TWICE = Rule("MS-JSN-007", "a key occurs twice", Verdict.DATA_ONLY)
TWICE_ACTING = Rule(
    "MS-JSN-008",
    "a key that loaders act on occurs twice",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: one loader takes the first, another the last",
)
ENCODING = Rule(
    "MS-JSN-009",
    "JSON that is not UTF-8",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="write the file anew in UTF-8",
)
MARK = Rule("MS-JSN-010", "JSON with a byte order mark", Verdict.DATA_ONLY)

ELSEWHERE = Rule(
    "MS-JSN-011",
    "a model in JSON that is not read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="store the model in its binary form, which can be checked",
)
EXPRESSION = Rule(
    "MS-JSN-012",
    "a configuration holds Python expressions",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read them: the program that reads the file evaluates what begins with a dollar sign",
)
SERIALIZED = Rule(
    "MS-JSN-013",
    "serialised bytes that cannot be decoded",
    Verdict.UNKNOWN,
    remedy="a loader may decode them in its own way, and unpickle them",
)
