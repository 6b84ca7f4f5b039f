"""Writes a trained model as a Hugging Face directory: python export.py DATA_DIR MODEL.pt OUT_DIR."""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

import tokenizer as bpe
from model import Llama

# It continues texts: a conversation is one story that both write, a message after the other.
CHAT_TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ message['content'] | trim }}{% if not loop.last %} {% endif %}"
                 "{% endfor %}")


def main(folder, checkpoint, out):
    model = Llama.load(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    tensors = {"model." + name: value.to(torch.bfloat16).contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, out / "model.safetensors", {"format": "pt"})
    c = model.c
    write = lambda name, value: (out / name).write_text(json.dumps(value, indent=2) + "\n")
    write("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": c.vocabulary, "hidden_size": c.hidden,
        "intermediate_size": c.intermediate, "num_hidden_layers": c.layers, "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads, "head_dim": c.head_size, "hidden_act": "silu", "max_position_embeddings": c.context,
        "rms_norm_eps": c.epsilon, "rope_theta": c.theta, "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": bpe.BOS, "eos_token_id": bpe.EOS, "torch_dtype": "bfloat16"})
    write("generation_config.json", {"bos_token_id": bpe.BOS, "eos_token_id": bpe.EOS, "do_sample": True, "temperature": 0.7, "min_p": 0.02})
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "clean_up_tokenization_spaces": False,
        "model_max_length": c.context, "chat_template": CHAT_TEMPLATE})
    shutil.copy(folder / "tokenizer.json", out / "tokenizer.json")
    print(f"{sum(t.numel() for t in tensors.values())} parameters, {sum(f.stat().st_size for f in out.iterdir())} bytes in {out}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
