"""Where a model comes from, and what it becomes: conversion to formats that cannot run code."""

from modelsec.provenance.conversion import convert
from modelsec.provenance.record import Conversion, ConvertedTensor
from modelsec.provenance.state_dict import DroppedLeaf
from modelsec.provenance.verifier import FormatCheck, ModelProvenanceVerifier

__all__ = [
    "Conversion",
    "ConvertedTensor",
    "DroppedLeaf",
    "FormatCheck",
    "ModelProvenanceVerifier",
    "convert",
]
