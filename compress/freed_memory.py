"""Memory that a training step freed is kept for the next one."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3), of glibc: what the top of the heap may hold before it is handed back; how many blocks
# are mapped one by one.
TRIM_THRESHOLD = -1
MMAP_MAX = -4


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Have the C library use freed blocks again, and hand back what is free at the end.

    By itself glibc hands a large block back as soon as it is freed. The gradient of a word table
    then costs, at every step, the system's zeroing of some 12,000 pages before the first number
    is written to it. The settings stay for the rest of the process: glibc, once told, cannot go
    back to adjusting them by itself. Where the C library has none, nothing changes.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallopt"):
        yield
        return
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        library.malloc_trim(0)
