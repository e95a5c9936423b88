"""Scene: a signed model, what attackers do to it, and bytes that cannot be swapped."""

import shutil
import tempfile
from argparse import Namespace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from modelsec.cli.console import safe
from modelsec.errors import ModelSecError
from modelsec.provenance import convert, load_safetensors_verified
from modelsec.signing import PrivateKey, Release, TrustedKeys, TrustStore, Verifier, sign

if TYPE_CHECKING:
    from collections.abc import Callable


def play(console: Console, options: Namespace) -> None:
    """Sign a model twice, let attackers at it, and load what was verified."""
    del options
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key, stranger = PrivateKey.generate(), PrivateKey.generate()
        model = _model(folder)
        old = folder / "old"
        sign(model, key, release=Release("churn", version="1", serial=1))
        shutil.copytree(model, old)
        shutil.copy(folder / "model.sig", folder / "old.sig")
        (model / "config.json").write_text('{"layers": 3}', "utf-8")
        sign(model, key, release=Release("churn", version="2", serial=2))
        verifier = Verifier(
            TrustedKeys([key.public]), name="churn", releases=TrustStore(folder / "releases.json")
        )
        receipt = verifier.verify(model)
        console.print(
            f"Signed with {receipt.signatories[0].algorithm}, {len(receipt.files)} files verified, "
            f"tree digest {receipt.tree_digest[:16]}….\n"
        )
        console.print(_attacks(folder, stranger, verifier))
        tensors = load_safetensors_verified(model, verifier)
        console.print(f"\n{len(tensors)} tensors loaded, from the very bytes that were verified.")


def _model(folder: Path) -> Path:
    model = folder / "model"
    model.mkdir()
    np.savez(folder / "weights.npz", weight=np.ones((3, 4), "f4"), bias=np.zeros(3, "f4"))
    convert(folder / "weights.npz", model / "model.safetensors")
    (model / "config.json").write_text('{"layers": 2}', "utf-8")
    return model


def _attacks(folder: Path, stranger: PrivateKey, verifier: Verifier) -> Table:
    def flip(model: Path) -> None:
        content = bytearray((model / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (model / "model.safetensors").write_bytes(content)

    def add(model: Path) -> None:
        (model / "tokenizer.py").write_text("import os\n", "utf-8")

    def link(model: Path) -> None:
        (model / "config.json").unlink()
        (model / "config.json").symlink_to("/etc/hostname")

    def sign_again(model: Path) -> None:
        flip(model)
        sign(model, stranger, release=Release("churn", version="2", serial=3))

    def put_back(model: Path) -> None:
        shutil.rmtree(model)
        shutil.copytree(folder / "old", model)
        shutil.copy(folder / "old.sig", model.with_name(f"{model.name}.sig"))

    attacks: dict[str, Callable[[Path], None]] = {
        "flips one bit of the weights": flip,
        "adds a file of code": add,
        "makes the configuration a link": link,
        "signs a changed model with a key of their own": sign_again,
        "puts back the release of last year": put_back,
    }
    table = Table(box=None, pad_edge=False)
    for heading in ("an attacker …", "refused with", "because"):
        table.add_column(heading)
    for number, (title, attack) in enumerate(attacks.items()):
        victim = folder / f"victim-{number}"
        shutil.copytree(folder / "model", victim)
        shutil.copy(folder / "model.sig", victim.with_name(f"{victim.name}.sig"))
        attack(victim)
        try:
            verifier.verify(victim)
        except ModelSecError as error:
            reason = str(error).replace(str(folder), "…")
            table.add_row(
                title,
                f"[green]{type(error).__name__}[/]",
                safe(shorten(reason, 110, placeholder=" …")),
            )
        else:
            table.add_row(title, "[red]nothing[/]", "it was accepted")
    return table
