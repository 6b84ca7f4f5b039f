"""Times every CUDA kernel of Lanes beside PyTorch's libraries, in the same process, and prints one table.

    python bench.py --library liblanes.so --header lanes.h [--only REGEX] [--seconds 0.3] [--json FILE] [--deadline 600] [--small]

Random data, warm, medians with lowest and highest of at least five rounds; inputs rotate so that together they exceed the L2 cache. Ours and
the peer of a line run one right after the other. The last column is the share of the ceiling that was measured at the start of the run: a
device-to-device copy for what is bound by memory, a bfloat16 (or int8) product of 8192^3 through the vendor's library for what multiplies.
A line that fails or does not end is said and left behind (supervisor.py). --small: shapes for a functional check only, with no figures worth
keeping.
"""

import argparse
import functools
import json
import re
import sys

import numpy as np

from device import Device, rate
from supervisor import Supervisor, Teller, worker_command

L2_BYTES = 128 << 20


# What a worker exits with behind a line that failed: the device may have failed with it.
FAILED = 3


def line_of(measure):
    """Of a method (name, ...) that times one line: leaves out what was not asked for or is done, and tells how it ended."""

    @functools.wraps(measure)
    def run(self, name, *args, **kwargs):
        if re.search(self.args.only, name) is None:
            return
        self.count += 1
        if self.count <= self.args.skip:
            return
        self.tell(begin=name)
        try:
            measure(self, name, *args, **kwargs)
            self.d.free()
        except Exception as e:  # Whatever it is, the next lines are to be measured.
            self.tell(line=dict(name=name, error=first_line(e)))
            sys.exit(FAILED)

    return run


def first_line(error):
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]


def to_bf16(floats):
    """Finite float32 numbers as bfloat16, half to even."""
    bits = floats.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


class Bench:
    def __init__(self, device, args, tell):
        self.d, self.h, self.args, self.tell = device, device.h, args, tell
        self.count, self.ceilings = 0, json.loads(args.ceilings)
        # Rotating inputs are for the sake of figures.
        self.most_copies = 2 if args.small else 16
        if self.ceilings is None:
            self.ceilings = self.measure_ceilings() if peers.AVAILABLE else {}
        tell(ceilings=self.ceilings)

    # ---- What a line is ------------------------------------------------------------------------------------------

    def line(self, name, unit, amount, calls, peer=None, ceiling=None, bar=None):
        """Times calls, then `peer() -> seconds of rounds`; rates are amount / 1e12 a second."""
        ours = rate(amount / 1e12, self.d.rounds(calls, self.args.seconds))
        theirs = problem = None
        if peer and peers.AVAILABLE:
            try:
                theirs = rate(amount / 1e12, peer())
            except Exception as e:  # A backend that does not take this shape, a compiler that is not there.
                problem = first_line(e)
        top = self.ceilings.get(ceiling)
        self.tell(line=dict(name=name, unit=unit, ours=ours[0], min=ours[1], max=ours[2], peer=theirs and theirs[0],
                            ratio=theirs and ours[0] / theirs[0], percent=top and 100 * ours[0] / top, bar=bar, peer_error=problem))
        if problem and "CUDA error" in problem:
            sys.exit(FAILED)

    def measure_ceilings(self):
        size, found = 8192, {}
        amount, times = peers.copy(4 << 30, self.args.seconds)
        found["bytes"] = rate(amount / 1e12, times)[0]
        found["bf16"] = rate(2 * size ** 3 / 1e12, peers.matmul(size, size, size, 2, self.args.seconds))[0]
        found["int8"] = rate(2 * size ** 3 / 1e12, peers.int8_matmul(size, size, size, 2, self.args.seconds))[0]
        return found

    # ---- Kernels -------------------------------------------------------------------------------------------------

    @line_of
    def linear(self, name, m, n, k, dtype, compute, bar=None, multiplies=False, bf16_rows=False):
        """x and y are float32, or bfloat16 with `bf16_rows`."""
        d, h = self.d, self.h
        element = {h.LANES_F32: 4, h.LANES_BF16: 2, h.LANES_F16: 2, h.LANES_S8: 1}[dtype]
        copies = max(1, min(self.most_copies, L2_BYTES // (n * k * element) + 1))
        one = d.floats(n, k, scale=k ** -0.5)
        weights = [d.weight(one, dtype) for _ in range(copies)]
        out = dict(y_bf16=d.empty(m, n, dtype=np.uint16), y_bf16_len=m * n, y_bf16_stride=n) if bf16_rows else dict(
            y=d.empty(m, n), y_len=m * n, y_stride=n)
        if dtype == h.LANES_S8:
            q = d.random.integers(-127, 128, (m, k), dtype=np.int8)
            extra = dict(xq=d.tensor(q), xq_len=m * k, xq_stride=k, x_scale=d.tensor(np.full(m, 0.01, np.float32)), x_scale_len=m)
        elif bf16_rows:
            extra = dict(x_bf16=d.tensor(to_bf16(d.floats(m, k))), x_bf16_len=m * k, x_bf16_stride=k)
        else:
            extra = dict(x=d.tensor(d.floats(m, k)), x_len=m * k, x_stride=k)
        repeat = 1 if multiplies or self.args.small else max(1, 32 // copies)
        calls = d.calls(*[("LINEAR", h.params("lanes_linear_params", weight=w, m=m, compute=compute, **out, **extra))
                          for w in weights * repeat])
        if multiplies:
            amount, unit, ceiling = 2 * m * n * k, ("TOP/s" if dtype == h.LANES_S8 else "TFLOP/s"), ("int8" if dtype == h.LANES_S8 else "bf16")
        else:
            amount, unit, ceiling = n * k * element, "TB/s", "bytes"
        peer = {h.LANES_BF16: peers.matmul, h.LANES_F16: peers.half_matmul, h.LANES_S8: peers.int8_matmul if m > 16 else None}.get(dtype) if peers.AVAILABLE else None
        self.line(name, unit, amount, calls, peer and (lambda: peer(m, n, k, copies, self.args.seconds)), ceiling, bar)

    def products(self):
        h, small = self.h, self.args.small
        bf16, f16, int8 = (h.LANES_BF16, h.LANES_COMPUTE_BF16), (h.LANES_F16, h.LANES_COMPUTE_F16), (h.LANES_S8, h.LANES_COMPUTE_INT8)
        top = self.ceilings.get("bf16")
        for m, n, k in [(96, 128, 128)] if small else [(8192, 8192, 8192), (4096, 4096, 4096), (2048, 16384, 2048), (512, 2048, 2048), (128, 8192, 2048)]:
            self.linear(f"gemm.bf16 {m}x{n}x{k}", m, n, k, *bf16, bar=top and 0.95 * top if m == 8192 else None, multiplies=True)
            self.linear(f"gemm.bf16 rows of bf16 {m}x{n}x{k}", m, n, k, *bf16, bar=top and 0.95 * top if m == 8192 else None,
                        multiplies=True, bf16_rows=True)
            self.linear(f"gemm.f16 {m}x{n}x{k}", m, n, k, *f16, multiplies=True)
        for m, n, k in [(96, 128, 128)] if small else [(8192, 8192, 8192), (4096, 4096, 4096), (1024, 8192, 8192), (128, 8192, 8192)]:
            self.linear(f"gemm.s8 {m}x{n}x{k}", m, n, k, *int8, bar=1100 if m >= 1024 else None, multiplies=True)
        for m in (1, 4, 8, 16, 32):
            for n, k in [(128, 256)] if small else [(2048, 2048), (3072, 2048), (2048, 8192), (16384, 2048), (128256, 2048)]:
                self.linear(f"gemv.bf16 m={m} {n}x{k}", m, n, k, *bf16, bar=3.4 if m <= 16 else None)
                self.linear(f"gemv.bf16 rows of bf16 m={m} {n}x{k}", m, n, k, *bf16, bar=3.4 if m <= 16 else None, bf16_rows=True)
                self.linear(f"gemv.f16 m={m} {n}x{k}", m, n, k, *f16, bar=3.4 if m <= 16 else None)
                if m in (1, 16):
                    self.linear(f"gemv.s8 m={m} {n}x{k}", m, n, k, *int8, bar=3.4)
        for m in (1, 512):
            shape = (128, 256) if small else (2048, 2048)
            self.linear(f"gemm.f32 exact {m}x{shape[0]}x{shape[1]}", m, *shape, h.LANES_F32, h.LANES_COMPUTE_EXACT, multiplies=m > 1)

    @line_of
    def attention(self, name, dim, heads, kv_heads, lengths, keys, dtype, bar=None, peer=None):
        """Sequences with so many queries each, over `keys` keys each."""
        d, h = self.d, self.h
        page = h.LANES_PAGE_TOKENS
        sequences, tokens = len(lengths), sum(lengths)
        pages = -(-keys // page)
        element = 1 if dtype == h.LANES_S8 else 2
        kv_bytes = sequences * keys * kv_heads * dim * 2 * element
        layers = max(1, min(self.most_copies, L2_BYTES // kv_bytes + 1))
        pool = d.pool(pages=sequences * pages, layers=layers, kv_heads=kv_heads, head_dim=dim, dtype=dtype)
        k, v = d.tensor(d.floats(keys, kv_heads * dim)), d.tensor(d.floats(keys, kv_heads * dim))
        order = d.random.permutation(sequences * pages).astype(np.int32).reshape(sequences, pages)
        for layer in range(layers):
            for s in range(sequences):
                slots = (order[s].astype(np.int64)[:, None] * page + np.arange(page)).reshape(-1)[:keys]
                write = h.params("lanes_kv_write_params", pool=pool, layer=layer, tokens=keys, slots=slots.ctypes.data, slots_len=keys, k=k,
                                 k_len=keys * kv_heads * dim, k_stride=kv_heads * dim, v=v, v_len=keys * kv_heads * dim, v_stride=kv_heads * dim)
                d.run(d.calls(("KV_WRITE", write)))
                d.wait()
        width = heads * dim
        q, out = d.tensor(d.floats(tokens, width)), d.empty(tokens, width)
        begin = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        kv_len = np.full(sequences, keys, np.int64)
        compute = {h.LANES_S8: h.LANES_COMPUTE_INT8, h.LANES_F16: h.LANES_COMPUTE_F16}.get(dtype, h.LANES_COMPUTE_BF16)
        many = layers if max(lengths) > 1 else layers * max(1, self.most_copies // layers)
        calls = d.calls(*[("ATTENTION", h.params(
            "lanes_attention_params", pool=pool, layer=i % layers, heads=heads, sequences=sequences, causal=1, scale=dim ** -0.5, tokens=tokens,
            q=q, q_len=tokens * width, q_stride=width, q_begin=begin.ctypes.data, q_begin_len=sequences + 1, kv_len=kv_len.ctypes.data,
            kv_len_len=sequences, page_table=order.ctypes.data, page_table_len=order.size, page_table_stride=pages, out=out,
            out_len=tokens * width, out_stride=width, compute=compute)) for i in range(many)])
        if max(lengths) > 1:
            pairs = sum(n * (keys - n) + n * (n + 1) / 2 for n in lengths)
            self.line(name, "TFLOP/s", 4 * pairs * heads * dim, calls, peer, "bf16", bar)
        else:
            self.line(name, "TB/s", kv_bytes, calls, peer, "bytes", bar)

    def attentions(self):
        h, small, seconds = self.h, self.args.small, self.args.seconds
        for dim, bar in ((64, 350), (128, 480)):
            for n in (256,) if small else (2048, 16384):
                heads = 4 if small else (2048 if n == 16384 else 4096) // dim
                for backend in ("flash", "cudnn"):
                    self.attention(f"attention.prefill d={dim} n={n} beside {backend}", dim, heads, heads, [n], n, h.LANES_BF16,
                                   bar if n == 16384 else None,
                                   lambda: peers.attention(backend, heads, heads, n, n, dim, 2, seconds))
            n = 256 if small else 16384
            heads = 4 if small else 2048 // dim
            self.attention(f"attention.prefill f16 d={dim} n={n} beside flash", dim, heads, heads, [n], n, h.LANES_F16,
                           None if small else bar,
                           lambda: peers.attention("flash", heads, heads, n, n, dim, 2, seconds, f16=True))
        for dim, heads, kv_heads in ((64, 32, 8), (128, 32, 8)):
            for sequences, keys in ((1, 512), (2, 300)) if small else ((1, 1024), (1, 32768), (8, 8192), (32, 4096)):
                bar = 3.0 if sequences * keys >= 32768 else None
                self.attention(f"attention.decode bf16 d={dim} {sequences} x {keys} keys", dim, heads, kv_heads, [1] * sequences, keys, h.LANES_BF16,
                               bar,
                               (lambda: peers.attention("flash", heads, kv_heads, 1, keys, dim, 4, seconds)) if sequences == 1 else None)
                if (sequences, keys) in ((1, 32768), (1, 512)):
                    self.attention(f"attention.decode f16 d={dim} {sequences} x {keys} keys", dim, heads, kv_heads, [1] * sequences, keys,
                                   h.LANES_F16, bar, lambda: peers.attention("flash", heads, kv_heads, 1, keys, dim, 4, seconds, f16=True))
                self.attention(f"attention.decode s8 d={dim} {sequences} x {keys} keys", dim, heads, kv_heads, [1] * sequences, keys, h.LANES_S8)

    @line_of
    def norm(self, name, rows, cols, result, bar):
        """The result's dtype: LANES_F32, LANES_BF16, or LANES_S8 with a scale for each row."""
        d, h = self.d, self.h
        size = rows * cols
        copies = max(2, min(self.most_copies // 2, L2_BYTES // (12 * size) + 1))
        xs, rs = [d.tensor(d.floats(rows, cols)) for _ in range(copies)], [d.tensor(d.floats(rows, cols)) for _ in range(copies)]
        weight = d.tensor(d.floats(cols))
        element, field = {h.LANES_F32: (np.float32, "y"), h.LANES_BF16: (np.uint16, "y_bf16"), h.LANES_S8: (np.int8, "yq")}[result]
        out = {field: d.empty(rows, cols, dtype=element), field + "_len": size, field + "_stride": cols}
        if result == h.LANES_S8:
            out.update(y_scale=d.empty(rows), y_scale_len=rows)
        calls = d.calls(*[("NORM", h.params(
            "lanes_norm_params", kind=h.LANES_NORM_RMS, epsilon=1e-5, rows=rows, cols=cols, x=x, x_len=size, x_stride=cols, residual=r,
            residual_len=size, residual_stride=cols, weight=weight, weight_len=cols, sum=r, sum_len=size, sum_stride=cols, **out))
            for x, r in zip(xs, rs)])
        peer = None if result == h.LANES_S8 or not peers.AVAILABLE else lambda: peers.rms_norm(rows, cols, copies, self.args.seconds)
        # The peer's elements have two bytes: rates are bytes a second on both sides.
        nbytes = size * (12 + np.dtype(element).itemsize)
        self.line(name, "TB/s", nbytes, calls, peer and (lambda: [nbytes / (8 * size) * t for t in peer()]), "bytes", bar)

    def norms(self):
        for rows, cols in [(64, 512)] if self.args.small else [(16384, 2048), (8192, 4096), (4096, 8192), (2048, 16384)]:
            self.norm(f"rmsnorm+residual {rows}x{cols}", rows, cols, self.h.LANES_F32, 3.4)
            self.norm(f"rmsnorm+residual+bf16 {rows}x{cols}", rows, cols, self.h.LANES_BF16, 3.4)
            self.norm(f"rmsnorm+residual+int8 {rows}x{cols}", rows, cols, self.h.LANES_S8, 2.7)

    @line_of
    def kv_write(self, name, tokens, heads, kv_heads, dim):
        """Queries rotated in place, keys on their way into bfloat16 pages; the peer is ours in two ops, a rotation and a plain write."""
        d, h = self.d, self.h
        width, half, pages = (heads + 2 * kv_heads) * dim, dim // 2, -(-tokens // h.LANES_PAGE_TOKENS)
        layers = max(1, min(self.most_copies, L2_BYTES // (tokens * width * 4) + 1))
        pool = d.pool(pages=pages, layers=layers, kv_heads=kv_heads, head_dim=dim, dtype=h.LANES_BF16)
        slots = np.arange(tokens, dtype=np.int64)
        angles = d.random.random((tokens, half), dtype=np.float32) * 6
        cos, sin = d.tensor(np.cos(angles)), d.tensor(np.sin(angles))
        table = dict(half=half, cos=cos, cos_len=tokens * half, sin=sin, sin_len=tokens * half, pairing=h.LANES_ROPE_HALF)
        fused, apart = [], []
        for layer in range(layers):
            q = d.tensor(d.floats(tokens, width))
            k, v, size = q + 4 * heads * dim, q + 4 * (heads + kv_heads) * dim, tokens * width
            write = dict(pool=pool, layer=layer, tokens=tokens, slots=slots.ctypes.data, slots_len=tokens, k=k, k_len=size - heads * dim,
                         k_stride=width, v=v, v_len=size - (heads + kv_heads) * dim, v_stride=width)
            fused.append(("KV_WRITE", h.params("lanes_kv_write_params", **write, **table, q=q, q_len=size, q_stride=width, q_heads=heads)))
            apart.append(("ROPE", h.params("lanes_rope_params", **table, heads=heads + kv_heads, head_dim=dim, tokens=tokens, x=q, x_len=size,
                                           x_stride=width, y=q, y_len=size, y_stride=width)))
            apart.append(("KV_WRITE", h.params("lanes_kv_write_params", **write)))
        calls, calls_apart = d.calls(*fused), d.calls(*apart)
        nbytes = tokens * dim * (8 * heads + 2 * kv_heads * (4 + 2))
        # Rounds are for one op on average: the peer's are for half of a write.
        self.line(name, "TB/s", nbytes, calls, lambda: [2 * t for t in d.rounds(calls_apart, self.args.seconds)], "bytes")

    def kv_writes(self):
        for tokens, heads, kv_heads, dim in [(20, 4, 2, 64)] if self.args.small else [(1, 32, 8, 64), (4096, 32, 8, 64), (4096, 32, 8, 128)]:
            self.kv_write(f"kv write+rope bf16 {tokens} tokens, {heads}+{kv_heads} heads of {dim}", tokens, heads, kv_heads, dim)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--library", required=True)
    arguments.add_argument("--header", required=True)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--seconds", type=float, default=0.3)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json")
    arguments.add_argument("--deadline", type=float, default=600, help="seconds for all")
    arguments.add_argument("--small", action="store_true")
    for internal, kind in (("--worker", int), ("--skip", int), ("--ceilings", str)):
        arguments.add_argument(internal, type=kind, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.worker is None:
        sys.exit(0 if Supervisor(worker_command(), args.deadline).run().finish(args.json) else 1)

    global peers
    import peers  # It takes seconds to load PyTorch.
    if args.small:
        args.seconds = 0
    device = Device(args.library, args.header, args.seed, warm=2 if args.small else 4, fewest=1 if args.small else 5)
    tell = Teller(args.worker)
    tell(device=device.name, kernels=device.kernels, seed=args.seed)
    bench = Bench(device, args, tell)
    for group in (bench.products, bench.attentions, bench.norms, bench.kv_writes):
        group()
    tell(done=True)


if __name__ == "__main__":
    main()
