"""The GPU through NVIDIA's driver API: whether there is one, its memory, its stream."""

import ctypes
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketbert.compress.errors import BundleError

DRIVER = "libcuda.so.1"


def why_no_gpu(driver: str = DRIVER) -> str | None:
    """Say why no GPU can be used here; None if one can.

    Args:
        driver: The driver's library.
    """
    if find_spec("cuda") is None:
        return "cuda-bindings is not installed (pip install 'pocketbert[tensorrt]')"
    try:
        library = ctypes.CDLL(driver)
    except OSError:
        return f"this machine has no NVIDIA driver ({driver} does not load)"
    count = ctypes.c_int(0)
    if library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start"
    return None if count.value else "the NVIDIA driver finds no GPU"


class Gpu:
    """The first GPU, with one stream.

    Attributes:
        name: As the driver calls it.
        capability: Compute capability, such as "8.7".
        memory_bytes: All of its memory; on a Jetson, which shares it, the board's.
        stream: Handle of the stream.

    Raises:
        BundleError: The driver refuses a call.
    """

    def __init__(self) -> None:
        from cuda.bindings import driver  # only here: it needs the driver's library

        self._driver = driver
        self._call("cuInit", 0)
        device = self._call("cuDeviceGet", 0)
        self.name = self._call("cuDeviceGetName", 128, device).split(b"\0")[0].decode()
        attributes = driver.CUdevice_attribute
        major = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
        minor = attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
        numbers = [self._call("cuDeviceGetAttribute", which, device) for which in (major, minor)]
        self.capability = ".".join(str(number) for number in numbers)
        self.memory_bytes = int(self._call("cuDeviceTotalMem", device))
        self._context = self._call("cuDevicePrimaryCtxRetain", device)
        self.enter()
        self._stream = self._call("cuStreamCreate", 0)
        self.stream = int(self._stream)

    def enter(self) -> None:
        """Make this GPU the calling thread's."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size_bytes: int) -> int:
        """Return the address of new memory."""
        return int(self._call("cuMemAlloc", size_bytes))

    def upload(self, address: int, array: NDArray[np.generic]) -> None:
        """Copy an array to the GPU, in the stream's order."""
        self._call("cuMemcpyHtoDAsync", address, array.ctypes.data, array.nbytes, self._stream)

    def download(self, array: NDArray[np.generic], address: int) -> None:
        """Copy from the GPU into an array and wait for it."""
        self._call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, self._stream)
        self._call("cuStreamSynchronize", self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *results = getattr(self._driver, name)(*arguments)
        if int(status) != 0:
            raise BundleError(
                f"the NVIDIA driver answers {status.name} to {name}, expected success; look at "
                "the GPU with nvidia-smi"
            )
        return results[0] if results else None
