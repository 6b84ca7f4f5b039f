"""Lanes on one GPU, and how long its ops take there."""

import ctypes
import statistics
import time

import numpy as np

from lanes_h import Header


class Device:
    """A CUDA runtime of liblanes with the memory that a benchmark takes from it."""

    def __init__(self, library, header, seed, warm=4, fewest=5):
        """`warm`, `fewest`: rounds that are not timed, and the least number of those that are."""
        self.h, self.warm, self.fewest = Header(library, header), warm, fewest
        self.random = np.random.default_rng(seed)
        self.noise = self.random.standard_normal(1 << 22, dtype=np.float32)
        handle = ctypes.c_void_p()
        self.h.lanes_runtime_create(ctypes.byref(self.h.params("lanes_runtime_params", device=self.h.LANES_DEVICE_CUDA)), ctypes.byref(handle))
        self.runtime = handle
        info = self.h.params("lanes_runtime_info")
        self.h.lanes_get_runtime_info(self.runtime, ctypes.byref(info))
        self.name, self.kernels = info.device_name.decode(), info.kernels.decode()
        self.release = []

    def floats(self, *shape, scale=1.0):
        """Random float32 numbers; large arrays repeat 4 million of them."""
        count = int(np.prod(shape))
        begin = int(self.random.integers(len(self.noise)))
        return (np.resize(np.roll(self.noise, -begin) if begin else self.noise, count).reshape(shape) * np.float32(scale)).astype(np.float32)

    def tensor(self, array):
        """A copy on the device; its address. Freed by `free`."""
        array = np.ascontiguousarray(array)
        address = ctypes.c_void_p()
        self.h.lanes_runtime_alloc(self.runtime, ctypes.c_uint64(array.nbytes), self.h.LANES_MEMORY_OTHER, ctypes.byref(address))
        self.release.append(lambda: self.h.lanes_runtime_free(self.runtime, address))
        copy = self.h.params("lanes_copy_params", src=array.ctypes.data, src_bytes=array.nbytes, src_stride=array.nbytes, dst=address.value,
                             dst_bytes=array.nbytes, dst_stride=array.nbytes, rows=1, row_bytes=array.nbytes)
        self.h.lanes_upload(self.runtime, ctypes.byref(copy))
        return address.value

    def empty(self, *shape, dtype=np.float32):
        return self.tensor(np.full(shape, np.nan if dtype == np.float32 else 0, dtype))

    def weight(self, array, dtype):
        """A packed weight from float32 rows; its handle."""
        rows, cols = array.shape
        handle = ctypes.c_void_p()
        self.h.lanes_weight_create(ctypes.byref(self.h.params("lanes_weight_params", rows=rows, cols=cols, dtype=dtype,
                                                              runtime=self.runtime.value)), ctypes.byref(handle))
        self.release.append(lambda: self.h.lanes_weight_destroy(handle))
        array = np.ascontiguousarray(array, np.float32)
        pack = self.h.params("lanes_weight_pack_params", weight=handle.value, src=array.ctypes.data, src_bytes=array.nbytes,
                             src_dtype=self.h.LANES_F32, row_count=rows, col_count=cols)
        self.h.lanes_weight_pack(self.runtime, ctypes.byref(pack))
        return handle.value

    def pool(self, **fields):
        handle = ctypes.c_void_p()
        self.h.lanes_kv_pool_create(ctypes.byref(self.h.params("lanes_kv_pool_params", runtime=self.runtime.value, **fields)),
                                    ctypes.byref(handle))
        self.release.append(lambda: self.h.lanes_kv_pool_destroy(handle))
        return handle.value

    def free(self):
        self.h.lanes_synchronize(self.runtime)
        while self.release:
            self.release.pop()()

    def calls(self, *ops):
        """(kind, params) pairs as what lanes_run takes; keeps them alive."""
        table = (self.h.structs["lanes_call"] * len(ops))()
        for call, (kind, params) in zip(table, ops):
            call.kind = self.h.constants["LANES_CALL_" + kind]
            call.params = ctypes.addressof(params)
        table.keep = ops
        return table

    def run(self, calls):
        self.h.lanes_run(self.runtime, calls, ctypes.c_uint64(len(calls)))

    def wait(self):
        self.h.lanes_synchronize(self.runtime)

    def rounds(self, calls, seconds):
        """Seconds of one call, for each of several rounds; warm, as a graph that is replayed."""
        for _ in range(self.warm):
            self.run(calls)
        self.wait()
        times, end = [], time.perf_counter() + seconds
        while len(times) < self.fewest or time.perf_counter() < end:
            start = time.perf_counter()
            self.run(calls)
            self.wait()
            times.append((time.perf_counter() - start) / len(calls))
        return times


def rate(amount, times):
    """(median, lowest, highest) of amount a second."""
    rates = sorted(amount / t for t in times)
    return statistics.median(rates), rates[0], rates[-1]
