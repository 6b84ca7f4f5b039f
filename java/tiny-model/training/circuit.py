"""Where training starts: with the induction circuit in place (Olsson et al. 2022) that it would spend most of its time looking for.

Everything stays trainable; only the initial weights are not all random. The residual stream [256] begins as

    0            the same number for every token
    1 .. 127     the token, at random
    128 .. 255   four subspaces of 32: codes of the tokens 1, 2, 3 and 4 places back, written by the heads of layer 0

A head of layer 0 sees just one distance: its queries and keys come from the constant and differ in phase only, which rotary embedding turns
into a peak at that distance. In layer 1 the query is the code of the last four tokens and the key that of the four tokens before it, so the
head attends to what followed the same four tokens earlier, and copies it. The match lives in the slow rotary frequencies, which a few
thousand positions hardly turn.
"""

import torch

CODE = 32
SLOW = 13
CONSTANT = 0.32


@torch.no_grad()
def put(model, peak=6.0, match=6.0, copy=1.5, final=2.0):
    c = model.c
    half, size = c.head_size // 2, c.head_size
    assert c.heads * CODE == c.hidden // 2 and c.hidden // 2 <= c.kv_heads * size, "heads of 64, and enough of them for a token's half"
    token = slice(1, c.hidden // 2)
    width = c.hidden // 2 - 1
    places = [slice(c.hidden // 2 + CODE * i, c.hidden // 2 + CODE * (i + 1)) for i in range(c.heads)]
    embedding = model.embed_tokens.weight
    embedding[:, c.hidden // 2:] = 0
    # All as long: the norm would otherwise pass differences on to the constant.
    embedding[:, token] *= CONSTANT / embedding[:, token].norm(dim=1, keepdim=True)
    embedding[:, 0] = CONSTANT
    code = torch.linalg.qr(torch.randn(width, CODE)).Q.T
    frequency = c.theta ** (-torch.arange(half, dtype=torch.float64) / half)

    # Layer 0. After the norm the constant is about 11.3, and a token's part as long.
    first = model.layers[0].self_attn
    unit = (c.hidden / 2) ** 0.5
    fast = (frequency > 0.03).double()
    sharp = float((fast * (1 - frequency.cos())).sum())
    strength = (peak * size ** 0.5 / sharp) ** 0.5 / unit
    for head in range(c.heads):
        phase = -(head + 1) * frequency
        first.q_proj.weight[head * size:(head + 1) * size] = 0
        first.q_proj.weight[head * size:(head + 1) * size, 0] = (strength * torch.cat((fast * phase.cos(), fast * phase.sin()))).float()
        group = head // (c.heads // c.kv_heads)
        first.k_proj.weight[group * size:(group + 1) * size] = 0
        first.k_proj.weight[group * size:group * size + half, 0] = strength
        first.v_proj.weight[group * size:group * size + CODE] = 0
        first.v_proj.weight[group * size:group * size + CODE, token] = code
        # A code is about sqrt(CODE / width) * unit long; in the stream it shall be half of a token.
        gain = 0.5 * CONSTANT / (unit * (CODE / width) ** 0.5)
        first.o_proj.weight[:, head * size:head * size + CODE] = 0
        first.o_proj.weight[places[head], head * size:head * size + CODE] = gain * torch.eye(CODE)

    # Layer 1. Codes of different places get rotations of their own, so that "a b" does not match "b a".
    second = model.layers[1].self_attn
    turns = [torch.linalg.qr(torch.randn(CODE, 2 * SLOW)).Q.T * (CODE / (2 * SLOW)) ** 0.5 for _ in range(c.heads)]
    slow = torch.cat((torch.arange(half - SLOW, half), torch.arange(size - SLOW, size)))
    length = (2 * CONSTANT ** 2 + c.heads * (0.5 * CONSTANT) ** 2) ** 0.5 / c.hidden ** 0.5
    code_length = 0.5 * CONSTANT / length
    strength = (match * size ** 0.5) ** 0.5 / code_length
    for group in range(c.kv_heads):
        head = group * (c.heads // c.kv_heads)
        query = second.q_proj.weight[head * size:(head + 1) * size]
        key = second.k_proj.weight[group * size:(group + 1) * size]
        query.zero_(), key.zero_()
        # The query's own token is not a code yet, and longer than one.
        own = 0.5 / (CODE / width) ** 0.5
        query[slow[:, None], torch.arange(1, 1 + width)] += strength * own * turns[0] @ code
        for i in range(c.heads):
            if i + 1 < c.heads:
                query[slow[:, None], torch.arange(places[i].start, places[i].stop)] += strength * turns[i + 1]
            key[slow[:, None], torch.arange(places[i].start, places[i].stop)] += strength * turns[i]
        # Each group copies its half of the token.
        begin, end = 1 + group * width // c.kv_heads, 1 + (group + 1) * width // c.kv_heads
        value = second.v_proj.weight[group * size:(group + 1) * size]
        out = second.o_proj.weight[:, head * size:(head + 1) * size]
        value.zero_(), out.zero_()
        value[:end - begin, begin:end] = torch.eye(end - begin)
        out[begin:end, :end - begin] = copy * length * torch.eye(end - begin)
    model.norm.weight.fill_(final)
