#!/usr/bin/env bash
# The quick start gives the same bits for every layout: ranks, tensor parallel, threads, step size, KV budget, and run
# order of tasks. Some layouts use few documents only, since they are many.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
eval_file=$source_folder/configs/quickstart/eval.json

# layout NAME RANKS OPTIONS…
layout() {
    local name=$1 ranks=$2
    shift 2
    succeeds "$name" on "$ranks" run "$eval_file" --quiet --limit 24 --bootstrap-iterations 100 --output "$name.h5" "$@"
    [ -e "$name.h5" ] && [ "$name" != base ] && same_scores base.h5 "$name.h5"
}

layout base 0 --threads 1
layout np1 1 --threads 2
layout np2 2
layout np3 3
layout np4 4 --threads 1
layout tp2 2 --tp 2 --threads 1
layout np4tp2 4 --tp 2 --threads 1
layout tp4 4 --tp 4 --threads 1
layout step64 2 --step-tokens 64
layout step37 1 --step-tokens 37 --kv-tokens 640
layout np3step1000 3 --step-tokens 1000 --threads 3
finish
