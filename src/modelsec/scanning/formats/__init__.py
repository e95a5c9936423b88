"""Readers of formats: one module, or a few with one prefix, a format."""
