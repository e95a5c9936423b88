"""Memory that was verified, in the form in which it is handed out: nothing writes to it by mistake.

Python can make bytes that nobody writes to only as a copy (``bytes``), and a map that nobody writes
to only of a file. Small files are copied. Large ones stay in the memory they were read into, behind
an array and a view of which both are read-only, so that no ``flags.writeable = True`` and no owner
of a view leads to writable memory. Whoever digs through ``.base`` and ``.obj`` of all of them finds
it; so does whoever uses ``ctypes``. Code in a process can change what is in the process.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mmap

COPIED = 1 << 21
"""Bytes below which a file becomes ``bytes``: what fits a processor's cache is copied at once."""


def read_only(memory: "mmap.mmap | bytearray | memoryview") -> NDArray[Any]:
    """Return filled memory as the bytes of an array that cannot be made writable.

    It is an array because that can be remembered weakly: it goes when its last view goes.
    """
    with memoryview(memory) as view:
        content = bytes(view) if len(view) < COPIED else view.toreadonly()
    if not content:
        return np.frombuffer(b"\0", np.uint8)[:0]  # numpy makes nothing of no bytes
    return np.frombuffer(content, np.uint8)
