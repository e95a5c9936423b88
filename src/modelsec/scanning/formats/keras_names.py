"""Names in a Keras configuration: to which family a module belongs, and which names are hostile.

Keras has moved its modules about for ten years. A policy that listed every path of every version
would be long and wrong; so modules are reduced to families (``keras.layers``), whatever spelling
they have. That is safe because below the ``keras`` package a path can only name Keras' own code,
and the policy is about the name within the family.
"""

import sys

BY_NAME = "keras:by-name"
"""The family of names that stand without a module."""
FUNCTION = "tensorflow:function"
TYPE_SPEC = "tensorflow:type-spec"

_ROOTS = ("tensorflow.python.keras", "tensorflow.keras", "tf.keras", "tf_keras", "keras")
_INNER = ("src", "api", "_v1", "_v2", "keras", "_tf_keras", "_legacy", "legacy")
_FAMILIES = {"engine": "models", "feature_space": "utils"}
_DEPTH = 20

BUILTIN_FAMILIES = (
    "keras.activations",
    "keras.losses",
    "keras.metrics",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.optimizers",
)
"""Where Keras looks for a function of the module ``builtins``."""

_ACTING = frozenset(
    f"keras.{family}"
    for family in (
        "applications", "callbacks", "config", "datasets", "distribution", "export", "models",
        "preprocessing", "saving", "utils", "visualization", "wrappers",
    )
)  # fmt: skip
"""Families whose other members do more than compute."""

_BUILTINS = frozenset(
    {
        "__build_class__", "__import__", "breakpoint", "compile", "delattr", "eval", "exec",
        "getattr", "globals", "input", "locals", "open", "setattr", "vars",
    }
)  # fmt: skip

_LOADERS = frozenset(
    {
        "IPython", "PIL", "absl", "cffi", "cloudpickle", "cv2", "dill", "fsspec", "h5py", "hydra",
        "jax", "joblib", "matplotlib", "mlflow", "numexpr", "numpy", "onnx", "onnxruntime",
        "pandas", "pip", "pkg_resources", "requests", "scipy", "setuptools", "sklearn", "sympy",
        "tensorflow", "torch", "urllib3", "yaml",
    }
)  # fmt: skip
"""Packages that lie beside Keras and can load, fetch or run things."""

_GRAPH = (
    "autograph", "compat", "config", "data", "debugging", "distribute", "estimator", "experimental",
    "function", "import_graph_def", "io", "load_library", "load_op_library", "lookup",
    "numpy_function", "print", "profiler", "py_func", "py_function", "quantization", "raw_ops",
    "saved_model", "summary", "sysconfig", "test", "train", "tpu",
)  # fmt: skip


def family(module: str | None) -> str:
    """Return the family of a module: ``keras.<family>``, ``keras``, or the module itself."""
    if module is None:
        return BY_NAME
    for root in _ROOTS:
        if module == root:
            return "keras"
        if module.startswith(root + "."):
            pieces = module[len(root) + 1 :].split(".", _DEPTH)
            while pieces and pieces[0] in _INNER:
                del pieces[0]
            if "feature_space" in pieces:
                return "keras.utils"
            return f"keras.{_FAMILIES.get(pieces[0], pieces[0])}" if pieces else "keras"
    return module


def acts(module: str, name: str) -> bool:
    """Whether an unlisted Keras name does more than compute."""
    return module in _ACTING or name in {"deserialize", "deserialize_keras_object", "load_model"}


def is_foreign_capability(module: str, name: str) -> bool:
    """Whether a module outside Keras can load, fetch or run things."""
    top = module.partition(".")[0]
    if top == "builtins":
        return name in _BUILTINS
    return top in _LOADERS or (top in sys.stdlib_module_names and top != "__main__")


def is_graph_capability(function: str) -> bool:
    """Whether a TensorFlow function does more than compute."""
    return function.partition(".")[0] in _GRAPH
