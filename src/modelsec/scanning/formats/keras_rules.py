"""What a scan can say about a Keras configuration."""

from modelsec.scanning.finding import Rule, Verdict

_SAFE = "safe_mode=True refuses this in current versions of Keras only, and is no sandbox"

LAMBDA = Rule(
    "MS-KER-001",
    "code in a Lambda",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2024-3660, CVE-2025-9905, CVE-2025-9906",
    remedy=f"refuse it, or rebuild the model with a layer class of your own; {_SAFE}",
)
MODULE = Rule(
    "MS-KER-002",
    "an object of a module that no model needs",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-1550",
    remedy=f"refuse it: Keras before 3.9 imports the module and calls the object; {_SAFE}",
)
GADGET = Rule(
    "MS-KER-003",
    "a Keras function that reads, writes, downloads or switches protection off",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-8747, CVE-2025-9906",
    remedy=f"refuse it: no honest configuration names these; {_SAFE}",
)
TORCH_MODULE = Rule(
    "MS-KER-004",
    "a pickled torch module",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-49655",
    remedy=f"refuse it: the layer calls torch.load without restrictions; {_SAFE}",
)
SAVED_MODEL = Rule(
    "MS-KER-005",
    "a layer that loads another model",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2026-1462",
    remedy=f"refuse it: the layer runs a SavedModel from a path of the author's choice; {_SAFE}",
)
VOCABULARY = Rule(
    "MS-KER-006",
    "a vocabulary by path",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2025-12058",
    remedy="keep the vocabulary in the file: Keras opens the path or URL when it loads",
)
CUSTOM = Rule(
    "MS-KER-007",
    "an object outside the policy",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="allow it in a policy of your own once you know its code; it is looked up on loading",
)
GRAPH_FUNCTION = Rule(
    "MS-KER-008",
    "a TensorFlow function that acts outside the graph",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse it: the function reads, writes, loads or calls back",
)
LAMBDA_NAME = Rule(
    "MS-KER-009",
    "a Lambda around a named function",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="the file holds no code for it; know which function of yours the name will find",
)
ODD = Rule(
    "MS-KER-010",
    "a configuration that Keras does not write",
    Verdict.UNKNOWN,
    remedy="get the file again from its source",
)
DUPLICATE = Rule(
    "MS-KER-011",
    "a configuration that says one thing twice",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="refuse it: no honest writer repeats a key",
)
MEMBER = Rule(
    "MS-KER-012",
    "a member that Keras does not write",
    Verdict.UNKNOWN,
    remedy="ask how the file was made; Keras does not read the member, something else may",
)
TRAVERSAL = Rule(
    "MS-KER-013",
    "a member outside its folder",
    Verdict.DANGEROUS,
    capability="file write",
    reference="CVE-2025-12060",
    remedy="refuse it: unpacking writes where the name says",
)
