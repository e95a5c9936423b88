"""Scene: files that arrive under honest names, and what loading them would do."""

import io
import pickle
import tempfile
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from modelsec.cli.console import safe
from modelsec.provenance import convert
from modelsec.scanning import ScanReport, Verdict, scan_tree

_STYLES = {
    Verdict.DATA_ONLY: "green",
    Verdict.ALLOW_LISTED: "green",
    Verdict.UNKNOWN: "yellow",
    Verdict.DANGEROUS: "red",
}


def play(console: Console, options: Namespace) -> None:
    """Write a folder of models, scan it by content, convert one without loading it."""
    del options
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in _folder().items():
            (folder / file).write_bytes(content)
        report = scan_tree(folder)
        console.print(_table(report.files))
        converted = convert(folder / "weights.npz", folder / "weights.safetensors")
        console.print(
            f"\nweights.npz became safetensors without being loaded: "
            f"{len(converted.tensors)} tensors, bit by bit."
        )


def _folder() -> dict[str, bytes]:
    """Return files by name. The hostile ones say what they would do; nobody ever loads them."""
    weights = {"layer.weight": np.arange(12.0).reshape(3, 4), "layer.bias": np.zeros(3)}
    arrays = io.BytesIO()
    np.savez(arrays, weight=weights["layer.weight"], bias=weights["layer.bias"])
    # GLOBAL os.system, a text, TUPLE1, REDUCE: the whole of the oldest attack.
    hostile = b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00echo inert\x85R."
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("model/data.pkl", pickle.dumps({"epoch": 3}, 2)[:-1] + b"0" + hostile[2:])
        members.writestr("model/version", "3\n")
    return {
        "weights.npz": arrays.getvalue(),
        "vectorizer.pkl": pickle.dumps({"vocabulary": {"os.system": 0, "eval": 1}, "idf": weights}),
        "config.json": b'{"hidden_size": 64, "auto_map": {"AutoModel": "modeling_ours.Model"}}',
        "tokenizer.json": hostile,
        "checkpoint.pt": archive.getvalue(),
        "ours.pkl": b"\x80\x02cour_models.nets\nNet\n)R.",
        "cut-off.pkl": pickle.dumps(list(range(100)))[:-20],
    }


def _table(reports: tuple[ScanReport, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "really", "verdict", "coverage", "because"):
        table.add_column(heading)
    for report in sorted(reports, key=lambda report: (report.verdict.rank, report.name)):
        worst = next((finding for finding in report.findings if finding.severity != "note"), None)
        style = _STYLES[report.verdict] if report.safe or worst is None else "yellow"
        style = "red" if report.verdict is Verdict.DANGEROUS else style
        table.add_row(
            safe(report.name),
            safe(report.format),
            f"[{style}]{report.verdict}[/]",
            str(report.coverage),
            safe(worst.message if worst else ""),
        )
    return table
