"""The library's version, where receipts and reports can name it."""

__version__ = "0.1.0"
