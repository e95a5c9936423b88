"""TensorFlow operators that do more than compute: what each can do, and how it is told.

Three kinds: operators that are refused whatever their arguments are; operators whose file's name
decides (see ``tensorflow_files``); operators with an attribute that decides. All other operators
are asked of the policy.
"""

from typing import NamedTuple


class Danger(NamedTuple):
    """What an attacker gains by an operator.

    Attributes:
        capability: as in a rule.
        what: continues a sentence that begins with the operator.
    """

    capability: str
    what: str


_PYTHON = Danger("code execution", "calls a Python function")
_READ = Danger("file read", "reads files that the graph chooses")
_WRITE = Danger("file write", "writes files that the graph chooses")
_NETWORK = Danger("network", "talks to another machine")
_DATABASE = Danger("file read", "opens a database that the graph chooses")

_REFUSED: dict[Danger, tuple[str, ...]] = {
    _PYTHON: ("PyFunc", "PyFuncStateless", "EagerPyFunc"),
    _READ: (
        "ReadFile",
        "MatchingFiles",
        "MatchingFilesDataset",
        "ExperimentalMatchingFilesDataset",
        "ImmutableConst",
        "WholeFileReader",
        "WholeFileReaderV2",
        "TFRecordReader",
        "TFRecordReaderV2",
        "TextLineReader",
        "TextLineReaderV2",
        "FixedLengthRecordReader",
        "FixedLengthRecordReaderV2",
        "LMDBReader",
        "RecordInput",
        "Skipgram",
        "LoadDataset",
        "SnapshotChunkDataset",
        "SnapshotDatasetReader",
        "SnapshotNestedDatasetReader",
        "ListSnapshotChunksDataset",
    ),
    _WRITE: (
        "WriteFile",
        "SaveDataset",
        "SaveDatasetV2",
        "SnapshotDataset",
        "SnapshotDatasetV2",
        "DatasetToTFRecord",
        "ExperimentalDatasetToTFRecord",
        "DistributedSave",
        "CreateSummaryFileWriter",
        "CreateSummaryDbWriter",
        "CalibrationStatisticsSaver",
        "DumpTensor",
    ),
    _DATABASE: ("SqlDataset", "ExperimentalSqlDataset"),
    _NETWORK: (
        "DataServiceDataset",
        "DataServiceDatasetV2",
        "DataServiceDatasetV3",
        "DataServiceDatasetV4",
        "RegisterDataset",
        "RegisterDatasetV2",
        "RpcServer",
        "RpcServerStart",
        "RpcServerRegister",
        "RpcClient",
        "RpcCall",
    ),
    Danger("state change", "changes how TensorFlow opens files"): ("FileSystemSetConfiguration",),
    Danger("denial of service", "ends the process"): ("Abort",),
}

REFUSED = {name: danger for danger, names in _REFUSED.items() for name in names}
"""Operators that are dangerous whatever their arguments are."""

FILES: dict[str, tuple[Danger, tuple[int, ...]]] = {
    "SaveV2": (_WRITE, (0,)),
    "Save": (_WRITE, (0,)),
    "SaveSlices": (_WRITE, (0,)),
    "MergeV2Checkpoints": (_WRITE, (0, 1)),
    "RestoreV2": (_READ, (0,)),
    "Restore": (_READ, (0,)),
    "RestoreSlice": (_READ, (0,)),
    "DTensorRestoreV2": (_READ, (0,)),
    "InitializeTableFromTextFile": (_READ, (1,)),
    "InitializeTableFromTextFileV2": (_READ, (1,)),
    "TFRecordDataset": (_READ, (0,)),
    "TFRecordDatasetV2": (_READ, (0,)),
    "TextLineDataset": (_READ, (0,)),
    "CSVDataset": (_READ, (0,)),
    "CSVDatasetV2": (_READ, (0,)),
    "ExperimentalCSVDataset": (_READ, (0,)),
    "LMDBDataset": (_READ, (0,)),
    "ExperimentalLMDBDataset": (_READ, (0,)),
    "FixedLengthRecordDataset": (_READ, (0,)),
    "FixedLengthRecordDatasetV2": (_READ, (0,)),
    "CacheDataset": (_WRITE, (1,)),
    "CacheDatasetV2": (_WRITE, (1,)),
    "LoadAndRemapMatrix": (_READ, (0,)),
    "GenerateVocabRemapping": (_READ, (0, 1)),
}
"""Operators that open a file, and the inputs that name it."""

COMPILED = {
    "TRTEngineOp": "runs an engine that was compiled for one device",
    "TPUExecute": "runs a program that was compiled for one device",
    "TPUExecuteAndUpdateVariables": "runs a program that was compiled for one device",
    "XlaCallModule": "runs a module in another language, which is not looked into",
    "XlaCustomCall": "calls a native function by its name",
    "XlaCustomCallV2": "calls a native function by its name",
    "DatasetFromGraph": "runs a graph that it is given as a string",
}
"""Operators that bring code which this scanner does not read."""

ATTRIBUTES: dict[str, tuple[bytes, Danger]] = {
    "PrintV2": (b"output_stream", _WRITE),
    "DebugIdentity": (b"debug_urls", _WRITE),
    "DebugIdentityV2": (b"debug_urls", _WRITE),
    "DebugIdentityV3": (b"debug_urls", _WRITE),
    "DebugNanCount": (b"debug_urls", _WRITE),
    "DebugNumericSummary": (b"debug_urls", _WRITE),
    "DecodeProtoV2": (b"descriptor_source", _READ),
    "EncodeProto": (b"descriptor_source", _READ),
    "FixedUnigramCandidateSampler": (b"vocab_file", _READ),
}
"""Operators with an attribute that names a file or an address."""

HARMLESS = frozenset(
    {b"", b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)", b"local://"}
)
"""Values of those attributes that name none."""
