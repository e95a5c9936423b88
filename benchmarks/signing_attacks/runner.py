"""One verifier in a process of its own: reads the names of probes, writes what came of each.

Started by ``sessions``; its own limit of memory, and an audit hook that cannot be removed, are
why this is a process.
"""

import contextlib
import io
import json
import logging
import os
import resource
import sys
import warnings
from dataclasses import asdict, replace

from .catalogue import probes, variants
from .probe import Attempt
from .triggers import Trigger
from .verifiers import Outcome, outcome
from .workshop import workshop

_ATTEMPTS = 3
_MEMORY_BYTES = 2 * 1024**3


def tried(verifier: str, name: str, trigger: Trigger) -> dict[str, Outcome]:
    """Set a probe or a variant up, and return the outcomes of the control and of the attack."""

    def verified(attempt: Attempt) -> Outcome:
        with trigger.armed(attempt.race):
            found = outcome(verifier, attempt)
        if attempt.race is not None and not trigger.happened:
            return replace(found, kind="missed")
        return found

    with workshop() as shop:
        variant = variants().get(name)
        if variant is not None:
            return {"result": verified(variant.stage(shop))}
        stages = probes()[name].stage(shop)
        control = verified(next(stages))
        return {"control": control, "result": verified(next(stages))}


def tried_again(verifier: str, name: str, trigger: Trigger) -> dict[str, Outcome]:
    """Return the outcomes; a race whose moment never came on a busy machine is run again."""
    for _ in range(_ATTEMPTS - 1):
        answer = tried(verifier, name, trigger)
        if answer["result"].kind != "missed":
            return answer
    return tried(verifier, name, trigger)


def main() -> None:
    """Answer line by line."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    out = os.fdopen(os.dup(1), "w", buffering=1)
    warnings.simplefilter("ignore")
    logging.disable()
    trigger = Trigger()
    with contextlib.redirect_stdout(io.StringIO()):
        for line in sys.stdin:
            answer = tried_again(sys.argv[1], line.rstrip("\n"), trigger)
            out.write(json.dumps({key: asdict(value) for key, value in answer.items()}) + "\n")


if __name__ == "__main__":
    main()
