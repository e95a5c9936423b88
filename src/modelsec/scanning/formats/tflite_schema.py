"""The tables of TensorFlow Lite models (schema of TensorFlow 2.21): where a table leads.

Fields that are plain numbers lie in the table itself and need no mention.
"""

from modelsec.scanning.formats.flatbuffer import STRING, Field, Many, One, Union

CODE_OLD, CODE_CUSTOM, CODE = 0, 1, 3
"""Fields of an operator code."""
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 0, 1, 2
"""Fields of a buffer."""
OPERATOR_OFFSET, OPERATOR_SIZE = 9, 10
"""Fields of an operator: custom options behind the tables."""

_INDEXES = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
_OPTIONS = {
    3: "ConcatEmbeddingsOptions",
    17: "ReshapeOptions",
    30: "SqueezeOptions",
    111: "VarHandleOptions",
    115: "BucketizeOptions",
}
_OPTIONS_2 = {
    2: "StablehloBroadcastInDimOptions",
    3: "StablehloSliceOptions",
    4: "StablehloConvolutionOptions",
    5: "StablehloCustomCallOptions",
    6: "StablehloReduceOptions",
    7: "StablehloScatterOptions",
    9: "StablehloDynamicSliceOptions",
    10: "StablehloPadOptions",
    12: "StablehloDotGeneralOptions",
    13: "StablehloReduceWindowOptions",
    16: "StablehloGatherOptions",
    17: "StablehloTransposeOptions",
    21: "StableHLOCompositeOptions",
    23: "StablehloCaseOptions",
}

TABLES: dict[str, dict[int, Field]] = {
    "Model": {
        1: Many("OperatorCode"),
        2: Many("SubGraph"),
        3: STRING,
        4: Many("Buffer"),
        5: 4,
        6: Many("Metadata"),
        7: Many("SignatureDef"),
        8: Many("ExternalBufferGroup"),
        9: Many("ExternalBuffer"),
    },
    "OperatorCode": {1: STRING},
    "SubGraph": {0: Many("Tensor"), 1: 4, 2: 4, 3: Many("Operator"), 4: STRING},
    "Tensor": {
        0: 4,
        3: STRING,
        4: One("Quantization"),
        6: One("Sparsity"),
        7: 4,
        9: Many("Variant"),
    },
    "Variant": {0: 4},
    "Quantization": {0: 4, 1: 4, 2: 4, 3: 8, 5: Union(4, {1: "CustomQuantization"})},
    "CustomQuantization": {0: 1},
    "Sparsity": {0: 4, 1: 4, 2: Many("Dimension")},
    "Dimension": {3: Union(2, _INDEXES), 5: Union(4, _INDEXES)},
    "Int32Vector": {0: 4},
    "Uint16Vector": {0: 2},
    "Uint8Vector": {0: 1},
    "Operator": {
        1: 4,
        2: 4,
        4: Union(3, _OPTIONS),
        5: 1,
        7: 1,
        8: 4,
        12: Union(11, _OPTIONS_2),
    },
    "Buffer": {0: 1},
    "ExternalBufferGroup": {0: STRING},
    "ExternalBuffer": {4: STRING},
    "Metadata": {0: STRING},
    "SignatureDef": {0: Many("TensorMap"), 1: Many("TensorMap"), 2: STRING},
    "TensorMap": {0: STRING},
    "ConcatEmbeddingsOptions": {1: 4, 2: 4},
    "ReshapeOptions": {0: 4},
    "SqueezeOptions": {0: 4},
    "VarHandleOptions": {0: STRING, 1: STRING},
    "BucketizeOptions": {0: 4},
    "StablehloBroadcastInDimOptions": {0: 8},
    "StablehloSliceOptions": {0: 8, 1: 8, 2: 8},
    "StablehloConvolutionOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},
    "StablehloCustomCallOptions": {0: STRING, 2: STRING, 4: 4, 5: 1},
    "StablehloReduceOptions": {0: 8},
    "StablehloScatterOptions": {1: 8, 2: 8, 3: 8},
    "StablehloDynamicSliceOptions": {0: 8},
    "StablehloPadOptions": {0: 8, 1: 8, 2: 8},
    "StablehloDotGeneralOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 4},
    "StablehloReduceWindowOptions": {0: 8, 1: 8, 2: 8, 3: 8, 4: 8},
    "StablehloGatherOptions": {0: 8, 1: 8, 2: 8, 4: 8},
    "StablehloTransposeOptions": {0: 8},
    "StableHLOCompositeOptions": {0: STRING, 2: 1},
    "StablehloCaseOptions": {0: 4},
}
