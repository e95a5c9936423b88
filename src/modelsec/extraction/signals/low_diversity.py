"""Inputs that repeat, nearly repeat, or fill one template.

Diversity of the last 100 inputs is the mean over inputs of 1 / (number of inputs like it,
itself included): the effective number of kinds over the number of inputs (order 0 of Leinster
and Cobbold 2012, "Measuring diversity: the importance of species similarity"). For exact repeats
it is the share of distinct inputs; near-duplicates and inputs made from one template count as
alike, too (:mod:`modelsec.text.minhash` says when). The score is 1 - diversity, and 0 before 10
inputs. Of more than 24 inputs, a fixed irregular sample of 24 is compared with all of them: the
mean is then off by .09 (one standard error) at worst, and by nothing where all inputs behave
the same.

Remembers a keyed 32-bit sketch for each of the last 100 inputs, no text. An input is what is new
in a request: after the model's last answer, without system messages.

Limits: templates over long, varied documents look diverse (the documents are); honest batch jobs
over short texts look like grids (they are).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from modelsec.protocols import InferenceRequest, Ring, Signal, Window
from modelsec.text import alike_counts

ENOUGH = 10
SAMPLE = 24
SKETCHES = Ring("sketches", InferenceRequest.sketch, length=100, width=4)


@dataclass(frozen=True, slots=True)
class LowDiversity:
    """How much the last 100 inputs are alike."""

    name: str = "low_diversity"
    remembers: tuple[Ring, ...] = (SKETCHES,)

    def score(self, window: Window) -> Signal:
        """Score 1 - diversity."""
        sketches = np.asarray(window[SKETCHES], np.uint32)
        inputs = len(sketches)
        if inputs < ENOUGH:
            return Signal(0.0, f"only {inputs} inputs so far")
        some = sketches if inputs <= SAMPLE else sketches[_sample(inputs)]
        shares = 1.0 / alike_counts(some, sketches)
        diversity = float(np.add.reduce(shares)) / len(shares)
        kinds = diversity * inputs
        return Signal(1.0 - diversity, f"{kinds:.1f} kinds of input among the last {inputs}")


@cache
def _sample(inputs: int) -> npt.NDArray[np.intp]:
    """Choose the same positions always, with no period that traffic could fall into."""
    return np.sort(np.random.default_rng(0).permutation(inputs)[:SAMPLE])
