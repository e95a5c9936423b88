"""All probes and all legitimate variants."""

from . import (
    bundle,
    bundle_form,
    certificate,
    identity,
    payload,
    payload_names,
    payload_shards,
    race,
    tree,
    tree_kinds,
)
from .legitimate import legitimate
from .probe import Probe, Variant

CLASSES = (
    tree.attacks,
    tree_kinds.attacks,
    bundle.attacks,
    bundle_form.attacks,
    certificate.attacks,
    payload.attacks,
    payload_names.attacks,
    payload_shards.attacks,
    race.attacks,
    identity.attacks,
)


def probes() -> dict[str, Probe]:
    """Return the probes by class and name, in order."""
    found = {f"{each.group}: {each.name}": each for group in CLASSES for each in group.probes}
    assert len(found) == sum(len(group.probes) for group in CLASSES), "two probes of one name"
    return found


def variants() -> dict[str, Variant]:
    """Return the legitimate variants by name, in order."""
    found = {f"legitimate: {each.name}": each for each in legitimate.variants}
    assert len(found) == len(legitimate.variants), "two variants of one name"
    return found
