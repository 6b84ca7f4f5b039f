"""Trains the model, stage after stage; stops and resumes anywhere.

    python train.py DATA_DIR RUN_DIR [--device cuda] [--stages stages.json] [--hidden 256 --layers 4 ...]

A stage is {"name", "tokens" (per row), "batch" (tokens per step), "steps", "warmup" (steps), "lr" (at its beginning), "lr_end", "noise",
"dense", "filled", "story" (shares of rows: see data.py)}. After every 50 steps, RUN_DIR/checkpoint.pt holds all that a resumed run needs.
"""

import argparse
import dataclasses
import json
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F

import circuit
import data
import tokenizer as bpe
from model import Config, Llama

SAVE_EVERY = 50
LOG_EVERY = 10


def make_batch(rows, stage, rng):
    kinds = ("noise", "dense", "filled", "story")
    share = np.array([stage[k] for k in kinds], float)
    ids, weights, tokens = [], [], stage["tokens"]
    for _ in range(max(1, stage["batch"] // tokens)):
        kind = kinds[rng.choice(4, p=share / share.sum())]
        if kind == "noise":
            row = rows.noise(tokens)
        elif kind == "dense":
            most = max(2, tokens // 36)
            row = rows.retrieval(tokens, int(rng.integers(2, most + 1)), 0.0)
        elif kind == "filled":
            row = rows.retrieval(tokens, int(rng.integers(1, max(2, tokens // 64) + 1)), float(rng.uniform(0.3, 0.95)))
        else:
            row = rows.story(tokens)
        ids.append(row[0])
        weights.append(row[1])
    return torch.from_numpy(np.stack(ids)), torch.from_numpy(np.stack(weights))


class Optimizer:
    """Muon for matrices (Jordan et al. 2024), AdamW for the embedding and the norms."""

    def __init__(self, model):
        matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
        self.parts = [
            torch.optim.Muon(matrices, lr=1e-3, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0),
        ]

    def step(self, lr):
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state):
        for part, values in zip(self.parts, state):
            part.load_state_dict(values)


def losses(model, ids, weights):
    """(loss, answers' loss, share of answer tokens that are the likeliest, stories' loss)."""
    targets, weights = ids[:, 1:].reshape(-1), weights[:, 1:].reshape(-1)
    hidden = model(ids)[:, :-1].reshape(-1, model.c.hidden)
    counted = weights > 0
    hidden, targets, weights = hidden[counted], targets[counted], weights[counted]
    logits = model.logits(hidden)
    each = F.cross_entropy(logits, targets, reduction="none")
    loss = (each * weights).sum() / weights.sum()
    with torch.no_grad():
        answers, words = weights == data.ANSWER, weights == 1
        hits = (logits[answers].argmax(-1) == targets[answers]).float()
        mean = lambda x: float(x.mean()) if len(x) else float("nan")
        return loss, mean(each[answers]), mean(hits), mean(each[words])


def train(args):
    torch.set_num_threads(args.threads)
    config = Config(hidden=args.hidden, layers=args.layers, heads=args.heads, kv_heads=args.kv_heads, intermediate=args.intermediate)
    stages = json.loads(args.stages.read_text())
    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    encode = bpe.Encoder(args.data / "tokenizer.json")
    model = Llama(config)
    circuit.put(model)
    model.to(args.device)
    optimizer = Optimizer(model)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    path = args.run / "checkpoint.pt"
    done, first_stage, first_step = 0, 0, 0
    if path.exists():
        state = torch.load(path, weights_only=True, map_location=args.device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done, first_stage, first_step = state["done"], state["stage"], state["step"]
        print(f"resuming at stage {first_stage}, step {first_step}", flush=True)

    def save(stage, step):
        state = dict(config=dataclasses.asdict(config), model=model.state_dict(), optimizer=optimizer.state_dict(), done=done, stage=stage,
                     step=step)
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)

    for number in range(first_stage, len(stages)):
        stage = stages[number]
        begin = first_step if number == first_stage else 0
        for step in range(begin, stage["steps"]):
            if step == begin or step % SAVE_EVERY == 0:
                # What a row holds follows from the seed and the number of its step, so that a resumed run goes on as the first would.
                seed = args.seed * 1_000_000 + number * 100_000 + step
                rows, rng = data.rows_for(args.data, encode, seed), np.random.default_rng(seed)
            if step % LOG_EVERY == 0:
                start, log, cpu = time.time(), [], time.process_time()
            ids, weights = (x.to(args.device) for x in make_batch(rows, stage, rng))
            share = step / stage["steps"]
            warm = min(1.0, (step + 1) / stage.get("warmup", 1))
            lr = (stage["lr"] * (1 - share) + stage["lr_end"] * share) * warm
            loss, *parts = losses(model, ids, weights)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step(lr)
            done += ids.numel()
            log.append([float(loss.detach()), *parts])
            if (step + 1) % LOG_EVERY == 0:
                mean = np.nanmean(np.array(log), 0)
                rate, cpu_rate = (LOG_EVERY * ids.numel() / max(1e-9, t) for t in (time.time() - start, time.process_time() - cpu))
                print(f"{stage['name']} {step + 1}/{stage['steps']} {done / 1e6:.2f}M lr {lr:.1e} loss {mean[0]:.3f} answers {mean[1]:.3f} "
                      f"hit {mean[2]:.3f} story {mean[3]:.3f} | {rate:.0f} tokens/s, {cpu_rate:.0f} per CPU second", flush=True)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == stage["steps"]:
                save(*((number + 1, 0) if step + 1 == stage["steps"] else (number, step + 1)))
        torch.save(dict(config=dataclasses.asdict(config), model=model.state_dict()), args.run / f"{stage['name']}.pt")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("run", type=pathlib.Path)
    arguments.add_argument("--stages", type=pathlib.Path, default=pathlib.Path(__file__).with_name("stages.json"))
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    for size in ("hidden", "layers", "heads", "kv_heads", "intermediate"):
        arguments.add_argument("--" + size.replace("_", "-"), type=int, default=getattr(Config, size))
    arguments.add_argument("--seed", type=int, default=1)
    train(arguments.parse_args())
