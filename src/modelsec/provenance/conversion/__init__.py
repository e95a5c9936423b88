"""Conversion to safetensors, bit by bit, without loading anything."""
