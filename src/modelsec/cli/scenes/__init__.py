"""Scenes of the demo, one module a capability."""
