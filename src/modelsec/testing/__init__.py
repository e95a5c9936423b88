"""Conformance kits and simulators for those who build on modelsec."""

from modelsec.testing.clock import FakeClock
from modelsec.testing.scorer_kit import check_scorer
from modelsec.testing.signer_kit import check_signer
from modelsec.testing.simulators import SimulatedRequest, simulate_traffic
from modelsec.testing.store_kit import check_store
from modelsec.testing.trust_kit import check_trust
from modelsec.testing.wrapper import check_key_wrapper

__all__ = [
    "FakeClock",
    "SimulatedRequest",
    "check_key_wrapper",
    "check_scorer",
    "check_signer",
    "check_store",
    "check_trust",
    "simulate_traffic",
]
