"""Where the benchmarks keep what they make: outside the repository."""

import os
from pathlib import Path

CACHE = Path(os.environ.get("MODELSEC_BENCH") or Path.home() / ".cache" / "modelsec-bench")
PACKAGES = CACHE / "packages"
CORPUS = CACHE / "corpus"
VENVS = CACHE / "venvs"
RESULTS = CACHE / "results"
