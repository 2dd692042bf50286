#!/usr/bin/env python3
"""Writes tests/golden/prompts/*.json: requests that lm-evaluation-harness builds from small data sets of our own.

Needs lm-eval (0.4.13 was used, with datasets 5.2, on CPython 3.11); no network. Run it from the repository's root:
    python scripts/golden/lm_eval_prompts.py
Each file holds the task, its rows by split, and the arguments of every request in order. The seed is lm-eval's 1234.
"""

import json
import os
import random
import tempfile

os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HOME", tempfile.mkdtemp())

from lm_eval.api.task import ConfigurableTask  # noqa: E402

OUT = "tests/golden/prompts"
WORDS = ["river", "lamp", "Straße", "kite", "λόγος", "stone", "cloud", "水", "violin", "market", "engine", "fern"]


def quiz(seed, count):
    """Questions with four options, an answer index and its text."""
    rnd = random.Random(seed)
    rows = []
    for i in range(count):
        options = rnd.sample(WORDS, 4)
        gold = rnd.randrange(4)
        rows.append({"question": f" Which word is number {i + 1} of {seed}? ", "options": options, "answer": gold,
                     "answer_text": options[gold], "letter": "ABCD"[gold], "hint": rnd.choice(WORDS)})
    return rows


def sums(seed, count):
    """Word problems with a written-out answer."""
    rnd = random.Random(seed)
    rows = []
    for _ in range(count):
        a, b = rnd.randrange(2, 60), rnd.randrange(2, 60)
        rows.append({"question": f"Ada has {a} pears and finds {b} more. How many?",
                     "answer": f"{a} + {b} = {a + b}\n#### {a + b}", "number": a + b,
                     "references": [str(a + b), f"{a + b} pears"]})
    return rows


def stories(seed, count):
    rnd = random.Random(seed)
    return [{"text": " ".join(rnd.choice(WORDS) for _ in range(rnd.randrange(3, 12))) + "  end.\n"} for _ in range(count)]


LETTERS = "{{question.strip()}}\nA. {{options[0]}}\nB. {{options[1]}}\nC. {{options[2]}}\nD. {{options[3]}}\nAnswer:"
MC = {"output_type": "multiple_choice", "doc_to_text": LETTERS, "doc_to_choice": ["A", "B", "C", "D"],
      "doc_to_target": "answer"}
TEXT = {"output_type": "multiple_choice", "doc_to_text": "Question:{{question}}\nAnswer:", "doc_to_choice": "{{options}}",
        "doc_to_target": "{{options.index(answer_text)}}"}
GEN = {"output_type": "generate_until", "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "{{answer}}",
       "generation_kwargs": {"until": ["Question:", "</s>"], "do_sample": False}}
SPLITS = {"training_split": "train", "validation_split": "validation", "test_split": "test"}
THREE = {"train": quiz(11, 12), "validation": quiz(12, 4), "test": quiz(13, 6)}
DOUBLED = quiz(14, 5) + quiz(14, 3)

CASES = {
    "first_n": ({**MC, "test_split": "test", "fewshot_split": "dev", "num_fewshot": 5, "fewshot_config": {"sampler": "first_n"},
                 "description": "The following are questions (with answers) about words.\n\n"},
                {"test": quiz(1, 5), "dev": quiz(2, 6)}),
    "random_train": ({**TEXT, **SPLITS, "num_fewshot": 3}, THREE),
    "random_large_pool": ({**TEXT, "training_split": "train", "test_split": "test", "num_fewshot": 6},
                          {"train": quiz(15, 120), "test": quiz(16, 8)}),
    "validation_only": ({**TEXT, "validation_split": "validation", "num_fewshot": 2}, {"validation": quiz(3, 7)}),
    "validation_and_train": ({**TEXT, "training_split": "train", "validation_split": "validation", "num_fewshot": 2},
                             {"train": quiz(17, 5), "validation": quiz(18, 4)}),
    "doubled_documents": ({**TEXT, "validation_split": "validation", "num_fewshot": 3}, {"validation": DOUBLED}),
    "same_split_first_n": ({**MC, "test_split": "test", "fewshot_split": "test", "num_fewshot": 2,
                            "fewshot_config": {"sampler": "first_n"}}, {"test": quiz(4, 5)}),
    "delimiters": ({**TEXT, **SPLITS, "num_fewshot": 2, "target_delimiter": " -> ", "fewshot_delimiter": "\n###\n",
                    "description": "hint"}, THREE),
    "fewshot_overrides": ({**TEXT, **SPLITS, "num_fewshot": 2, "description": "About {{hint}}: ",
                           "fewshot_config": {"split": "validation", "doc_to_text": "Example: {{question}}",
                                              "doc_to_choice": ["a", "b", "c", "d"], "doc_to_target": "answer",
                                              "target_delimiter": "=", "fewshot_delimiter": "|"}}, THREE),
    "gen_prefix": ({**TEXT, **SPLITS, "num_fewshot": 2, "gen_prefix": "The word is"}, THREE),
    "gen_prefix_column": ({**TEXT, **SPLITS, "num_fewshot": 1, "gen_prefix": "hint", "target_delimiter": "\n"}, THREE),
    "mutual_information": ({**TEXT, "test_split": "test", "metric_list": [{"metric": "acc_mutual_info", "aggregation": "mean",
                                                                         "higher_is_better": True}]}, {"test": quiz(5, 3)}),
    "choices_are_contexts": ({"output_type": "multiple_choice", "validation_split": "validation", "num_fewshot": 2,
                              "doc_to_text": "{{answer}}", "doc_to_target": "{{hint}} at last.",
                              "doc_to_choice": "{{[question + options[0], question + options[1], question + options[2], "
                                               "question + options[3]]}}"}, {"validation": quiz(6, 6)}),
    "gold_text_and_map": ({"output_type": "multiple_choice", "test_split": "test", "training_split": "train", "num_fewshot": 2,
                           "doc_to_text": "question", "doc_to_target": "letter",
                           "doc_to_choice": {"first": "A", "second": "B", "third": "C", "fourth": "D"}},
                          {"train": quiz(7, 4), "test": quiz(8, 4)}),
    "log_likelihood": ({"output_type": "loglikelihood", "test_split": "test", "training_split": "train", "num_fewshot": 2,
                        "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}", "doc_to_target": "{{' '+text.split(' ')[-1]}}"},
                       {"train": stories(1, 5), "test": stories(2, 5)}),
    "rolling": ({"output_type": "loglikelihood_rolling", "test_split": "test", "doc_to_text": "", "doc_to_target": "{{text}}"},
                {"test": stories(3, 4)}),
    "generate_train": ({**GEN, "training_split": "train", "test_split": "test", "fewshot_split": "train", "num_fewshot": 5},
                       {"train": sums(1, 30), "test": sums(2, 6)}),
    "generate_samples": ({**GEN, "test_split": "test", "num_fewshot": 2, "gen_prefix": "Let me count:\n",
                          "fewshot_config": {"sampler": "first_n", "doc_to_target": "{{target}}",
                                             "samples": [{"question": "1 + 1?", "target": "2"}, {"question": "2 + 2?", "target": "4"},
                                                         {"question": "3 + 3?", "target": "6"}]}}, {"test": sums(3, 3)}),
    "generate_references": ({**GEN, "doc_to_target": "references", "training_split": "train", "test_split": "test",
                             "num_fewshot": 1}, {"train": sums(4, 3), "test": sums(5, 3)}),
    "generate_choice": ({**GEN, "doc_to_text": LETTERS, "doc_to_target": "answer", "doc_to_choice": "options",
                         "training_split": "train", "test_split": "test", "num_fewshot": 1}, {"train": quiz(9, 3), "test": quiz(10, 3)}),
    "generate_number": ({**GEN, "doc_to_target": "number", "test_split": "test"}, {"test": sums(6, 2)}),
}


def build(name, config, data):
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for split, rows in data.items():
            files[split] = os.path.join(folder, split + ".jsonl")
            with open(files[split], "w", encoding="utf-8") as out:
                out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        full = {"task": name, "dataset_path": "json", **config}
        # Copies: lm-eval changes the objects it is given.
        task = ConfigurableTask(config=json.loads(json.dumps({**full, "dataset_kwargs": {"data_files": files}})))
        task.set_fewshot_seed(1234)
        task.build_all_requests(limit=None, rank=0, world_size=1)
        requests = [[r.doc_id, *r.arguments] for r in task.instances]
        targets = [task.doc_to_target(doc) for doc in task.eval_docs]
    return {"task": full, "data": data, "requests": requests, "targets": targets}


def main():
    os.makedirs(OUT, exist_ok=True)
    for name, (config, data) in CASES.items():
        with open(f"{OUT}/{name}.json", "w", encoding="utf-8") as out:
            json.dump(build(name, config, data), out, ensure_ascii=False, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
