"""Attacks on signed models, and legitimate variants, for every verifier of OMS bundles alike.

Each probe makes a model, its bundle and what the verifier's user asks for in a folder of its own,
has it verified once before the manipulation (the control) and once after it. What is signed here
is signed by a writer of this package, never by the library under test: it must refuse to write
most of it. Everything is harmless: files hold inert text, keys live as long as a probe.

Run ``python -m benchmarks.signing_attacks`` from the repository's root for the table.
"""
