#!/usr/bin/env python3
"""Writes tests/golden/scores/*.json: what lm-evaluation-harness makes of given answers of a model.

Needs lm-eval (0.4.13 was used, with datasets 5.2, on CPython 3.11); no network. Run it from the repository's root:
    python scripts/golden/lm_eval_scores.py
sum() is replaced by the compensated sum that Python has from 3.12 on, which muster follows.
"""

import json
import os
import random
import tempfile
from collections import defaultdict

os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = os.environ["DISABLE_MULTIPROC"] = "1"
os.environ.setdefault("HF_HOME", tempfile.mkdtemp())

from lm_eval.api import metrics  # noqa: E402
from lm_eval.api.task import ConfigurableTask  # noqa: E402
from lm_eval.evaluator_utils import _compute_task_aggregations  # noqa: E402

OUT = "tests/golden/scores"


def compensated_sum(items, start=0):
    total, low = float(start), 0.0
    for item in items:
        item = float(item)
        new = total + item
        low += (total - new) + item if abs(total) >= abs(item) else (item - new) + total
        total = new
    return total + low if low else total


metrics.sum = compensated_sum
METRICS = lambda *names: [{"metric": name} for name in names]  # noqa: E731


def choices(seed, count):
    """Documents with three choices of different lengths, and log-likelihoods (some tied)."""
    rnd = random.Random(seed)
    rows, answers = [], []
    for i in range(count):
        rows.append({"q": f"question {i}", "options": ["né", "a longer option 水", "yes"], "gold": rnd.randrange(3)})
        lls = [round(rnd.uniform(-30, -1), 1 if i % 3 else 0) for _ in range(6)]
        if i % 4 == 0:
            lls[1] = lls[0] = lls[2]
        answers.append([[ll, rnd.random() < 0.4] for ll in lls])
    return rows, answers


CHOICE_TASK = {"output_type": "multiple_choice", "test_split": "test", "doc_to_text": "{{q}}", "doc_to_choice": "options",
               "doc_to_target": "gold"}
ROWS, ANSWERS = choices(1, 23)
PAIR_ROWS = [{**row, "options": row["options"][:2], "gold": row["gold"] % 2} for row in ROWS]


def texts(count, seed):
    rnd = random.Random(seed)
    rows = [{"text": "word " * rnd.randrange(1, 9) + "né\n end"} for _ in range(count)]
    return rows, [[[rnd.uniform(-40, -2), rnd.random() < 0.5]] for _ in rows]


LL_ROWS, LL_ANSWERS = texts(37, 2)
GENERATED = ["The answer is 12. #### 12", "#### 1,200", " 7 apples\n#### 8.", "nothing here", "it costs $5.00", "#### -3", ""]
GEN_ROWS = [{"q": str(i), "answer": a} for i, a in
            enumerate(["so 12\n#### 12", "#### 1200", "#### 8", "#### 4", "#### 5.00", "#### -3", "#### 0"])]
REF_ROWS = [{"q": "1", "refs": ["Rome", "the City of Rome"]}, {"q": "2", "refs": ["Oslo"]}, {"q": "3", "refs": ["A 1", "b"]}]
GEN_TASK = {"output_type": "generate_until", "test_split": "test", "doc_to_text": "{{q}}", "generation_kwargs": {"until": ["\n"]}}

CASES = {
    "multiple_choice": ({**CHOICE_TASK, "metric_list": METRICS("acc", "acc_norm", "acc_bytes", "exact_match", "acc_mutual_info",
                                                              "brier_score", "mcc")}, ROWS, ANSWERS, 1500),
    "two_choices": ({**CHOICE_TASK, "metric_list": METRICS("acc", "f1", "mcc")}, PAIR_ROWS, [a[:2] for a in ANSWERS], 2000),
    "gold_list": ({**CHOICE_TASK, "metric_list": METRICS("acc", "acc_norm", "exact_match")},
                  [{**row, "gold": [row["gold"], (row["gold"] + i) % 4]} for i, row in enumerate(ROWS)], [a[:3] for a in ANSWERS], 1),
    "gold_missing": ({**CHOICE_TASK, "metric_list": METRICS("acc", "exact_match")},
                     [{**row, "gold": row["gold"] + 2} for row in ROWS], [a[:3] for a in ANSWERS], 1),
    "median": ({**CHOICE_TASK, "metric_list": [{"metric": "acc", "aggregation": "median"}]}, ROWS, [a[:3] for a in ANSWERS], 1000),
    "log_likelihood": ({"output_type": "loglikelihood", "test_split": "test", "doc_to_text": "x", "doc_to_target": "text"},
                       LL_ROWS, LL_ANSWERS, 3000),
    "rolling": ({"output_type": "loglikelihood_rolling", "test_split": "test", "doc_to_text": "", "doc_to_target": "text"},
                LL_ROWS, LL_ANSWERS, 1000),
    "generation": ({**GEN_TASK, "doc_to_target": "answer",
                    "metric_list": [{"metric": "exact_match", "ignore_case": True, "ignore_punctuation": False,
                                     "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]}],
                    "filter_list": [{"name": "strict-match", "filter": [{"function": "regex",
                                                                         "regex_pattern": "#### (\\-?[0-9\\.\\,]+)"},
                                                                        {"function": "take_first"}]},
                                    {"name": "flexible-extract", "filter": [
                                        {"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"},
                                        {"function": "take_first"}]}]}, GEN_ROWS, GENERATED, 100),
    "references": ({**GEN_TASK, "doc_to_target": "refs",
                    "metric_list": [{"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True, "ignore_numbers": True}],
                    "filter_list": [{"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}]},
                   REF_ROWS, [" the city of ROME! ", "Bergen", "a"], 100),
    "votes": ({**GEN_TASK, "doc_to_target": "answer", "repeats": 4,
               "filter_list": [{"name": "vote", "filter": [{"function": "regex"}, {"function": "majority_vote"}, {"function": "take_first"}]},
                               {"name": "mapped", "filter": [{"function": "lowercase"}, {"function": "map", "mapping_dict": {"b": "#### 12"},
                                                                                      "default_value": "none"}, {"function": "take_first"}]}]},
              [{"q": "1", "answer": "7"}, {"q": "2", "answer": "#### 12"}],
              [["#### 3", "#### 7", "none", "#### 7"], ["B", "#### 1", "#### 2", "#### 2"]], 100),
}


def score(name, config, rows, answers, iterations):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "test.jsonl")
        with open(path, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        full = {"task": name, "dataset_path": "json", **config}
        task = ConfigurableTask(config=json.loads(json.dumps({**full, "dataset_kwargs": {"data_files": {"test": path}}})))
        task.set_fewshot_seed(1234)
        task.build_all_requests(limit=None, rank=0, world_size=1)
        by_doc = defaultdict(list)
        for instance in task.instances:
            by_doc[instance.doc_id].append(instance)
        for doc_id, instances in by_doc.items():
            answer = answers[doc_id]
            if task.OUTPUT_TYPE == "generate_until":
                instances[0].resps = answer if isinstance(answer, list) else [answer]
                continue
            for instance, (ll, greedy) in zip(instances, answer, strict=True):
                instance.resps = [ll] if task.OUTPUT_TYPE == "loglikelihood_rolling" else [(ll, greedy)]
        task.apply_filters()
        raw = defaultdict(list)
        for filter_name in task.instances[0].filtered_resps:
            for doc_id, instances in by_doc.items():
                results = task.process_results(task.eval_docs[doc_id], [i.filtered_resps[filter_name] for i in instances])
                for metric, value in results.items():
                    raw[(metric, filter_name)].append(value)
        results, _ = _compute_task_aggregations(task, raw, iterations)
    return {"task": full, "rows": rows, "answers": answers, "iterations": iterations,
            "results": {key: None if value == "N/A" else float(value) for key, value in results.items()}}


def groups():
    """Aggregates of three tasks, weighted by their sizes and not."""
    values, errors, sizes = [0.25, 0.7, 1 / 3], [0.04, 0.011, 0.2], [120, 900, 7]
    return {"values": values, "stderrs": errors, "sizes": sizes,
            "weighted": float(metrics.aggregate_subtask_metrics(values, sizes, True)),
            "plain": float(metrics.aggregate_subtask_metrics(values, sizes, False)),
            "weighted_stderr": float(metrics.pooled_sample_stderr(errors, sizes)),
            "plain_stderr": float(metrics.unweighted_mean_stderr(errors))}


def main():
    os.makedirs(OUT, exist_ok=True)
    results = {name: score(name, *case) for name, case in CASES.items()}
    results["group"] = groups()
    for name, result in results.items():
        with open(f"{OUT}/{name}.json", "w", encoding="utf-8") as out:
            json.dump(result, out, ensure_ascii=False, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
