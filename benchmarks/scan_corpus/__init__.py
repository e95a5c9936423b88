"""The corpora of the scanning benchmarks: honest files, hostile files, and the peers' runners.

Nothing in here loads a model file. Hostile files are assembled byte by byte, deterministically,
with inert arguments (``echo inert``, a file that does not exist, ``about:blank``), and are kept in
a folder outside the repository.
"""
