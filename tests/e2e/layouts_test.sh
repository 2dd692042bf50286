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

# With a temperature alone the model draws, and no logits travel.
warm=("${drawn[@]}" --temperature 0.8 --top-k 0)
succeeds warm1 on 1 run "$eval_file" "${warm[@]}" --output warm1.h5
succeeds warm3 on 3 run "$eval_file" "${warm[@]}" --output warm3.h5 --step-tokens 50
same_scores warm1.h5 warm3.h5
for tp in 2 4; do
    succeeds "warm_tp$tp" on "$tp" run "$eval_file" "${warm[@]}" --output "warm_tp$tp.h5" --tp "$tp"
    same_scores warm1.h5 "warm_tp$tp.h5"
done
[ "$(sum_of warm1.h5 /run/timing/rows_sampled)" -gt 20 ] || fail "temperature alone: few rows were sampled"
[ "$(sum_of warm1.h5 /run/timing/rows_of_logits)" -eq 0 ] || fail "temperature alone: logits went to the host"
h5diff -q warm1.h5 topk1.h5 /tasks/quickstart_sums/samples/response && fail "top-k leaves what the temperature alone gives"

# A repetition penalty of the checkpoint is used, recorded, and no reason for logits to travel.
cp -r "$source_folder/configs/quickstart/model" penalised
printf '{"eos_token_id": 1, "repetition_penalty": 1.3}' >penalised/generation_config.json
greedy=(--quiet --tasks quickstart_sums --limit 12)
succeeds plain on 1 run "$eval_file" "${greedy[@]}" --output plain.h5
succeeds penalty on 1 run "$eval_file" "${greedy[@]}" --model penalised --output penalty.h5
succeeds unpenalised on 1 run "$eval_file" "${greedy[@]}" --model penalised --generation-defaults none --output unpenalised.h5
h5diff -q plain.h5 penalty.h5 /tasks/quickstart_sums/samples/response && fail "the checkpoint's penalty changes nothing"
same_scores plain.h5 unpenalised.h5
succeeds kwargs h5dump -d /tasks/quickstart_sums/config penalty.h5
grep -q 'repetition_penalty[^0-9]*1.3' kwargs.log || fail "the penalty that was used is not recorded"
[ "$(sum_of penalty.h5 /run/timing/rows_of_logits)" -eq 0 ] || fail "a penalty takes logits to the host"
succeeds planned on 0 plan "$eval_file" "${greedy[@]}" --model penalised --output planned.h5
grep -q 'quickstart_sums: greedy, repetition penalty 1.3, at most 80 tokens' planned.log || fail "plan does not say how tokens are chosen"
printf '{"eos_token_id": 1, "num_beams": 2}' >penalised/generation_config.json
on 0 run "$eval_file" "${greedy[@]}" --model penalised --output beams.h5 >beams.log 2>&1
[ $? -eq 2 ] || fail "num_beams of the checkpoint is not refused"
grep -q 'generation_config.json: num_beams 2 changes what task quickstart_sums generates' beams.log || fail "num_beams: another error"
succeeds scored on 1 run "$eval_file" --quiet --tasks quickstart_creatures --limit 4 --model penalised --output scored.h5

# 16-bit weights.
succeeds bf16 on 1 run "$eval_file" --quiet --limit 8 --dtype bfloat16 --output bf16.h5
succeeds bf16_tp on 4 run "$eval_file" --quiet --limit 8 --dtype bfloat16 --output bf16_tp.h5 --tp 2 --step-tokens 77
same_scores bf16.h5 bf16_tp.h5
finish
