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
layout kv1MiB 2 --kv-memory 1MiB --step-tokens 100
layout alone 2 --no-prefix-reuse
layout alone_tp2 4 --no-prefix-reuse --tp 2 --threads 1 --step-tokens 50
layout pinned 0
layout unpinned 0 --no-pinning
layout np3step1000 3 --step-tokens 1000 --threads 3

# A rank that fills its cores is pinned to them, unless it was told not to be.
succeeds cpus_pinned h5dump -d /run/topology/cpus pinned.h5
grep -q '(0): ""' cpus_pinned.log && fail "one rank on all cores was not pinned"
succeeds cpus_unpinned h5dump -d /run/topology/cpus unpinned.h5
grep -q '(0): ""' cpus_unpinned.log || fail "--no-pinning pins"

# Sampled text depends on seed, document, repeat and position only.
drawn=(--quiet --tasks '[{"name": "quickstart_sums", "repeats": 2}]' --limit 12 --until '["\n\n"]')
sampled=("${drawn[@]}" --temperature 0.8 --top-k 0 --top-p 0.9)
succeeds sampled1 on 1 run "$eval_file" "${sampled[@]}" --output sampled1.h5
succeeds sampled3 on 3 run "$eval_file" "${sampled[@]}" --output sampled3.h5 --step-tokens 50
succeeds sampled_tp on 4 run "$eval_file" "${sampled[@]}" --output sampled_tp.h5 --tp 4
same_scores sampled1.h5 sampled3.h5
same_scores sampled1.h5 sampled_tp.h5
succeeds reseeded on 1 run "$eval_file" "${sampled[@]}" --output reseeded.h5 --seed 7
h5diff -q sampled1.h5 reseeded.h5 /tasks/quickstart_sums/samples/response && fail "another seed gives the same text"

# Top-k is drawn from the best logits: no row of logits goes to the host. Top-p of a flat distribution falls back to it.
topk=("${drawn[@]}" --temperature 0.8 --top-k 20 --top-p 0.95)
flat=("${drawn[@]}" --temperature 3 --top-k 0 --top-p 0.9)
succeeds topk1 on 1 run "$eval_file" "${topk[@]}" --output topk1.h5
for np in 2 3 4; do
    succeeds "topk$np" on "$np" run "$eval_file" "${topk[@]}" --output "topk$np.h5" --step-tokens $((30 * np))
    same_scores topk1.h5 "topk$np.h5"
done
succeeds flat1 on 1 run "$eval_file" "${flat[@]}" --output flat1.h5
for tp in 2 4; do
    succeeds "topk_tp$tp" on "$tp" run "$eval_file" "${topk[@]}" --output "topk_tp$tp.h5" --tp "$tp"
    same_scores topk1.h5 "topk_tp$tp.h5"
    succeeds "flat_tp$tp" on "$tp" run "$eval_file" "${flat[@]}" --output "flat_tp$tp.h5" --tp "$tp"
    same_scores flat1.h5 "flat_tp$tp.h5"
done
rows=$(sum_of topk1.h5 /run/timing/rows_sampled)
[ "$rows" -gt 20 ] || fail "top-k: $rows rows were sampled"
rows=$(sum_of topk1.h5 /run/timing/rows_of_logits)
[ "$rows" -eq 0 ] || fail "top-k: the logits of $rows rows went to the host"
rows=$(sum_of flat1.h5 /run/timing/rows_of_logits)
[ "$rows" -gt 0 ] || fail "top-p of flat distributions needed no logits"

# 16-bit weights.
succeeds bf16 on 1 run "$eval_file" --quiet --limit 8 --dtype bfloat16 --output bf16.h5
succeeds bf16_tp on 4 run "$eval_file" --quiet --limit 8 --dtype bfloat16 --output bf16_tp.h5 --tp 2 --step-tokens 77
same_scores bf16.h5 bf16_tp.h5
finish
