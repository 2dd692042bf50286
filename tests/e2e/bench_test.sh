#!/usr/bin/env bash
# `muster bench` on a small shape: every phase, layouts, counts in the JSON. Counts are exact and rates are sane; no
# time is asserted.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cat >small.json <<'EOF'
{"architectures": ["LlamaForCausalLM"], "dtype": "bfloat16", "vocab_size": 640, "hidden_size": 64, "intermediate_size": 96,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024}
EOF
small=(bench --shape small.json --runs 2 --prompt 40 --context 20 --new 6 --batch 3 --questions 5)

# flat FILE: "path value" per number, string or null of an indented JSON file; list items are numbered. Lines are read
# one by one, as to_json writes them: a key or an item each.
flat() {
    awk '{
        match($0, /^ */); depth = RLENGTH / 2; line = substr($0, RLENGTH + 1); sub(/,$/, "", line)
        if (line ~ /^[\]}]/) next
        key = ""
        if (match(line, /^"[^"]*": /)) { key = substr(line, 2, RLENGTH - 4); line = substr(line, RLENGTH + 1) }
        else if (depth > 0) key = count[depth]++
        path[depth] = key
        count[depth + 1] = 0
        if (line ~ /^[\[{]$/) next
        name = ""
        for (i = 1; i <= depth; i++) name = name (i > 1 ? "." : "") path[i]
        gsub(/^"|"$/, "", line)
        print name, line
    }' "$1" >"$1.flat"
}
# value FILE PATH: the value at a path of the flattened file.
value() { awk -v path="$2" '$1 == path { $1 = ""; print substr($0, 2); found = 1 } END { exit !found }' "$1.flat"; }
# is FILE PATH VALUE
is() {
    local got
    got=$(value "$1" "$2") || { fail "$1 has no $2"; return; }
    [ "$got" = "$3" ] || fail "$1: $2 is $got, expected $3"
}
# positive FILE PATH…: finite numbers above zero.
positive() {
    local file=$1 path
    shift
    for path in "$@"; do
        value "$file" "$path" | grep -Eq '^[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$' &&
            awk -v x="$(value "$file" "$path")" 'BEGIN { exit !(x > 0) }' ||
            fail "$file: $path is $(value "$file" "$path"), expected a positive number"
    done
}

# measures NAME RANKS ARGUMENTS…: runs, and checks what every report must say. Phases are in the default order.
measures() {
    local name=$1 ranks=$2 before=$failures phase rate
    shift 2
    succeeds "$name" on "$ranks" "${small[@]}" --json "$name.json" "$@"
    [ -e "$name.json" ] || return
    flat "$name.json"
    positive "$name.json" ceilings.f32_flops.median ceilings.read_bytes.min ceilings.usable_flops start.load_seconds \
        start.first_step_seconds memory.planned_total memory.loaded_weights
    is "$name.json" settings.batches.0 3
    is "$name.json" phases.0.batch 3
    is "$name.json" model.name small.json
    value "$name.json" program.version >/dev/null && value "$name.json" program.commit >/dev/null || fail "$name: no program"
    value "$name.json" machine.processor >/dev/null || fail "$name: no processor"
    for phase in 0 1 2 3; do
        for rate in tokens_per_second computed_tokens_per_second flops_per_second bytes_per_second fraction_of_limit seconds; do
            positive "$name.json" "phases.$phase.$rate."{min,median,max,runs.0,runs.1}
        done
        positive "$name.json" "phases.$phase."{steps,rows_scored,least_flops,least_bytes}
        [ "$(value "$name.json" "phases.$phase.tokens_computed")" -le "$(value "$name.json" "phases.$phase.tokens_asked")" ] ||
            fail "$name: computed more tokens than were asked for in phase $phase"
    done
    is "$name.json" phases.0.phase prefill
    is "$name.json" phases.0.tokens_computed 120
    is "$name.json" phases.0.rows_scored 3
    is "$name.json" phases.1.phase score
    is "$name.json" phases.1.tokens_computed 120
    is "$name.json" phases.1.rows_scored 120
    is "$name.json" phases.2.phase decode
    # One step takes all prompts and draws the first tokens; five more draw the rest.
    is "$name.json" phases.2.steps 5
    is "$name.json" phases.2.tokens_generated 15
    is "$name.json" phases.3.phase mmlu-like
    is "$name.json" phases.3.tokens_asked 12220
    [ "$(value "$name.json" phases.3.tokens_computed)" -ge 1031 ] || fail "$name: fewer tokens than there are"
    [ "$failures" -eq "$before" ] || head -n 60 "$name.json"
}

measures alone 0
is alone.json machine.replicas 1
grep -q 'mmlu-like: asked 12,220 tokens' alone.log || fail "alone: no line on reuse"
grep -Eq '^prefill 2/2: [0-9]+ tokens/s' alone.log || fail "alone: no line of progress"
grep -q 'on rank 0' alone.log && fail "alone: a profile without --profile"

measures one 1 --profile --threads 1 --dtype float32 --isa generic
is one.json settings.isa generic
is one.json ceilings.bf16_instructions null
is one.json ceilings.f32_instructions 'portable multiply-add'
is one.json model.dtype float32
is one.json machine.ranks.0.threads 1
grep -Eq '^matmul_silu_mul +\[192, 64\] ' one.log || fail "one: no profile by weight shapes"
# 2 layers × 2 runs of one step each.
operation=$(awk '$2 == "matmul_silu_mul" && $1 ~ /^phases.0/ { sub(/.operation$/, "", $1); print $1 }' one.json.flat)
is one.json "$operation.calls" 4
is one.json "$operation.flops" "$((4 * 2 * 120 * 192 * 64)).0"

# Drawing tokens takes the best logits of each row, and no other operation does.
measures drawn 0 --top-k 7 --profile
is drawn.json settings.top_k 7
grep -q '"top_logits"' drawn.json || fail "drawn: --top-k does not ask for the best logits"
measures sampled 0 --sample --profile
is sampled.json settings.sample true
grep -q '"draw_logits"' sampled.json || fail "sampled: --sample does not draw from all tokens"
grep -q '"draw_logits"' drawn.json && fail "drawn: --top-k draws from all tokens"
grep -q '"top_logits"' one.json && fail "one: greedy decoding asks for the best logits"

measures replicas 2
is replicas.json machine.replicas 2
is replicas.json machine.ranks.1.replica 1

measures tp 2 --tp 2
is tp.json machine.replicas 1
is tp.json machine.tensor_parallel 2
is tp.json machine.ranks.1.tp_rank 1

# A checkpoint of files; one phase.
succeeds model on 2 bench --model "$source_folder/configs/quickstart/model" --phase decode --runs 1 --quiet --json model.json
flat model.json
is model.json phases.0.phase decode
is model.json model.random_weights false
is model.json phases.0.tokens_generated 63
grep -q '1/1' model.log && fail "model: progress in spite of --quiet"

# rejects NAME RANKS PATTERN ARGUMENTS…: exit code 2 and exactly one error line, which matches PATTERN.
rejects() {
    local name=$1 ranks=$2 pattern=$3 code=0 errors
    shift 3
    on "$ranks" bench "$@" >"$name.log" 2>&1 || code=$?
    errors=$(grep -c 'error: ' "$name.log")
    [ "$code" -eq 2 ] && [ "$errors" -eq 1 ] && grep -Eq "error: .*$pattern" "$name.log" && return
    fail "$name: exit code $code, $errors error lines, expected one that matches: $pattern"
    head -n 12 "$name.log"
}
rejects unknown_option 0 'unknown option --promt.*--prompt' --promt 3
rejects unknown_phase 2 'prefil.*did you mean "prefill"' --phase prefil
rejects unknown_shape 2 'llama-1b.*did you mean' --shape llama-1b
sed 's/640/-640/' small.json >bad.json
rejects bad_shape 1 'bad.json: /vocab_size' --shape bad.json
rejects bad_dtype 1 'float8' --shape small.json --dtype float8
rejects too_long 2 'max_position_embeddings 1024' --shape small.json --prompt 1025
rejects odd_tp 2 '3' --shape small.json --tp 3
rejects too_short 1 'no step' --shape small.json --phase decode --batch 4 --context 100 --new 2 --step-tokens 100
rejects unknown_isa 2 '"mmx".*generic' --shape small.json --isa mmx
rejects no_folder 1 'absent' "${small[@]:1}" --phase prefill --json absent/out.json
finish
