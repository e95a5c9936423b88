"""Readers of archives and of compressed streams."""
