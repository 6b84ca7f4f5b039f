"""Lists what a library holds for GPUs, from the fat binaries that nvcc embeds: python3 gpu-targets.py liblanes.so prints lines such as
"3 sm_80 cubin" and "3 sm_80 ptx". For machines where cuobjdump is not installed."""

import collections
import struct
import sys

MAGIC = struct.pack("<I", 0xBA55ED50)
KINDS = {1: "ptx", 2: "cubin"}


def targets(data):
    """(architecture, kind) of each entry: a header names its size and that of the entries, an entry its own and those of its header."""
    begin = data.find(MAGIC)
    while begin >= 0:
        header_bytes, content_bytes = struct.unpack_from("<HQ", data, begin + 6)
        at, end = begin + header_bytes, begin + header_bytes + content_bytes
        while at < end:
            kind, _, entry_header, entry_bytes = struct.unpack_from("<HHIQ", data, at)
            architecture, = struct.unpack_from("<I", data, at + 28)
            yield architecture, KINDS.get(kind, f"kind {kind}")
            at += entry_header + entry_bytes
        begin = data.find(MAGIC, end)


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as library:
        counts = collections.Counter(targets(library.read()))
    for (architecture, kind), count in sorted(counts.items()):
        print(count, f"sm_{architecture}", kind)
