#!/usr/bin/env python3
"""Trains the quick start's tokenizer and model into configs/quickstart/model. Needs torch, transformers, tokenizers.

One thread and fixed seeds: the same versions on the same kind of CPU give the same files. The text is drawn from
world.py while training and is never stored.
"""

import argparse
import json
import math
import os
import pathlib
import random
import time

os.environ["OMP_NUM_THREADS"] = "1"
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, processors, trainers

import world

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "configs/quickstart/model"
BOS, EOS = "<|begin|>", "<|end|>"
CONTEXT, BATCH = 512, 8
# The pre-tokenizer of Qwen2: single digits, and a space joins the word after it.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")


def train_tokenizer(vocab_size):
    rng = random.Random(1)
    corpus = [world.training_document(rng) for _ in range(6000)]
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, special=True, normalized=False) for t in (BOS, EOS)]
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, 0), (EOS, 1)])
    return tokenizer


def token_stream(tokenizer, rng):
    """Endless ids: BOS document EOS. Now and then BOS is doubled, because a rolling log-likelihood in
    lm-evaluation-harness starts from BOS and then predicts the BOS of the text itself."""
    while True:
        for encoding in tokenizer.encode_batch([world.training_document(rng) for _ in range(200)]):
            if rng.random() < 0.05:
                yield 0
            yield from encoding.ids
            yield 1


def learning_rate(step, steps, peak):
    if step < 100:
        return peak * (step + 1) / 100
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100))))


def train(model, tokenizer, steps, peak):
    matrices = [p for p in model.parameters() if p.ndim == 2]
    vectors = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  betas=(0.9, 0.98))
    stream, begin, losses = token_stream(tokenizer, random.Random(2)), time.time(), []
    for step in range(steps):
        ids = torch.tensor([next(stream) for _ in range(BATCH * CONTEXT)]).view(BATCH, CONTEXT)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} loss {sum(losses[-50:]) / 50:.4f} {time.time() - begin:.0f} s", flush=True)
    return sum(losses[-50:]) / 50


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--peak", type=float, default=4e-3)
    parser.add_argument("--vocab", type=int, default=640)
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(3)

    tokenizer = train_tokenizer(arguments.vocab)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=128, intermediate_size=256, num_hidden_layers=4,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, dtype="float32")
    model = transformers.LlamaForCausalLM(config)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    loss = train(model, tokenizer, arguments.steps, arguments.peak)

    arguments.out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(arguments.out)
    tokenizer.save(str(arguments.out / "tokenizer.json"))
    (arguments.out / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
        "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    print(f"final loss {loss:.4f}; torch {torch.__version__}, transformers {transformers.__version__}, "
          f"tokenizers {tokenizers.__version__}")


if __name__ == "__main__":
    main()
