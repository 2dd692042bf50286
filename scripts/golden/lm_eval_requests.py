"""Token requests that lm-evaluation-harness makes of texts, with the quick-start checkpoint and a context of 24 tokens.

    python scripts/golden/lm_eval_requests.py > tests/golden/requests/cases.json

Needs lm-eval, transformers and torch; the versions go into the output.
"""

import json
import os
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LENGTH = 24
PAIRS = [
    ("Question: What colour is the harnpax?\nAnswer:", " golden"),
    ("Question: What colour is the harnpax?\nAnswer:", " black and yellow"),
    ("Trailing blanks move over  ", "to the answer"),
    ("A line break too\n", "12"),
    ("No-break space\u00a0", "x"),
    ("", " golden"),
    ("", "<|begin|> starts with the prefix token"),
    ("<|begin|>Problem: one", " two"),
    ("caf", "é ist schön"),
    ("12", "34"),
    ("short", " " + " ".join(str(i) for i in range(20))),
    ("long " * 40, " tail"),
    ("   ", "only blanks before"),
    ("Mira has 3 nuts. " * 3, "Mira buys 4 more."),
]
ROLLING = ["Mira has 3 nuts.", "One morning Zoë walked to the harbour. " * 5, "<|begin|>Mira", "", "x"]
PROMPTS = ["Problem: Mira has 3 nuts.\nSolution:", "One morning Zoë walked to the harbour. " * 5, "<|begin|>Mira"]


def main():
    model = HFLM(pretrained=os.path.join(ROOT, "configs/quickstart/model"), device="cpu", dtype="float32", max_length=LENGTH)
    seen = []

    def capture(requests, **_):
        seen.extend(requests)
        return [(0.0, True)] * len(requests)

    model._loglikelihood_tokens = capture

    def requests_of(method, arguments):
        seen.clear()
        method([Instance("loglikelihood", {}, arguments, 0)], disable_tqdm=True)
        # What the model is fed and scores: the last LENGTH + 1 tokens.
        return [[(c + k)[-(LENGTH + 1):], len(k)] if len(k) <= LENGTH else None for _, c, k in seen]

    out = {
        "lm_eval": version("lm_eval"), "transformers": version("transformers"), "max_length": LENGTH,
        "pairs": [{"context": c, "continuation": k, "request": requests_of(model.loglikelihood, (c, k))[0]} for c, k in PAIRS],
        "rolling": [{"text": t, "windows": requests_of(model.loglikelihood_rolling, (t,))} for t in ROLLING],
        "prompts": [{"text": t, "tokens": model.tok_batch_encode([t], left_truncate_len=LENGTH - 8)[0][0].tolist()} for t in PROMPTS],
    }
    # One case a line.
    parts = []
    for key, value in out.items():
        lines = ",\n".join(" " + json.dumps(x, ensure_ascii=False) for x in value) if isinstance(value, list) else None
        parts.append(f"{json.dumps(key)}: " + (f"[\n{lines}\n]" if lines else json.dumps(value)))
    print("{" + ",\n".join(parts) + "}")


if __name__ == "__main__":
    main()
