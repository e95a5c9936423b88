"""Run as a process of its own: what real unpicklers do with a stream of inert names.

Reads lines of hexadecimal from standard input, answers each with a line of JSON: for the C
unpickler and for ``pickle.py``, the effects up to the end or the error. Nothing but the module
``inert`` can be imported, and nothing in it does anything but take notes.
"""

# ruff: noqa: ARG001, ARG002, ARG004, PYI034 - it takes whatever it is given, and takes note
import copyreg
import io
import json
import pickle
import resource
import sys
import types

NOTES: list[str] = []


class Recorder:
    """A class whose every use is noted."""

    def __new__(cls, *arguments: object, **named: object) -> "Recorder":
        NOTES.append("call:inert:Recorder")
        return super().__new__(cls)

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        NOTES.append("build:inert:Recorder")

    def __setitem__(self, key: object, value: object) -> None:
        NOTES.append("items:inert:Recorder")

    def append(self, value: object) -> None:
        NOTES.append("items:inert:Recorder")

    def extend(self, values: object) -> None:
        NOTES.append("items:inert:Recorder")

    def add(self, value: object) -> None:
        NOTES.append("items:inert:Recorder")

    def update(self, *values: object) -> None:
        NOTES.append("items:inert:Recorder")


def sink(*arguments: object) -> object:
    """Take note of a call."""
    NOTES.append("call:inert:sink")
    return Recorder.__new__(Recorder)


inert = types.ModuleType("inert")
inert.sink = sink
inert.Recorder = Recorder
inert.os = types.SimpleNamespace(sink=sink)
sys.modules["inert"] = inert
copyreg.add_extension("inert", "sink", 7)


def guarded(base: type) -> type:
    """Return an unpickler that imports from ``inert`` only."""

    class Guarded(base):
        def find_class(self, module: str, name: str) -> object:
            if module != "inert":
                raise pickle.UnpicklingError(f"{module} is not inert")
            NOTES.append(f"import:{module}:{name}")
            return super().find_class(module, name)

    return Guarded


READERS = {"c": guarded(pickle.Unpickler), "python": guarded(pickle._Unpickler)}


def main() -> None:
    """Answer every line."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    for line in sys.stdin:
        stream = bytes.fromhex(line)
        answer = {}
        for label, reader in READERS.items():
            NOTES.clear()
            try:
                reader(io.BytesIO(stream)).load()
                error = ""
            except BaseException as problem:  # noqa: BLE001 - an error is an answer
                error = type(problem).__name__
            answer[label] = {"effects": sorted(set(NOTES)), "error": error}
        print(json.dumps(answer), flush=True)  # noqa: T201 - the way it answers


main()
