"""The messages of ONNX, by field numbers (onnx.proto of onnx 1.23).

``String`` of a tensor's ``string_data`` and all names are plain values here; what matters is where
nodes, tensors and graphs can hide: in attributes of nodes of graphs of attributes, in functions, in
training information, in sparse tensors.
"""

from modelsec.scanning.formats.protobuf_schema import Shape, schema

IR_VERSION, PRODUCER, PRODUCER_VERSION, DOMAIN, GRAPH, OPERATOR_SETS, FUNCTIONS = (
    1,
    2,
    3,
    4,
    7,
    8,
    25,
)
"""Fields of a model."""
OP_TYPE, OP_DOMAIN = 4, 7
"""Fields of a node."""
EXTERNAL_DATA, DATA_LOCATION, TENSOR_NAME, RAW_DATA = 13, 14, 8, 9
"""Fields of a tensor."""
FUNCTION_NAME, FUNCTION_DOMAIN = 1, 10
"""Fields of a function."""

KINDS = schema(
    {
        "Model": Shape(
            ints=(1, 5),
            texts=(2, 3, 4, 6),
            one={7: "Graph"},
            many={
                8: "OperatorSet",
                14: "Entry",
                20: "TrainingInfo",
                25: "Function",
                26: "DeviceConfiguration",
            },
            keep=(IR_VERSION, PRODUCER, PRODUCER_VERSION, DOMAIN, OPERATOR_SETS),
        ),
        "OperatorSet": Shape(ints=(2,), texts=(1,)),
        "Entry": Shape(texts=(1, 2)),
        "TrainingInfo": Shape(one={1: "Graph", 2: "Graph"}, many={3: "Entry", 4: "Entry"}),
        "Function": Shape(
            texts=(1, 4, 5, 6, 8, 10, 13),
            many={
                7: "Node",
                9: "OperatorSet",
                11: "Attribute",
                12: "ValueInfo",
                14: "Entry",
            },
            keep=(FUNCTION_NAME, FUNCTION_DOMAIN),
        ),
        "Graph": Shape(
            texts=(2, 10),
            many={
                1: "Node",
                5: "Tensor",
                11: "ValueInfo",
                12: "ValueInfo",
                13: "ValueInfo",
                14: "Annotation",
                15: "SparseTensor",
                16: "Entry",
            },
        ),
        "Node": Shape(
            texts=(1, 2, 3, 4, 6, 7, 8),
            many={5: "Attribute", 9: "Entry", 10: "NodeDevice"},
            keep=(OP_TYPE, OP_DOMAIN),
        ),
        "Attribute": Shape(
            ints=(3, 20),
            fixed32=(2,),
            texts=(1, 4, 9, 13, 21),
            numbers=(7, 8),
            one={5: "Tensor", 6: "Graph", 14: "Type", 22: "SparseTensor"},
            many={10: "Tensor", 11: "Graph", 15: "Type", 23: "SparseTensor"},
        ),
        "Tensor": Shape(
            ints=(2, 14),
            texts=(6, 8, 9, 12),
            numbers=(1, 4, 5, 7, 10, 11),
            one={3: "Segment"},
            many={16: "Entry"},
            keep=(EXTERNAL_DATA, DATA_LOCATION, TENSOR_NAME, RAW_DATA),
        ),
        "Segment": Shape(ints=(1, 2)),
        "SparseTensor": Shape(numbers=(3,), one={1: "Tensor", 2: "Tensor"}),
        "Annotation": Shape(texts=(1,), many={2: "Entry"}),
        "ValueInfo": Shape(texts=(1, 3), one={2: "Type"}, many={4: "Entry"}),
        "Type": Shape(
            texts=(6,),
            one={
                1: "TensorType",
                4: "ElementType",
                5: "MapType",
                7: "OpaqueType",
                8: "TensorType",
                9: "ElementType",
            },
        ),
        "TensorType": Shape(ints=(1,), one={2: "TensorShape"}),
        "TensorShape": Shape(many={1: "Dimension"}),
        "Dimension": Shape(ints=(1,), texts=(2, 3)),
        "ElementType": Shape(one={1: "Type"}),
        "MapType": Shape(ints=(1,), one={2: "Type"}),
        "OpaqueType": Shape(texts=(1, 2)),
        "NodeDevice": Shape(ints=(3,), texts=(1,), many={2: "Sharding"}),
        "Sharding": Shape(texts=(1,), numbers=(2,), many={3: "DeviceGroup", 4: "ShardedDimension"}),
        "DeviceGroup": Shape(ints=(1,), numbers=(2,)),
        "ShardedDimension": Shape(ints=(1,), many={2: "SimpleSharding"}),
        "SimpleSharding": Shape(ints=(1, 3), texts=(2,)),
        "DeviceConfiguration": Shape(ints=(2,), texts=(1, 3)),
    }
)
