#!/usr/bin/env python3
"""torch and transformers at the shape and phases of `muster bench`, for a comparison on the same device.

Random weights, eager mode, scaled-dot-product attention; prompts without padding, one forward call each; decoding with a
dynamic cache, all sequences at the same position. Exit code 77 where torch, transformers or the device is missing.

    torch_bench.py --shape llama-3-8b [--device cuda] [--prefill 1x2048,8x2048] [--decode 1,16,64] [--json FILE]
"""

import argparse
import json
import pathlib
import statistics
import sys
import time

SHAPES = {  # as in src/cli/bench_shapes.cpp
    "llama-135m": dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=576, intermediate_size=1536,
        num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, vocab_size=49152,
        tie_word_embeddings=True, max_position_embeddings=8192, rms_norm_eps=1e-5),
    "llama-3-8b": dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=4096, intermediate_size=14336,
        num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, vocab_size=128256,
        tie_word_embeddings=False, max_position_embeddings=8192, rms_norm_eps=1e-5),
}


def skip(why):
    print(f"torch_bench.py: {why}")
    sys.exit(77)


try:
    import torch
    import transformers
except (ImportError, OSError) as error:  # also libraries that it does not find
    skip(error)


def config_of(shape):
    """A shape's name, or the path of a config.json that says its model_type."""
    fields = SHAPES.get(shape) or json.loads(pathlib.Path(shape).read_text())
    fields = {key: value for key, value in fields.items() if key not in ("bos_token_id", "eos_token_id")}
    return transformers.AutoConfig.for_model(**fields)


class Bench:
    def __init__(self, arguments):
        self.device = torch.device(arguments.device)
        self.runs = arguments.runs
        dtype = getattr(torch, arguments.dtype)
        torch.manual_seed(0)
        # The argument for the type has had two names.
        torch.set_default_dtype(dtype)
        with self.device:
            self.model = transformers.AutoModelForCausalLM.from_config(
                config_of(arguments.shape), attn_implementation="sdpa").eval()
        self.vocab = self.model.config.vocab_size

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def tokens(self, batch, length):
        return torch.randint(self.vocab, (batch, length), device=self.device)

    def seconds(self, call):
        self.wait()
        start = time.perf_counter()
        call()
        self.wait()
        return time.perf_counter() - start

    @torch.inference_mode()
    def prefill(self, batch, length):
        """Tokens per second of prompts [batch, length], logits of the last token only."""
        ids = self.tokens(batch, length)
        times = [self.seconds(lambda: self.model(ids, use_cache=False, logits_to_keep=1)) for _ in range(self.runs + 1)]
        return batch * length / statistics.median(times[1:])

    @torch.inference_mode()
    def decode(self, batch, context, steps):
        """Tokens per second of greedy steps after prompts [batch, context]."""
        cache = transformers.DynamicCache()
        out = self.model(self.tokens(batch, context), past_key_values=cache, use_cache=True, logits_to_keep=1)
        times = []
        for _ in range(steps + 2):
            ids = out.logits[:, -1:].argmax(-1)

            def step():
                nonlocal out
                out = self.model(ids, past_key_values=cache, use_cache=True)

            times.append(self.seconds(step))
        return batch / statistics.median(times[2:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="llama-3-8b", help="a name, or the path of a config.json")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prefill", default="1x2048,8x2048", help="BATCHxTOKENS, ...")
    parser.add_argument("--decode", default="1,16,64", help="batches")
    parser.add_argument("--context", type=int, default=128, help="tokens before the first decoded one")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        skip("torch sees no device")
    name = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else arguments.device
    print(f"{name}, torch {torch.__version__}, transformers {transformers.__version__}, eager, {arguments.dtype}")
    bench = Bench(arguments)
    rows = []
    for entry in filter(None, arguments.prefill.split(",")):
        batch, length = map(int, entry.split("x"))
        rows.append(dict(phase="prefill", batch=batch, tokens=length, tokens_per_second=bench.prefill(batch, length)))
    for batch in map(int, filter(None, arguments.decode.split(","))):
        rate = bench.decode(batch, arguments.context, arguments.steps)
        rows.append(dict(phase="decode", batch=batch, tokens=arguments.context, tokens_per_second=rate))
    print(f"{'phase':<8} {'batch':>5} {'tokens':>6} {'tokens/s':>12}")
    for row in rows:
        print(f"{row['phase']:<8} {row['batch']:>5} {row['tokens']:>6} {row['tokens_per_second']:>12,.1f}")
    if arguments.json:
        about = dict(device=name, torch=torch.__version__, transformers=transformers.__version__, shape=arguments.shape)
        arguments.json.write_text(json.dumps(dict(about, phases=rows), indent=1) + "\n")


if __name__ == "__main__":
    main()
