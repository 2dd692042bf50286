"""Writes tests/golden/engine/sampler_filters.json: what Hugging Face's logits processors leave of random logits.

    python scripts/golden/sampler_filters.py > tests/golden/engine/sampler_filters.json

Made with transformers 5.23.0 and torch 2.15.0 on the CPU. The processors come from GenerationMixin's own
_get_logits_processor, so that their order is Hugging Face's, not ours.
"""

import json

import torch
import transformers
from transformers import GenerationConfig, GenerationMixin


class Bare(GenerationMixin):
    config = transformers.LlamaConfig(vocab_size=24)
    device = torch.device("cpu")


def case(generator, **options):
    # Multiples of 1/8 are exact in JSON; equal logits are frequent unless top-p has to break ties.
    vocab = 24
    logits = torch.randperm(4 * vocab, generator=generator)[:vocab].float() / 8 - 6
    if "top_p" not in options:
        logits = (logits * 2).round() / 2
    prompt = torch.randint(0, vocab, (1, 9), generator=generator)
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **options})
    config._eos_token_tensor = None
    processors = Bare()._get_logits_processor(
        generation_config=config, input_ids_seq_length=9, encoder_input_ids=prompt, device="cpu")
    scores = processors(prompt, logits[None].clone())[0]
    probabilities = scores.double().softmax(-1)
    kept = [i for i in range(vocab) if scores[i] != -float("inf")]
    return {"options": options, "prompt": prompt[0].tolist(), "logits": logits.tolist(), "kept": kept,
            "probabilities": [round(probabilities[i].item(), 9) for i in kept],
            "processors": [type(p).__name__ for p in processors]}


generator = torch.Generator().manual_seed(7)
grid = [dict(temperature=0.7), dict(temperature=2.5), dict(temperature=1.0, top_k=5), dict(temperature=0.5, top_k=1),
        dict(temperature=1.0, top_k=100), dict(temperature=1.0, top_p=0.9), dict(temperature=1.5, top_p=0.3),
        dict(temperature=1.0, top_p=0.01), dict(temperature=1.0, min_p=0.1), dict(temperature=3.0, min_p=0.5),
        dict(temperature=1.0, repetition_penalty=1.3), dict(temperature=1.0, repetition_penalty=0.6),
        dict(temperature=0.8, top_k=8, top_p=0.8), dict(temperature=1.7, top_k=10, top_p=0.95, min_p=0.05),
        dict(temperature=1.3, top_k=12, top_p=0.9, min_p=0.02, repetition_penalty=1.2)]
print(json.dumps({"cases": [case(generator, **options) for options in grid for _ in range(2)]}, indent=None,
                 separators=(",", ":")).replace('{"options"', '\n{"options"'))
