"""What it costs to verify a tiny model from the command line, start of the interpreter included.

CPU seconds, user and system, of a child process from its start to its end; this library, the
reference implementation of OMS and a bare interpreter take turns, reported are medians over
rounds. The goal is 0.15 CPU seconds.

Run ``python benchmarks/signing_start.py [--rounds N] [--json FILE]``. It takes about a minute.
"""

import argparse
import os
import tempfile
from importlib import metadata
from pathlib import Path
from statistics import median

from harness import environment, markdown, met, spread, write_json
from modelsec.signing import PrivateKey, sign
from scan_start import measured

GOAL_MS = 150.0
CRYPTOGRAPHY = (
    "import cryptography.hazmat.primitives.serialization, "
    "cryptography.hazmat.primitives.asymmetric.ec"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the results here, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # As after an installation with pip: everything is compiled, whatever this shell says.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        model, private, public = folder / "model", folder / "key.pem", folder / "key.pub.pem"
        model.mkdir()
        (model / "config.json").write_text("{}\n", "utf-8")
        (model / "weights.bin").write_bytes(b"weights")
        key = PrivateKey.generate()
        key.save(private)
        key.public.save(public)
        bundle = str(sign(model, key).bundle)
        reference = ["-m", "model_signing", "verify", "key", str(model), "--signature", bundle]
        commands = {
            "python -c pass": ["-c", "pass"],
            "import of the keys of cryptography": ["-c", CRYPTOGRAPHY],
            "modelsec verify": ["-m", "modelsec", "verify", str(model), "--key", str(public)],
            "modelsec sign": ["-m", "modelsec", "sign", str(model), "--key", str(private)],
            "modelsec digest": ["-m", "modelsec", "digest", str(model)],
            "model_signing verify": [*reference, "--public_key", str(public)],
        }
        measured(commands, 2)  # compiled files and caches of the disk
        costs = measured(commands, options.rounds)
    print(f"{environment()}, model-signing {metadata.version('model-signing')}")
    print(f"{options.rounds} rounds; load {os.getloadavg()[0]:.1f}\n")
    ours = median(costs["modelsec verify"])
    rows = [
        [
            name,
            spread(cost),
            median(cost) / ours,
            met(median(cost) <= GOAL_MS) if name == "modelsec verify" else "",
        ]
        for name, cost in costs.items()
    ]
    print(markdown(["command", "CPU ms", "ratio to ours", f"goal <= {GOAL_MS:g}"], rows))
    medians = {name: median(cost) for name, cost in costs.items()}
    write_json(options.json, {"environment": environment(), "cpu_ms": medians})


if __name__ == "__main__":
    main()
