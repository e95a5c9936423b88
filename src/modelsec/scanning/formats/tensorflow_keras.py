"""What Keras wrote beside a TensorFlow graph: JSON that rebuilds the Python objects.

``keras_metadata.pb`` (and, in older SavedModels, the object graph) holds one JSON text for each
layer. A Lambda in it brings Python code, whatever the graph is; it is checked as the configuration
of a ``.keras`` file is.
"""

from collections.abc import Iterator
from importlib import import_module

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import json_text
from modelsec.scanning.part import Observation, Part

METADATA_JSON = Rule(
    "MS-TFG-010",
    "Keras metadata that cannot be read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="save the model again with a current Keras",
)


def check_metadata(part: Part, start: int, stop: int) -> Iterator[Observation]:
    """Check the JSON text at [start, stop); another text means nothing to Keras."""
    part.budget.allow_read(stop - start)
    text = part.source.read(start, stop - start)
    if not text.lstrip().startswith(b"{"):
        return
    try:
        document = json_text.parse(text, part.budget)
    except MalformedArtifactError as error:
        message = f"the metadata of an object is no JSON: {error}"
        yield METADATA_JSON.at(start, message, length=stop - start, evidence=text)
        return
    keras = import_module("modelsec.scanning.formats.keras")
    for observed in keras.check_config(document.value, part.budget, part.policy):
        # A class that Keras does not know is rebuilt from the graph: its name does nothing.
        harmless = isinstance(observed, Finding) and observed.verdict is Verdict.UNKNOWN
        if not harmless:
            yield observed
