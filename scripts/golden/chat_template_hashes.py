"""Writes tests/golden/jinja/chat_templates.json: SHA-256 of real chat templates rendered by jinja2.

    python3 scripts/golden/chat_template_hashes.py <chat-templates folder> tests/golden/jinja/chat_templates.json

The folder holds jinja/*.jinja, ort-ext/ (templates and tokenizer_config.json files) and minja-contexts/*.json.
Neither templates nor renders are copied: the test reads the same folder and compares hashes.
"""
import copy
import glob
import hashlib
import json
import os
import sys

import jinja_cases

# Conversations of our own, beside those of the folder: arguments as objects, typed content, reasoning.
TOOLS = [{"type": "function", "function": {
    "name": "add", "description": "Adds two numbers.",
    "parameters": {"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "integer", "description": "The first."}, "b": {"type": "number", "enum": [1, 2.5]},
        "c": {"type": ["string", "null"]}, "d": {"type": "array", "items": {"type": "string"}}}},
    "return": {"type": "number"}}}]
CALL = {"type": "function", "id": "abcdef123", "function": {"name": "add", "arguments": {"a": 1, "b": 2.5, "c": "é<b>"}}}
BASE = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
OWN = {
    "objects": {**BASE, "tools": TOOLS, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": " What is 1 + 2.5? "},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "name": "add", "tool_call_id": "abcdef123", "content": "3.5"},
        {"role": "assistant", "content": "It is 3.5.\n"}, {"role": "user", "content": "Thanks"}]},
    "parts": {**BASE, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
        {"role": "user", "content": [{"type": "text", "text": "Sure?"}]}]},
    "reasoning": {**BASE, "enable_thinking": True, "messages": [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "<think>\neasy\n</think>\n\n2", "reasoning_content": "easy", "thinking": "easy"},
        {"role": "user", "content": "2+2?"}]},
    "plain": {**BASE, "add_generation_prompt": False, "enable_thinking": False, "tools": None, "documents": None,
              "messages": [{"role": "user", "content": "Ünï\n\n  Hi  "}, {"role": "assistant", "content": "Hey 日本"}]},
}


def templates(folder):
    found = {}
    for path in sorted(glob.glob(folder + "/jinja/*.jinja") + glob.glob(folder + "/ort-ext/*")):
        name = os.path.relpath(path, folder)
        if path.endswith(".jinja"):
            with open(path, newline="") as file:
                found[name] = file.read()
        elif path.endswith(".json"):
            with open(path) as file:
                template = json.load(file).get("chat_template")
            if isinstance(template, str):
                found[name] = template
    return found


def main():
    folder, out = sys.argv[1:]
    env = jinja_cases.chat_environment()
    contexts = dict(OWN)
    for path in sorted(glob.glob(folder + "/minja-contexts/*.json")):
        with open(path) as file:
            contexts["minja-contexts/" + os.path.basename(path)] = json.load(file)
    hashes = {}
    for name, template in templates(folder).items():
        hashes[name] = {}
        for key, context in contexts.items():
            try:
                text = env.from_string(template).render(**copy.deepcopy(context))
                hashes[name][key] = hashlib.sha256(text.encode()).hexdigest()[:16]
            except Exception:
                hashes[name][key] = "error"
    with open(out, "w") as file:
        json.dump({"made_by": "scripts/golden/chat_template_hashes.py, jinja2 3.1.6", "contexts": OWN, "hashes": hashes},
                  file, ensure_ascii=False, indent=0)
        file.write("\n")
    results = [h for row in hashes.values() for h in row.values()]
    print(len(hashes), "templates,", len(results), "renders,", results.count("error"), "of them errors")


if __name__ == "__main__":
    main()
