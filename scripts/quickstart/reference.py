#!/usr/bin/env python3
"""Evaluates the quick start with lm-evaluation-harness (f32, CPU, one thread) and writes what muster must reproduce to
tests/golden/quickstart: scores.csv, and columns of the samples with one line per value."""

import importlib.metadata
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


def columns(task, samples):
    """Column name → values in document order, as muster's result file has them."""
    rows = sorted({s["doc_id"]: s for s in samples}.values(), key=lambda s: s["doc_id"])
    out = {"prompt_hash": [s["prompt_hash"] for s in rows]}
    if task == "quickstart_creatures":
        out["loglikelihood"] = [f"{r[0][0]:.9g}" for s in rows for r in s["resps"]]
    elif task == "quickstart_stories":
        out["loglikelihood"] = [f"{s['resps'][0][0]:.9g}" for s in rows]
    else:
        out["response"] = [s["resps"][0][0] for s in rows]
    return out


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
    for task in TASKS:
        for name, values in columns(task, result["samples"][task]).items():
            assert not any("\n" in value for value in values)
            (OUT / f"{task}.{name}.txt").write_text("\n".join(values) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
