"""``modelsec demo``: the library at work, one scene a capability."""

import time
from argparse import Namespace
from collections.abc import Callable

from rich.console import Console

from modelsec.cli import OK
from modelsec.cli.console import out
from modelsec.cli.scenes import scanning, signing, theft
from modelsec.errors import ConfigurationError

SCENES: tuple[tuple[str, Callable[[Console, Namespace], None]], ...] = (
    ("Who is stealing the model?", theft.play),
    ("Is this model file safe to load?", scanning.play),
    ("Is this the model that was signed?", signing.play),
)
"""Title and player of every scene, in the order of the story."""


def run(options: Namespace) -> int:
    """Run the command."""
    console = out()
    began = time.process_time()
    for title, play in SCENES:
        console.rule(f"[bold]{title}")
        try:
            play(console, options)
        except ConfigurationError as error:  # an extra is missing: the other scenes can do without
            console.print(f"left out: {error}", style="yellow", markup=False)
    console.print(f"\n{time.process_time() - began:.1f} s of CPU.", style="dim")
    return OK
