"""What a scan can say about an HDF5 file."""

from modelsec.scanning.finding import Rule, Verdict

EXTERNAL_LINK = Rule(
    "MS-HDF-001",
    "a link into another file",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2026-1669",
    remedy="refuse it: whoever opens the object opens a file of the author's choice",
)
EXTERNAL_STORAGE = Rule(
    "MS-HDF-002",
    "values stored in another file",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2026-1669",
    remedy="refuse it: loading the dataset reads a file of the author's choice",
)
VIRTUAL = Rule(
    "MS-HDF-003",
    "a virtual dataset over another file",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2026-1669",
    remedy="refuse it: loading the dataset reads files of the author's choice",
)
SHAPE_BOMB = Rule(
    "MS-HDF-004",
    "a shape far beyond the stored bytes",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    reference="CVE-2026-0897",
    remedy="refuse it: a reader that loads the dataset allocates its full shape",
)
FILTER = Rule(
    "MS-HDF-005",
    "a filter that is not known",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="native code",
    remedy="reading the dataset makes HDF5 look for a plug-in; install none for this file",
)
PLUGIN = Rule(
    "MS-HDF-006",
    "a filter that needs a plug-in",
    Verdict.DATA_ONLY,
    remedy="have the plug-in from your own distribution, never from where the file came from",
)
USER_LINK = Rule(
    "MS-HDF-007",
    "a link of a user-defined kind",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="only the program that registered the kind knows what following it does",
)
SOFT_LINK = Rule(
    "MS-HDF-008",
    "a soft link that looks like a way out",
    Verdict.UNKNOWN,
    capability="file read",
    remedy="HDF5 follows soft links within the file only; ask what else resolves this one",
)
BASE = Rule(
    "MS-HDF-009",
    "the superblock stands elsewhere than it says",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="rewrite the file (h5repack): readers disagree about where its addresses count from",
)
PIECES = Rule(
    "MS-HDF-010",
    "one piece of a file in several pieces",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="join the pieces (h5repack) and scan the result",
)
NOT_READ = Rule(
    "MS-HDF-011",
    "a structure that was not understood",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="rewrite the file with h5repack from a trusted source, or refuse it",
)
CACHE_IMAGE = Rule(
    "MS-HDF-012",
    "a second copy of the file's structure",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="reader disagreement",
    remedy="rewrite the file (h5repack): HDF5 believes the cached image, not what was scanned",
)
OBJECT_ARRAY = Rule(
    "MS-HDF-013",
    "pickled rows",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="code execution",
    reference="https://www.pytables.org: ObjectAtom",
    remedy="store texts and numbers in columns of their own type: pandas unpickles these rows",
)
BROKEN_CONFIG = Rule(
    "MS-HDF-014",
    "a Keras configuration that is no text",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="get the file again from its source",
)
DUPLICATE_KEYS = Rule(
    "MS-HDF-015",
    "a configuration that says one thing twice",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="refuse it: no honest writer repeats a key",
)
BLANKS = Rule(
    "MS-HDF-016",
    "blank bytes after the end",
    Verdict.DATA_ONLY,
    remedy="nothing: readers of HDF5 stop at the end-of-file address",
)
