#!/usr/bin/env python3
"""Writes tests/golden/engine/generation_defaults.json: what lm-evaluation-harness has generate() of transformers write,
greedily, for checkpoints whose generation_config.json (or config.json) asks for a repetition penalty.

    python scripts/golden/generation_defaults.py > tests/golden/engine/generation_defaults.json

Made with lm-eval 0.4.13, transformers 5.23.0 and torch 2.15.0 on the CPU, float32; no network. Run it from the repository's root. The
model is that of the quick start, the way that of HFLM.generate_until: kwargs go through lm-eval's normalize_gen_kwargs and
HFLM._model_generate, one prompt at a time.
"""
import json, os, pathlib, shutil, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

MODEL = pathlib.Path("configs/quickstart/model")
PROMPTS = ["Problem: Tom has 3 apples and gets 4 more. How many apples does Tom have?\nAnswer:",
           "Problem: Ann has 9 pens, Ann has 9 pens, Ann has", "A cat is a"]
LENGTH = 48
SAMPLING = {"temperature": 0.3, "top_k": 3, "top_p": 0.5, "min_p": 0.2, "do_sample": True}
CASES = [  # generation_config.json, keys added to config.json, generation_kwargs of the task
    ({"eos_token_id": 1}, {}, {}),
    ({"eos_token_id": 1, "repetition_penalty": 1.05}, {}, {"do_sample": False, "temperature": 0.0}),
    ({"eos_token_id": 1, "repetition_penalty": 1.3, **SAMPLING}, {}, {}),
    ({"eos_token_id": 1, "repetition_penalty": 0.9}, {}, {"do_sample": False}),
    ({"eos_token_id": 1, "repetition_penalty": 1.3}, {}, {"repetition_penalty": 1.0}),
    ({"eos_token_id": 1, "repetition_penalty": 1.05}, {}, {"repetition_penalty": 1.2}),
    (None, {"repetition_penalty": 1.1}, {}),
    ({"eos_token_id": 1}, {"repetition_penalty": 1.1}, {}),
]


def write(folder, name, keys):
    (folder / name).write_text(json.dumps(keys))


def run(generation_config, config, kwargs):
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for file in MODEL.iterdir():
            shutil.copy(file, folder)
        (folder / "generation_config.json").unlink()
        if generation_config is not None:
            write(folder, "generation_config.json", generation_config)
        write(folder, "config.json", json.loads((MODEL / "config.json").read_text()) | config)
        model = HFLM(pretrained=temporary, dtype="float32", device="cpu", batch_size=1)
        outputs = []
        for prompt in PROMPTS:
            ids, mask = model.tok_batch_encode([prompt])
            given = dict(normalize_gen_kwargs({"until": [], "max_gen_toks": LENGTH, **kwargs}, 256))
            length = given.pop("max_gen_toks")
            out = model._model_generate(context=ids, attention_mask=mask, stop=given.pop("until"),
                                        max_length=ids.shape[1] + length, **given)
            outputs.append({"prompt": ids[0].tolist(), "ids": out[0, ids.shape[1]:].tolist()})
    return {"generation_config": generation_config, "config": config, "generation_kwargs": kwargs, "outputs": outputs}


torch.manual_seed(0)
print(json.dumps({"made_by": "scripts/golden/generation_defaults.py", "length": LENGTH, "cases": [run(*case) for case in CASES]},
                 separators=(",", ":")).replace('{"generation_config"', '\n{"generation_config"'))
