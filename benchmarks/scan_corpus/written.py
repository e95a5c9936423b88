"""Honest files written on the spot by the real libraries, in an environment of their own.

Run by :func:`write_all`; as a script it is the writer: ``python written.py FOLDER``. Every writer
is a small function; one whose library is missing is left out and said so.
"""

# ruff: noqa: PLC0415 - every library is imported by its own writer

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REQUIREMENTS = (
    "numpy==2.4.6",
    "joblib==1.6.0",
    "scikit-learn==1.9.1",
    "pandas==3.1.1",
    "safetensors==0.8.0",
    "onnx==1.23.1",
    "keras==3.15.1",
    "h5py==3.16.0",
    "skops==0.16.0",
    "gguf==0.19.0",
    "msgpack==1.2.4",
    "lz4",
    "torch==2.13.0",
)


def write_all(venv_python: Path, corpus: Path) -> None:
    """Run the writers and list what they wrote in ``written.json``."""
    target = corpus / "written"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONHASHSEED": "0"}
    subprocess.run(  # noqa: S603 - this file, in the benchmark's own environment
        [str(venv_python), __file__, str(target)], check=True, env=environment, cwd=corpus
    )
    from .benign import kind_of  # the writers' environment does not have it

    rows = [
        {
            "path": str(path.relative_to(corpus)),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "package": path.parent.name,
            "kind": path.parent.name if path.parent.name != "pickle" else kind_of(path.name),
        }
        for path in sorted(target.rglob("*"))
        if path.is_file()
    ]
    (corpus / "written.json").write_text(json.dumps(rows, indent=1), "utf-8")


def numpy_files(folder: Path) -> None:
    """Arrays of many types."""
    import numpy as np

    draw = np.random.default_rng(7)
    kinds = ["f4", "f8", "i1", "u2", "?", "c8", "S5", "U3", "M8[ns]", "m8[s]", "V7", ">f4", "f2"]
    for kind in kinds:
        np.save(
            folder / f"{kind.strip('>?')}{kinds.index(kind)}.npy",
            draw.integers(0, 2, (3, 4)).astype("i8").astype(kind)
            if kind != "V7"
            else np.zeros((3,), "V7"),
        )
    np.save(folder / "structured.npy", np.zeros(3, [("a", "f4"), ("b", "i4", (2, 2)), ("c", "U4")]))
    np.save(folder / "fortran.npy", np.asfortranarray(draw.random((4, 3))))
    np.save(folder / "empty.npy", np.zeros((0, 3)))
    np.save(folder / "scalar.npy", np.float64(3.5))
    np.savez(folder / "plain.npz", a=draw.random(5), b=np.arange(4))
    np.savez_compressed(folder / "compressed.npz", a=np.zeros(5000))
    np.save(folder / "objects.npy", np.array([1, "a", None, [1, 2]], dtype=object))
    np.savez(folder / "objects.npz", a=np.array([{"k": 1}, 2.5], dtype=object))


def pickle_files(folder: Path) -> None:
    """Python and numpy values in every protocol."""
    import argparse as arguments
    import collections
    import datetime as dt
    import decimal
    import fractions
    import pathlib
    import pickle
    import random
    import uuid

    import numpy as np

    values = {
        "standard": {
            "ordered": collections.OrderedDict(a=1),
            "counter": collections.Counter("abca"),
            "default": collections.defaultdict(list, a=[1]),
            "deque": collections.deque([1, 2], 5),
            "when": dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
            "day": dt.date(2026, 1, 2),
            "long": dt.timedelta(3),
            "decimal": decimal.Decimal("1.5"),
            "half": fractions.Fraction(1, 2),
            "id": uuid.UUID(int=7),
            "path": pathlib.PurePosixPath("a/b"),
            "real": pathlib.Path("a/b"),
            "options": arguments.Namespace(lr=0.1),
            "complex": 1 + 2j,
            "range": range(3),
            "slice": slice(1, 2),
            "bytes": bytearray(b"abc"),
        },
        "numpy": {
            "array": np.arange(6.0).reshape(2, 3),
            "scalar": np.float32(1.5),
            "integer": np.int64(3),
            "object": np.array(["a", None], dtype=object),
            "text": np.array(["ab", "c"]),
            "structured": np.zeros(2, [("a", "f4"), ("b", "i8")]),
            "generator": np.random.default_rng(3),
            "state": np.random.RandomState(3),
            "dtype": np.dtype("f4"),
            "when": np.datetime64("2026-01-01"),
            "masked": np.ma.masked_array([1, 2], [0, 1]),
            "ufunc": np.log1p,
        },
        "random": {"state": random.Random(3).getstate(), "object": random.Random(3)},  # noqa: S311 - a value to be written
    }
    for name, value in values.items():
        for protocol in range(6):
            (folder / f"{name}-{protocol}.pkl").write_bytes(pickle.dumps(value, protocol))


def joblib_files(folder: Path) -> None:
    """Every compression, and arrays between other things."""
    import joblib
    import numpy as np

    value = {
        "a": np.arange(1000.0),
        "b": [np.zeros((0, 2)), "text", np.array(["x", None], dtype=object)],
        "c": np.asfortranarray(np.ones((3, 4), "f4")),
        "d": np.array(["2026-01-01"], "M8[ns]"),
        "e": np.zeros(2, [("a", "f4"), ("b", "U3")]),
    }
    joblib.dump(value, folder / "plain.joblib")
    for method in ("zlib", "gzip", "bz2", "lzma", "xz", "lz4"):
        joblib.dump(value, folder / f"{method}.joblib", compress=(method, 3))
    for protocol in range(2, 6):
        joblib.dump(value, folder / f"protocol{protocol}.joblib", protocol=protocol)


def torch_files(folder: Path) -> None:
    """State dicts, tensors of every type, old layouts, scripts."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2))
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 4)).sum().backward()
    optimiser.step()
    whole = {"model": net.state_dict(), "optimizer": optimiser.state_dict(), "epoch": 3, "lr": 0.1}
    torch.save(net.state_dict(), folder / "state.pt")
    torch.save(net.state_dict(), folder / "state-legacy.pth", _use_new_zipfile_serialization=False)
    for protocol in range(2, 6):
        torch.save(whole, folder / f"checkpoint-{protocol}.pt", pickle_protocol=protocol)
    torch.save(whole, folder / "checkpoint-legacy.pth", _use_new_zipfile_serialization=False)
    base = torch.arange(24.0).reshape(4, 6)
    odd = {
        "transposed": base.t(),
        "slice": base[1:, ::2],
        "expanded": base[:1].expand(9, 6),
        "scalar": base[0, 0],
        "tied": base,
        "parameter": nn.Parameter(base),
        "empty": base[:0],
        "conjugate": base.to(torch.complex64).conj(),
        "grad": base.clone().requires_grad_(),
        "size": base.size(),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
    }
    torch.save(odd, folder / "views.pt")
    types = [
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int8,
        torch.uint8,
        torch.int64,
        torch.bool,
        torch.complex64,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.uint16,
        torch.uint32,
        torch.uint64,
    ]
    torch.save({str(kind): torch.zeros(3, dtype=kind) for kind in types}, folder / "types.pt")
    torch.save(torch.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2)), folder / "sparse.pt")
    torch.save(torch.eye(3).to_sparse_csr(), folder / "sparse-csr.pt")
    torch.save(torch.quantize_per_tensor(base, 0.1, 3, torch.qint8), folder / "quantised.pt")
    torch.save(
        torch.quantize_per_channel(base, torch.ones(4), torch.zeros(4), 0, torch.qint8),
        folder / "quantised-channels.pt",
    )
    torch.save(net, folder / "module.pt")
    torch.save(nn.TransformerEncoderLayer(8, 2), folder / "transformer.pt")
    torch.save(nn.LSTM(3, 4), folder / "lstm.pt")
    torch.save(
        nn.Conv2d(1, 2, 3), folder / "convolution-legacy.pt", _use_new_zipfile_serialization=False
    )
    torch.save(
        {"rng": torch.get_rng_state(), "args": argparse.Namespace(lr=0.1)}, folder / "rng.pt"
    )
    torch.jit.script(net).save(str(folder / "script.pt"))
    torch.jit.trace(net, torch.ones(1, 4)).save(str(folder / "trace.pt"))
    import pickle

    (folder / "tensor.pkl").write_bytes(pickle.dumps(net.state_dict()))
    exported = torch.export.export(net, (torch.ones(1, 4),))
    torch.export.save(exported, str(folder / "exported.pt2"))


def sklearn_files(folder: Path) -> None:
    """Fitted estimators as pickle, joblib and skops."""
    import pickle

    import joblib
    import skops.io
    from sklearn import (
        cluster,
        datasets,
        decomposition,
        ensemble,
        feature_extraction,
        linear_model,
        naive_bayes,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
    )

    x, y = datasets.load_iris(return_X_y=True)
    texts = ["a model of iris", "another flower", "eval( os.system"] * 50
    fitted = {
        "logistic": linear_model.LogisticRegression(max_iter=500).fit(x, y),
        "ridge": linear_model.Ridge().fit(x, y),
        "forest": ensemble.RandomForestClassifier(5).fit(x, y),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=3).fit(x, y),
        "histogram": ensemble.HistGradientBoostingClassifier(max_iter=3).fit(x, y),
        "svc": svm.SVC().fit(x, y),
        "tree": tree.DecisionTreeClassifier().fit(x, y),
        "neighbours": neighbors.KNeighborsClassifier().fit(x, y),
        "kdtree": neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(x, y),
        "bayes": naive_bayes.GaussianNB().fit(x, y),
        "kmeans": cluster.KMeans(3).fit(x),
        "pca": decomposition.PCA(2).fit(x),
        "mlp": neural_network.MLPClassifier(max_iter=5).fit(x, y),
        "sgd": linear_model.SGDClassifier(loss="log_loss").fit(x, y),
        "isolation": ensemble.IsolationForest(n_estimators=5).fit(x),
        "pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), svm.LinearSVC()).fit(
            x, y
        ),
        "tfidf": pipeline.make_pipeline(
            feature_extraction.text.TfidfVectorizer(), linear_model.LogisticRegression()
        ).fit(texts, [0, 1, 2] * 50),
        "onehot": preprocessing.OneHotEncoder().fit(x[:, :1]),
    }
    for name, model in fitted.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model))
        joblib.dump(model, folder / f"{name}.joblib")
        skops.io.dump(model, folder / f"{name}.skops")


def pandas_files(folder: Path) -> None:
    """Frames in every compression that pandas writes."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "a": [1, 2],
            "b": ["x", None],
            "c": pd.to_datetime(["2026-01-01", None]),
            "d": pd.Categorical(["u", "v"]),
            "e": [True, False],
            "f": [1.5, float("nan")],
        }
    )
    for ending in ("pkl", "pkl.gz", "pkl.bz2", "pkl.xz", "pkl.zip", "pkl.tar"):
        frame.to_pickle(folder / f"frame.{ending}")
    for name, value in {
        "series": frame["a"],
        "multi": frame.set_index(["a", "b"]),
        "periods": pd.period_range("2026-01", periods=3),
        "nullable": frame.astype({"a": "Int64"}),
        "intervals": pd.interval_range(0, 3),
        "zone": frame["c"].dt.tz_localize("UTC"),
    }.items():
        pd.to_pickle(value, folder / f"{name}.pkl")


def keras_files(folder: Path) -> None:
    """Models in both formats."""
    import keras

    plain = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    plain.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    entry = keras.layers.Input((8, 8, 1))
    value = keras.layers.Conv2D(2, 3, padding="same")(entry)
    value = keras.layers.BatchNormalization()(value)
    value = keras.layers.Add()([value, keras.layers.Activation("gelu")(value)])
    value = keras.layers.GlobalAveragePooling2D()(value)
    functional = keras.Model(entry, keras.layers.Dense(1, kernel_regularizer="l2")(value))
    sequence = keras.Sequential(
        [
            keras.layers.Input((None,)),
            keras.layers.Embedding(20, 4),
            keras.layers.Bidirectional(keras.layers.LSTM(3)),
            keras.layers.Dense(1),
        ]
    )
    for name, model in {"plain": plain, "functional": functional, "sequence": sequence}.items():
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        model.save_weights(folder / f"{name}.weights.h5")
    (folder / "config.json").write_text(functional.to_json())


def onnx_files(folder: Path) -> None:
    """Graphs by the helper, one with external data."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((4, 300), "f4"), "w")
    value = lambda name, *dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)  # noqa: E731
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
        "g",
        [value("x", 1, 4)],
        [value("y", 1, 300)],
        [weight],
    )
    model = helper.make_model(graph)
    onnx.save(model, folder / "plain.onnx")
    onnx.save(
        model,
        folder / "external.onnx",
        save_as_external_data=True,
        location="external.bin",
        size_threshold=0,
    )


def small_files(folder: Path) -> None:
    """safetensors, GGUF, HDF5, msgpack."""
    import gguf
    import h5py
    import msgpack
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {
        "a": np.ones((2, 3), "f4"),
        "b": np.arange(4),
        "c": np.zeros((0,), "f2"),
        "d": np.array([True]),
    }
    save_file(arrays, folder / "plain.safetensors")
    save_file(arrays, folder / "metadata.safetensors", {"format": "pt", "note": "x"})
    for name, template in {
        "plain": None,
        "chat": "{% for m in messages %}{{ m['content'] | trim }}{% endfor %}",
    }.items():
        writer = gguf.GGUFWriter(folder / f"{name}.gguf", "llama")
        writer.add_context_length(128)
        writer.add_token_list(["<s>", "eval", "__class__", "{{ a.__init__ }}"])
        writer.add_token_scores([0.0, 1.0, 2.0, 3.0])
        if template:
            writer.add_chat_template(template)
        writer.add_tensor("w", np.ones((4, 32), "f4"))
        writer.add_tensor("h", np.ones((4, 32), "f2"))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    for name, version in {"earliest": "earliest", "latest": "latest"}.items():
        with h5py.File(folder / f"{name}.h5", "w", libver=version) as file:
            for index in range(12):
                group = file.create_group(f"layer{index}")
                group.create_dataset(
                    "kernel", data=np.ones((3, 4), "f4"), compression="gzip" if index % 2 else None
                )
                group.attrs["names"] = np.array([b"kernel:0", b"bias:0"])
            file.attrs["note"] = "text"
            for index in range(12):
                file.attrs[f"attribute{index}"] = index
    (folder / "plain.msgpack").write_bytes(
        msgpack.packb({"a": [1, 2.5, None, "x"], b"b": b"\0\1", "n": {"deep": [True]}})
    )


WRITERS: dict[str, Callable[[Path], None]] = {
    "numpy": numpy_files,
    "pickle": pickle_files,
    "joblib": joblib_files,
    "torch": torch_files,
    "sklearn": sklearn_files,
    "pandas": pandas_files,
    "keras": keras_files,
    "onnx": onnx_files,
    "small": small_files,
}


def main() -> None:
    """Write everything."""
    target = Path(sys.argv[1])
    for name, writer in WRITERS.items():
        folder = target / name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            writer(folder)
        except Exception as error:  # noqa: BLE001 - one library does not stop the others
            print(f"{name}: stopped at {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
