#!/usr/bin/env python3
"""Evaluates the quick start with lm-evaluation-harness (f32, CPU, one thread) and writes what muster must reproduce:
tests/golden/quickstart/scores.csv (all scores) and samples.json (prompts and results of some documents)."""

import importlib.metadata
import json
import os
import pathlib
import sys
import tempfile

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                  HF_DATASETS_CACHE=tempfile.mkdtemp())
import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "configs/quickstart"
OUT = ROOT / "tests/golden/quickstart"
TASKS = ["quickstart_creatures", "quickstart_sums", "quickstart_stories"]
SHOWN = {"quickstart_creatures": 12, "quickstart_sums": 12, "quickstart_stories": 60}


def shown_sample(task, sample):
    """The parts of one logged sample that do not depend on how lm-eval names things."""
    out = {"doc_id": sample["doc_id"]}
    arguments = sample["arguments"]
    if task == "quickstart_stories":
        return out | {"log_likelihood": sample["resps"][0][0]}
    out["prompt"] = arguments[0][0]
    if task == "quickstart_sums":
        return out | {"response": sample["resps"][0][0]}
    return out | {"continuations": [a[1] for a in arguments], "gold": sample["doc"]["answer"],
                  "log_likelihoods": [r[0][0] for r in sample["resps"]], "is_greedy": [r[0][1] for r in sample["resps"]]}


def main():
    model_path = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE / "model"
    torch.set_num_threads(1)
    os.chdir(HERE / "data")  # the task files name data files relative to the data folder
    model = HFLM(pretrained=str(model_path), dtype="float32", device="cpu", batch_size=8)
    result = lm_eval.simple_evaluate(model=model, tasks=TASKS, log_samples=True, bootstrap_iters=100,
                                     task_manager=TaskManager(include_path=str(HERE / "tasks"), include_defaults=False))
    packages = ["lm_eval", "torch", "transformers", "tokenizers", "datasets"]
    made = "scripts/quickstart/reference.py: hf backend, float32, cpu, one thread; " + ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in packages)
    OUT.mkdir(parents=True, exist_ok=True)
    lines = [f"# {made}", "# task,metric,filter,value,tolerance"]
    for task in TASKS:
        for key, value in result["results"][task].items():
            if isinstance(value, float) and "_stderr" not in key:
                metric, filter_name = key.split(",")
                lines.append(f"{task},{metric},{filter_name},{float(value)!r},{1e-4 if 'per' in metric else 1e-6}")
    (OUT / "scores.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    samples = {}
    for task in TASKS:
        rows = sorted({s["doc_id"]: s for s in result["samples"][task]}.values(), key=lambda s: s["doc_id"])
        samples[task] = [shown_sample(task, s) for s in rows[:SHOWN[task]]]
    text = json.dumps({"made_by": made, "samples": samples}, indent=1, ensure_ascii=False)
    (OUT / "samples.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
