"""The same work by PyTorch's libraries: cuBLAS, cuBLASLt, FlashAttention, cuDNN. Without a GPU, or without PyTorch, there are no peers."""

import time

try:
    import torch
    import torch.nn.functional as F
    AVAILABLE = torch.cuda.is_available()
except ImportError:
    AVAILABLE = False


def rounds(work, copies, seconds):
    """Seconds of one `work(i)`, for each of several rounds: `copies` of them as one CUDA graph, so that launches cost what ours cost."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            for i in range(copies):
                work(i)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for i in range(copies):
            work(i)
    for _ in range(3):
        graph.replay()
    torch.cuda.synchronize()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / copies)
    return times


def randn(*shape, dtype=None):
    return torch.randn(*shape, device="cuda", dtype=dtype or torch.bfloat16)


def copy(nbytes, seconds):
    """Bytes read and written a second by a large copy on the device."""
    x, y = torch.empty(nbytes, dtype=torch.uint8, device="cuda").random_(), torch.empty(nbytes, dtype=torch.uint8, device="cuda")
    return 2 * nbytes, rounds(lambda i: y.copy_(x), 4, seconds)


def matmul(m, n, k, copies, seconds, dtype=None):
    """bfloat16 x [m, k] by weight [n, k] through cuBLAS, with bfloat16 results."""
    xs = [randn(m, k, dtype=dtype) for _ in range(copies)]
    ws = [randn(n, k, dtype=dtype) for _ in range(copies)]
    y = randn(m, n, dtype=dtype)
    return rounds(lambda i: torch.matmul(xs[i], ws[i].t(), out=y), copies, seconds)


def half_matmul(m, n, k, copies, seconds):
    """The same of float16; larger sums than 65,504 overflow there."""
    return matmul(m, n, k, copies, seconds, torch.float16)


def int8_matmul(m, n, k, copies, seconds):
    """int8 products with both scales applied afterwards, as torch has them; cuBLASLt."""
    x = torch.randint(-127, 128, (m, k), device="cuda", dtype=torch.int8)
    ws = [torch.randint(-127, 128, (n, k), device="cuda", dtype=torch.int8) for _ in range(copies)]
    return rounds(lambda i: torch._int_mm(x, ws[i].t()), copies, seconds)


def attention(backend, heads, kv_heads, queries, keys, dim, copies, seconds, f16=False):
    """Causal attention of one sequence by a backend of scaled_dot_product_attention ("flash" or "cudnn"), in bfloat16 or float16."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    which = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}[backend]
    dtype = torch.float16 if f16 else torch.bfloat16
    q = randn(1, heads, queries, dim, dtype=dtype)
    kvs = [tuple(randn(1, kv_heads, keys, dim, dtype=dtype) for _ in range(2)) for _ in range(copies)]

    def work(i):
        with sdpa_kernel(which):
            F.scaled_dot_product_attention(q, *kvs[i], is_causal=queries > 1, enable_gqa=heads != kv_heads)

    return rounds(work, copies, seconds)


def rms_norm(rows, cols, copies, seconds):
    """x + residual, then RMSNorm, compiled by torch where it can, in bfloat16."""
    xs, rs = [randn(rows, cols) for _ in range(copies)], [randn(rows, cols) for _ in range(copies)]
    weight = randn(cols)

    def fused(x, r):
        s = x + r
        return s, F.rms_norm(s, (cols,), weight, 1e-5)

    compiled = torch.compile(fused)
    return rounds(lambda i: compiled(xs[i], rs[i]), copies, seconds)
