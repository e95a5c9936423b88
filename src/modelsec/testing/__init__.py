"""Conformance kits and simulators for those who build on modelsec."""
