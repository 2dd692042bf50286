#!/usr/bin/env python3
"""Writes configs/quickstart/data/*.jsonl: test and few-shot files of the three tasks. Seeded, standard library only."""

import json
import pathlib
import random

import world

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "configs/quickstart/data"


def write(name, rows):
    with open(OUT / name, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def multiple_choice(rng, creatures, count):
    """Distinct questions with four choices of the same attribute; `answer` is the index of the right one."""
    rows, used = [], set()
    while len(rows) < count:
        text, right, attribute = world.question(rng, rng.choice(creatures))
        if text in used:
            continue
        used.add(text)
        choices = [right] + rng.sample([v for v in world.VALUES[attribute] if v != right], 3)
        rng.shuffle(choices)
        rows.append({"question": text, "choices": choices, "answer": choices.index(right), "attribute": attribute})
    return rows


def sums(rng, held_out, count, steps=(1, 2, 2)):
    rows, used = [], set()
    while len(rows) < count:
        text, solution, _ = world.problem(rng, held_out, steps)
        if text not in used:
            used.add(text)
            rows.append({"problem": text, "solution": solution})
    return rows


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write("creatures_train.jsonl", multiple_choice(random.Random(20), world.SEEN, 60))
    write("creatures_test.jsonl", multiple_choice(random.Random(21), world.HELD_OUT, 200))
    write("sums_train.jsonl", sums(random.Random(22), False, 60))
    # One problem in four has three steps, and no training text has more than two.
    write("sums_test.jsonl", sums(random.Random(23), True, 200, (1, 2, 2, 3)))
    # The last six are longer than the model's 512 positions: they need several windows.
    rng = random.Random(24)
    write("stories_test.jsonl", [{"text": world.story(rng, n)} for n in [1] * 34 + [2] * 20 + [12] * 6])


if __name__ == "__main__":
    main()
