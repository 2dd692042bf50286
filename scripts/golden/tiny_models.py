#!/usr/bin/env python3
"""Makes tests/golden/models: tiny random checkpoints with the logits that Hugging Face transformers gives them.

    python scripts/golden/tiny_models.py tests/golden/models [names of models, all if there are none]

Needs torch, transformers 5 and safetensors. Every folder holds config.json (in the spelling of transformers 4 for half of the
models), the checkpoint, golden.json (token sequences, versions) and logits.bin: f32 [all tokens of all sequences, vocab], computed in
f32 with eager attention, one sequence at a time. Checkpoints in bfloat16 and float16 also have logits_half.bin, the same computed by
transformers in that type: the distance between the two files is the yardstick for our own. The experts of STACKED models are stored as
transformers 5 holds them in memory, all in two tensors.
"""
import json, pathlib, shutil, sys

import torch, transformers
from safetensors.torch import save_file
from transformers import (LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM,
                          Qwen3MoeForCausalLM)

VOCAB = 61
BASE = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1,
            eos_token_id=2, initializer_range=0.25, attn_implementation="eager")
ONE = dict(num_hidden_layers=1, tie_word_embeddings=True, max_position_embeddings=16)

WINDOW = dict(use_sliding_window=True, sliding_window=5)
SLIDES, FULL = "sliding_attention", "full_attention"


def rope(**keys):
    return dict(rope_parameters=dict(rope_theta=500.0, **keys))


MODELS = {
    # name: (class, config, dtype, spelling of transformers 4?, shard size)
    "llama-gqa-tied": (LlamaForCausalLM, dict(tie_word_embeddings=True), "float32", True, None),
    "llama-biases": (LlamaForCausalLM, dict(attention_bias=True, mlp_bias=True, head_dim=10, num_key_value_heads=4,
                                            intermediate_size=28, num_hidden_layers=1), "float32", False, None),
    "llama-one-kv-head": (LlamaForCausalLM, dict(num_key_value_heads=1, num_attention_heads=8, head_dim=4), "float32", False, None),
    "llama-rope-linear": (LlamaForCausalLM, ONE | rope(rope_type="linear", factor=2.5), "float32", True, None),
    "llama-rope-llama3": (LlamaForCausalLM, ONE | rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                       original_max_position_embeddings=32), "float32", True, None),
    "llama-rope-dynamic": (LlamaForCausalLM, ONE | rope(rope_type="dynamic", factor=2.0), "float32", False, None),
    "llama-rope-yarn": (LlamaForCausalLM, ONE | rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
                        "float32", False, None),
    "llama-rope-yarn-mscale": (LlamaForCausalLM, ONE | rope(rope_type="yarn", factor=4.0, mscale=0.7, mscale_all_dim=1.3,
                                                            beta_fast=4.0, beta_slow=0.5, truncate=False,
                                                            original_max_position_embeddings=16), "float32", False, None),
    "llama-bf16-sharded": (LlamaForCausalLM, {}, "bfloat16", True, "12KB"),
    "llama-f16": (LlamaForCausalLM, dict(tie_word_embeddings=True), "float16", False, None),
    "mistral-window": (MistralForCausalLM, dict(sliding_window=5, tie_word_embeddings=True), "float32", True, None),
    "mistral-no-window": (MistralForCausalLM, dict(sliding_window=None, num_hidden_layers=1), "bfloat16", False, None),
    # The second of two layers slides; the first one of three does, as its list says.
    "qwen2-upper-window": (Qwen2ForCausalLM, WINDOW | dict(max_window_layers=1), "float32", True, None),
    "qwen2-bf16": (Qwen2ForCausalLM, dict(tie_word_embeddings=True, sliding_window=5), "bfloat16", True, None),
    "qwen3-listed-windows": (Qwen3ForCausalLM, WINDOW | dict(layer_types=[SLIDES, FULL, FULL], num_hidden_layers=3, head_dim=16),
                             "float32", False, None),
    "qwen3-bf16-biases": (Qwen3ForCausalLM, dict(attention_bias=True, head_dim=16, num_hidden_layers=1), "bfloat16", False, None),
    "mixtral": (MixtralForCausalLM, dict(num_local_experts=5, num_experts_per_tok=2), "float32", True, None),
    "mixtral-stacked": (MixtralForCausalLM, dict(num_local_experts=4, num_experts_per_tok=3, sliding_window=7, num_hidden_layers=1),
                        "bfloat16", False, None),
    "qwen3-moe": (Qwen3MoeForCausalLM, dict(num_experts=8, num_experts_per_tok=3, moe_intermediate_size=16), "float32", False, None),
    "qwen3-moe-bf16": (Qwen3MoeForCausalLM, dict(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=24, norm_topk_prob=True,
                                                 num_hidden_layers=1), "bfloat16", True, None),
}
STACKED = {"mixtral-stacked"}


def to_v4(config):
    """The keys that transformers 4 wrote."""
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    kind = parameters.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else dict(type=kind, **parameters)
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)


def logits_of(model, sequences):
    with torch.no_grad():
        return torch.cat([model(torch.tensor([ids])).logits[0].float() for ids in sequences])


def main(root, wanted):
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for index, (name, (kind, keys, dtype, v4, shard)) in enumerate(MODELS.items()):
        if wanted and name not in wanted:
            continue
        torch.manual_seed(1000 + index)
        config = kind.config_class(**(BASE | keys))
        model = kind(config).eval()
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "norm" in parameter_name:
                    parameter.uniform_(0.5, 1.5)
                elif "bias" in parameter_name:
                    parameter.normal_(0, 0.3)
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        model.to(getattr(torch, dtype)).save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
        sequences = [torch.randint(3, VOCAB, (n,)).tolist() for n in (35, 7, 1)]
        load = lambda dtype: kind.from_pretrained(folder, dtype=dtype, attn_implementation="eager")  # keeps rope in f32
        if dtype != "float32":
            logits_of(load(dtype), sequences).numpy().tofile(folder / "logits_half.bin")
        logits_of(load("float32"), sequences).numpy().tofile(folder / "logits.bin")
        if name in STACKED:
            save_file(model.state_dict(), folder / "model.safetensors", metadata=dict(format="pt"))
        if v4:
            written = json.loads((folder / "config.json").read_text())
            to_v4(written)
            (folder / "config.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")
        golden = dict(made_by="scripts/golden/tiny_models.py", transformers=transformers.__version__, torch=torch.__version__,
                      vocab=VOCAB, sequences=sequences)
        (folder / "golden.json").write_text(json.dumps(golden) + "\n")
        print(name, sum(f.stat().st_size for f in folder.iterdir()))


main(pathlib.Path(sys.argv[1]), sys.argv[2:])
