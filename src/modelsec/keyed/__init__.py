"""Keyed pseudo-randomness: one secret, many purposes."""

from modelsec.keyed.secret import Secret

__all__ = ["Secret"]
