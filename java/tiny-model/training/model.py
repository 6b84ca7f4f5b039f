"""The model: Llama's architecture, as Hugging Face names and lays out its tensors."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Config:
    vocabulary: int = 4096
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 512
    context: int = 2048
    theta: float = 1e6
    epsilon: float = 1e-5

    @property
    def head_size(self):
        return self.hidden // self.heads


class Linear(nn.Linear):
    """Multiplies in the type of its input; the weights themselves stay float32."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.q_proj = Linear(c.hidden, c.heads * c.head_size)
        self.k_proj = Linear(c.hidden, c.kv_heads * c.head_size)
        self.v_proj = Linear(c.hidden, c.kv_heads * c.head_size)
        self.o_proj = Linear(c.heads * c.head_size, c.hidden)

    def forward(self, x, cos, sin):
        batch, tokens, _ = x.shape
        split = lambda y: y.view(batch, tokens, -1, self.c.head_size).transpose(1, 2)
        q, k, v = rotate(split(self.q_proj(x)), cos, sin), rotate(split(self.k_proj(x)), cos, sin), split(self.v_proj(x))
        group = self.c.heads // self.c.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(batch, tokens, -1))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = Linear(c.hidden, c.intermediate)
        self.up_proj = Linear(c.hidden, c.intermediate)
        self.down_proj = Linear(c.intermediate, c.hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Norm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(c.hidden))
        self.epsilon = c.epsilon

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.epsilon)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(c), Attention(c)
        self.post_attention_layernorm, self.mlp = Norm(c), Mlp(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, c=Config()):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c.vocabulary, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = Norm(c)
        frequency = c.theta ** (-torch.arange(0, c.head_size, 2, dtype=torch.float64) / c.head_size)
        angle = torch.arange(c.context, dtype=torch.float64)[:, None] * torch.cat((frequency, frequency))
        self.register_buffer("cos", angle.cos().float(), persistent=False)
        self.register_buffer("sin", angle.sin().float(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                narrow = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * c.layers) ** 0.5 if narrow else 0.02)

    def forward(self, ids, dtype=torch.bfloat16):
        """[batch, tokens, hidden]: what the head, the embedding itself, multiplies."""
        x = self.embed_tokens(ids).to(dtype)
        cos, sin = self.cos[:ids.shape[1]].to(dtype), self.sin[:ids.shape[1]].to(dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)

    @staticmethod
    def load(path):
        """A model as train.py wrote it, on the CPU."""
        state = torch.load(path, weights_only=True, map_location="cpu")
        model = Llama(Config(**state.get("config", {})))
        model.load_state_dict(state.get("model", state))
        return model

    def logits(self, x):
        return F.linear(x, self.embed_tokens.weight.to(x.dtype)).float()
