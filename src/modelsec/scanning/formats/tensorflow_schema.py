"""The messages of TensorFlow graphs, by field numbers (TensorFlow 2.21).

Nodes and the tensors in their attributes are walked; what describes a graph to its users
(signatures, collections, the object graph but for its metadata, type and debug information) is
passed over: nothing there is executed.
"""

from modelsec.scanning.formats.protobuf_schema import Shape, schema

NODE_NAME, NODE_OP, NODE_INPUT, NODE_ATTRIBUTE = 1, 2, 3, 5
"""Fields of a node."""
FUNCTION_SIGNATURE = 1
SAVER = 3
"""Field of a meta graph."""
ASSET_TENSOR, ASSET_NAME = 1, 2
"""Fields of an asset."""
TENSOR_TYPE, TENSOR_CONTENT, TENSOR_STRINGS = 1, 4, 8
"""Fields of a tensor."""
VALUE_TEXT, VALUE_TYPE, VALUE_TENSOR, VALUE_FUNCTION, VALUE_LIST = 2, 6, 8, 10, 1
"""Fields of an attribute's value."""
STRING_TYPE = 7

TEXT, METADATA = "Text", "Metadata"
"""Leaves: a string of an attribute or a tensor; what Keras wrote about an object."""

KINDS = schema(
    {
        "SavedModel": Shape(ints=(1,), many={2: "MetaGraph"}),
        "MetaGraph": Shape(
            texts=(1, 3, 4, 5),
            one={2: "Graph", 7: "ObjectGraph"},
            many={6: "Asset"},
            keep=(SAVER,),
            event=True,
        ),
        "Asset": Shape(texts=(1, 2), keep=(ASSET_TENSOR, ASSET_NAME)),
        "ObjectGraph": Shape(texts=(2,), many={1: "Object"}),
        "Object": Shape(
            texts=(1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), one={4: "UserObject"}
        ),
        "UserObject": Shape(texts=(1, 2), leaf={3: METADATA}),
        "Graph": Shape(ints=(3,), texts=(4, 5), many={1: "Node"}, one={2: "Library"}),
        "Library": Shape(texts=(2, 3), many={1: "Function"}),
        "Function": Shape(
            texts=(1, 4, 6, 7, 8),
            many={3: "Node", 5: "AttributeEntry"},
            keep=(FUNCTION_SIGNATURE,),
        ),
        "Node": Shape(
            texts=(1, 2, 3, 4, 6, 7),
            many={5: "AttributeEntry"},
            keep=(NODE_NAME, NODE_OP, NODE_INPUT, NODE_ATTRIBUTE),
        ),
        "AttributeEntry": Shape(texts=(1,), one={2: "Value"}),
        "Value": Shape(
            ints=(3, 5, 6),
            fixed32=(4,),
            texts=(7, 9),
            one={1: "ValueList", 8: "Tensor", 10: "NamedAttributes"},
            leaf={2: TEXT},
        ),
        "ValueList": Shape(
            numbers=(3, 4, 5, 6),
            texts=(7,),
            many={8: "Tensor", 9: "NamedAttributes"},
            leaf={2: TEXT},
        ),
        "NamedAttributes": Shape(texts=(1,), many={2: "AttributeEntry"}, keep=(1,)),
        "Tensor": Shape(
            ints=(1, 3),
            texts=(2, 14, 18),
            numbers=(5, 6, 7, 9, 10, 11, 12, 13, 16, 17),
            many={15: "Variant"},
            leaf={8: TEXT},
            keep=(TENSOR_TYPE, TENSOR_CONTENT),
        ),
        "Variant": Shape(texts=(1,), many={3: "Tensor"}, leaf={2: TEXT}),
        "Fingerprint": Shape(ints=(1, 2, 3, 4, 5), texts=(6, 7)),
        "KerasMetadata": Shape(many={1: "KerasObject"}),
        "KerasObject": Shape(ints=(2,), texts=(3, 4, 6), leaf={5: METADATA}),
    }
)
