"""Writes small W8A8 checkpoints in the layout of compressed-tensors, and what they compute.

The model is that of transformers in float32, with every quantized torch.nn.Linear replaced by the arithmetic that the layout stands
for, spelled out below; sums are exact integers. Seeds are tried until no quotient lies so near the middle between two levels that
another order of float32 operations could round it to the other one.

  python make_models.py          (numpy, torch, safetensors, transformers 5.18)
"""

import json
import pathlib
import re

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

torch.set_num_threads(1)

HERE = pathlib.Path(__file__).parent
TOKENS = 10
GREEDY = 4
NEAREST = 6e-5

WEIGHTS = {"num_bits": 8, "type": "int", "symmetric": True, "dynamic": False, "group_size": None}
TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
STATIC = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "tensor", "dynamic": False}


class Int8Linear(torch.nn.Module):
    """int8 weights [n, k] with scales [n] or [1]; int8 inputs with a scale for each row, or a fixed one."""

    nearest = 1.0

    def __init__(self, linear, strategy):
        super().__init__()
        w = linear.weight.detach()
        largest = w.abs().amax(dim=1) if strategy == "channel" else w.abs().amax().reshape(1)
        self.scale = largest / 127
        self.q = torch.clamp(torch.round(w / self.scale[:, None]), -128, 127).to(torch.int8)
        self.bias = linear.bias
        self.input_scale = None
        self.largest_input = 0.0

    def forward(self, x):
        self.largest_input = max(self.largest_input, x.abs().max().item())
        scale = self.input_scale if self.input_scale is not None else x.abs().amax(dim=-1, keepdim=True) / 127
        quotient = x / scale
        inside = quotient[quotient.abs() < 127.4]
        Int8Linear.nearest = min(Int8Linear.nearest, (inside - inside.floor() - 0.5).abs().min().item())
        lowest = -127 if self.input_scale is None else -128
        q = torch.clamp(torch.round(quotient), lowest, 127).to(torch.int64)
        total = (q @ self.q.to(torch.int64).T).to(torch.float32)
        y = total * (scale * self.scale)
        return y if self.bias is None else y + self.bias


def matches(name, pattern):
    if pattern.startswith("re:"):
        return re.match(pattern[3:], name) is not None
    return pattern in (name, "Linear")


def quantize(model, groups, ignore):
    """Replaces the linear layers that a group targets and nobody ignores; a name or expression comes before a class."""
    made = {}
    for name, module in list(model.named_modules()):
        if not isinstance(module, torch.nn.Linear) or any(matches(name, p) for p in ignore):
            continue
        fitting = [g for g in groups for p in g["targets"] if matches(name, p)]
        fitting.sort(key=lambda g: "Linear" in g["targets"])
        if fitting:
            weights, inputs = fitting[0]["weights"], fitting[0]["input_activations"]
            made[name] = Int8Linear(module, weights["strategy"])
            made[name].static = not inputs["dynamic"]
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, made[name])
    return made


def run(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def greedy(model, prompt):
    ids = list(prompt)
    for _ in range(GREEDY):
        ids.append(int(run(model, ids)[-1].argmax()))
    return ids[len(prompt):]


def make(name, build, groups, ignore, scale_type, scale_shape):
    for seed in range(1, 2000):
        torch.manual_seed(seed)
        model = build().to(torch.float32).eval()
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
            elif "bias" not in name:
                torch.nn.init.normal_(parameter, mean=1.0, std=0.1)
        float_tensors = {k: v.clone() for k, v in model.state_dict().items()}
        made = quantize(model, groups, ignore)
        for layer in made.values():
            layer.scale = layer.scale.to(scale_type).to(torch.float32)
        random = np.random.default_rng(seed)
        prompts = [random.integers(0, model.config.vocab_size, TOKENS).tolist() for _ in range(2)]
        run(model, prompts[0])
        for layer in made.values():
            if layer.static:
                # Somewhat too small, so that the ends of the range are met.
                layer.input_scale = torch.tensor(layer.largest_input * 0.8 / 127).to(scale_type).to(torch.float32)
        Int8Linear.nearest = 1.0
        logits = [run(model, p) for p in prompts]
        if Int8Linear.nearest < NEAREST:
            continue
        ids = [greedy(model, p) for p in prompts]
        best = torch.cat(logits).topk(2).values
        gap = (best[:, 0] - best[:, 1]).min().item()
        if Int8Linear.nearest > NEAREST and gap > 1e-3:
            break
    else:
        raise SystemExit("no seed for " + name)
    tensors = {}
    for key, value in float_tensors.items():
        module = key.rpartition(".")[0]
        if module not in made:
            tensors[key] = value
        elif key.endswith(".bias"):
            tensors[key] = value
        else:
            layer = made[module]
            tensors[key] = layer.q
            tensors[module + ".weight_scale"] = layer.scale.reshape(scale_shape(layer.scale)).to(scale_type)
            if layer.static:
                tensors[module + ".input_scale"] = layer.input_scale.reshape(()).to(scale_type)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    config = json.loads(model.config.to_json_string(use_diff=False))
    keep = ["architectures", "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "vocab_size", "max_position_embeddings", "rms_norm_eps", "hidden_act", "tie_word_embeddings",
            "attention_bias", "mlp_bias"]
    config = {k: config[k] for k in keep if k in config}
    config["architectures"] = [type(model).__name__]
    config["rope_theta"] = 10000.0
    config["quantization_config"] = {
        "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed",
        "config_groups": {f"group_{i}": g for i, g in enumerate(groups)}, "ignore": ignore, "kv_cache_scheme": None}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    expected = {}
    for i in range(len(prompts)):
        expected[f"{i}.prompt_ids"] = torch.tensor(prompts[i], dtype=torch.int32)
        expected[f"{i}.logits"] = logits[i]
        expected[f"{i}.greedy_ids"] = torch.tensor(ids[i], dtype=torch.int32)
    save_file(expected, folder / "expected.safetensors", {"what": f"seed {seed}, nearest middle {Int8Linear.nearest:.1e}, gap {gap:.1e}"})
    print(name, "seed", seed, "nearest", Int8Linear.nearest, "gap", gap)


def llama(**more):
    return LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=60, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=False, **more))


def qwen2():
    return Qwen2ForCausalLM(Qwen2Config(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1, vocab_size=50, max_position_embeddings=128, rms_norm_eps=1e-5, tie_word_embeddings=True))


def group(targets, strategy, inputs):
    return {"targets": targets, "weights": {**WEIGHTS, "strategy": strategy}, "input_activations": inputs, "output_activations": None}


# One scale a tensor, fixed scales of inputs: q, k and v each have their own, so do gate and up.
make("static-tensor", llama, [group(["Linear"], "tensor", STATIC)], ["lm_head"], torch.float32, lambda s: ())

# Parts of fused projections differ: in layer 0 only k is left float, in layer 1 only up; down has fixed scales, the head is int8.
make("mixed", lambda: llama(attention_bias=True, mlp_bias=True),
     [group(["Linear"], "channel", TOKEN), group(["re:.*down_proj$"], "tensor", STATIC)],
     ["model.layers.0.self_attn.k_proj", "re:model\\.layers\\.1\\.mlp\\.up"], torch.bfloat16, lambda s: (len(s), 1))

# Biases of q, k and v; scales without a second dimension, in float16.
make("channel-token", qwen2, [group(["Linear"], "channel", TOKEN)], ["re:.*lm_head"], torch.float16, lambda s: (len(s),))
