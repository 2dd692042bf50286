#!/usr/bin/env bash
# A real model on real benchmarks, where the shared test material is at hand (MUSTER_SHARED, else ../shared beside the
# source); says so and is skipped where it is not.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
shared=${MUSTER_SHARED:-$source_folder/../shared}
if [ ! -d "$shared/data/models/tinystories-656k" ]; then
    echo "not run: no shared data at $shared"
    exit 77
fi
real=(--model "$shared/data/models/tinystories-656k" --data-dir "$shared/data/benchmarks" --bootstrap-iterations 1000 --quiet)
tasks=mmlu_abstract_algebra,mmlu_anatomy,gsm8k_fixed_shots,lambada_openai

succeeds one on 1 run "${real[@]}" --tasks "$tasks" --limit 8 --output one.h5
succeeds three on 3 run "${real[@]}" --tasks "$tasks" --limit 8 --output three.h5
succeeds split on 4 run "${real[@]}" --tasks "$tasks" --limit 8 --output split.h5 --tp 2 --step-tokens 200
same_scores one.h5 three.h5
same_scores one.h5 split.h5
succeeds verify on 0 verify one.h5
finish
