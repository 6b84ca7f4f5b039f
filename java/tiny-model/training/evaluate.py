"""Measures a model on texts, wordings and names that training never saw.

    python evaluate.py DATA_DIR MODEL.pt [--lengths 256,512,1024,2048] [--depths 0,10,...,100] [--trials 4] [--stories 20]

Prints the share of answers that greedy decoding gets exactly right by depth and length, without and with further facts in the text, the
perplexity of held-out stories, and sampled stories.
"""

import argparse
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

import data
import tokenizer as bpe
from model import Llama

OPENINGS = ["Once upon a time", "One day, a little", "Tom and Lily", "The old bear", "There was once a"]


@torch.no_grad()
def answered(model, ids, begin):
    """Whether every token of the answer is the likeliest after the ones before it, which is what greedy decoding finds."""
    logits = model.logits(model(torch.from_numpy(ids)[None])[0, begin - 1:-1])
    return bool((logits.argmax(-1) == torch.from_numpy(ids[begin:])).all())


def retrieval(model, folder, encode, args):
    for facts in (1, 4):
        print(f"exact answers in percent, {facts} facts in the text, wordings, subjects and stories not trained on")
        print("depth  " + "".join(f"{n:>7}" for n in args.lengths))
        total = []
        for depth in args.depths:
            line = []
            for length in args.lengths:
                rows = data.rows_for(folder, encode, 7 + 1000 * length + depth, "held-out", held_out=True)
                line.append(np.mean([answered(model, *data.held_out_probe(rows, length, facts, depth / 100)) for _ in range(args.trials)]))
            total += line
            print(f"{depth:>4}%  " + "".join(f"{100 * x:>7.0f}" for x in line), flush=True)
        print(f"all: {100 * np.mean(total):.1f}%")


@torch.no_grad()
def perplexity(model, folder):
    ids = np.load(folder / "held-out" / "ids.npy").astype(np.int64)
    beginnings = np.append(np.flatnonzero(ids == bpe.BOS), len(ids))
    loss, count = 0.0, 0
    for begin, end in zip(beginnings[:-1], beginnings[1:]):
        story = torch.from_numpy(ids[begin:end][:model.c.context])
        loss += float(F.cross_entropy(model.logits(model(story[None])[0, :-1]), story[1:], reduction="sum"))
        count += len(story) - 1
    print(f"held-out stories: {len(beginnings) - 1}, {count} tokens, {loss / count:.3f} nats a token, perplexity {math.exp(loss / count):.2f}")


@torch.no_grad()
def sample(model, encode, prompt, generator, tokens=220, temperature=0.7):
    ids = torch.tensor([[bpe.BOS] + encode(prompt)])
    while ids.shape[1] < tokens:
        likely = torch.softmax(model.logits(model(ids)[0, -1]) / temperature, -1)
        likely[likely < 0.02 * likely.max()] = 0
        chosen = torch.multinomial(likely, 1, generator=generator)
        if int(chosen) == bpe.EOS:
            break
        ids = torch.cat((ids, chosen[None]), 1)
    return encode.decode(ids[0, 1:].tolist())


def main():
    numbers = lambda text: [int(x) for x in text.split(",")]
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("--lengths", type=numbers, default=[256, 512, 1024, 2048])
    arguments.add_argument("--depths", type=numbers, default=list(range(0, 101, 10)))
    arguments.add_argument("--trials", type=int, default=4)
    arguments.add_argument("--stories", type=int, default=20)
    args = arguments.parse_args()
    torch.set_num_threads(2)
    model = Llama.load(args.model)
    encode = bpe.Encoder(args.data / "tokenizer.json")
    perplexity(model, args.data)
    retrieval(model, args.data, encode, args)
    generator = torch.Generator().manual_seed(1)
    for i in range(args.stories):
        print(f"\n[{i + 1}] {sample(model, encode, OPENINGS[i % len(OPENINGS)], generator)}")


if __name__ == "__main__":
    main()
