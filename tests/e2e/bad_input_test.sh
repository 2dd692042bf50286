#!/usr/bin/env bash
# Bad input gives one clear error, exit code 2 and no result file, on one rank and on several.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
quickstart=$source_folder/configs/quickstart

# A run file, a checkpoint and tasks of our own to break.
cp -r "$quickstart/model" "$quickstart/tasks" "$quickstart/data" .
chmod -R u+w .
sane=(--model model --task-path tasks --data-dir data --tasks quickstart_creatures --limit 2 --output out.h5 --quiet)

# rejects NAME RANKS PATTERN ARGUMENTS…: exit code 2, exactly one error line, which matches PATTERN; nothing left behind.
rejects() {
    local name=$1 ranks=$2 pattern=$3 code=0 errors before=$failures
    shift 3
    on "$ranks" "$@" >"$name.log" 2>&1 || code=$?
    [ "$code" -eq 2 ] || fail "$name: exit code $code instead of 2"
    errors=$(grep -c 'error: ' "$name.log")
    [ "$errors" -eq 1 ] || fail "$name: $errors error lines instead of 1"
    grep -Eq "error: .*$pattern" "$name.log" || fail "$name: no error that matches: $pattern"
    [ ! -e out.h5 ] && [ ! -e out.h5.tmp ] || fail "$name: left a result file"
    [ "$failures" -eq "$before" ] || grep -v '^-*$' "$name.log" | head -n 12
    rm -f out.h5 out.h5.tmp
}

# broken_model NAME: a copy of the checkpoint to break.
broken_model() {
    rm -rf "$1"
    cp -r model "$1"
}

succeeds sane on 2 run "${sane[@]}"
rm -f out.h5

# --- command line and run file
rejects no_command_option 0 'unknown option --modell; did you mean "--model"' run --modell x
rejects no_tasks 0 'tasks' run --model model
rejects no_model 0 '/model/path' run --tasks quickstart_creatures
rejects not_a_number 0 'max-length.*expected an integer' run "${sane[@]}" --max-length many
rejects unknown_device 2 'parallel/device: unknown value "tpu"' run "${sane[@]}" --device tpu
rejects unknown_task 2 'quickstart_creature.*did you mean "quickstart_creatures"' run "${sane[@]}" --tasks quickstart_creature
printf '{"model": {"path": "model"},\n "tasks": ["quickstart_creatures"],\n "limt": 3, "parallel": {"tensr": 2}}' >unknown_key.json
rejects unknown_key 3 'unknown_key.json' run unknown_key.json
grep -q 'limt.*did you mean "limit"' unknown_key.log && grep -q 'tensr.*did you mean "tensor"' unknown_key.log || fail "unknown_key: not all problems named"
printf '{"model": {"path": "model"},\n "tasks": ["a"\n}' >syntax.json
rejects json_syntax 2 'syntax.json:3:' run syntax.json
rejects no_run_file 0 'absent.json' run absent.json

# --- layout
rejects tp_does_not_divide_world 3 '3.*2' run "${sane[@]}" --tp 2
rejects tp_does_not_divide_heads 3 'tensor-parallel degree 3.*1.*2.*4|3.*legal|3.*1, 2' run "${sane[@]}" --tp 3

# --- checkpoint
rejects no_checkpoint 2 'absent' run "${sane[@]}" --model absent
broken_model truncated
head -c 5000 model/model.safetensors >truncated/model.safetensors
rejects truncated 2 'truncated/model.safetensors' run "${sane[@]}" --model truncated
broken_model header
printf '\377\377\377\377\377\377\377\177' | dd of=header/model.safetensors conv=notrunc status=none
rejects header_larger_than_file 2 'header/model.safetensors' run "${sane[@]}" --model header
broken_model offsets
LC_ALL=C sed -i '1s/"data_offsets":\[\([0-9]\)/"data_offsets":[9/' offsets/model.safetensors
rejects bad_offsets 1 'offsets/model.safetensors' run "${sane[@]}" --model offsets
broken_model shapes
sed -i 's/"intermediate_size": *[0-9]*/"intermediate_size": 320/' shapes/config.json
rejects wrong_shapes 2 'shapes: the tensors do not fit config.json' run "${sane[@]}" --model shapes
broken_model layers
sed -i 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 99/' layers/config.json
rejects missing_tensors 2 'layers\.98|missing' run "${sane[@]}" --model layers
broken_model unknown_arch
sed -i 's/LlamaForCausalLM/GptNextForCausalLM/' unknown_arch/config.json
rejects unknown_architecture 2 'GptNextForCausalLM.*LlamaForCausalLM' run "${sane[@]}" --model unknown_arch
broken_model contradiction
sed -i 's/"num_key_value_heads": *[0-9]*/"num_key_value_heads": 3/' contradiction/config.json
rejects contradiction 1 'contradiction/config.json' run "${sane[@]}" --model contradiction
broken_model tokenizer
head -c 3000 model/tokenizer.json >tokenizer/tokenizer.json
rejects broken_tokenizer 2 'tokenizer/tokenizer.json' run "${sane[@]}" --model tokenizer
broken_model pickle
rm pickle/model.safetensors
touch pickle/pytorch_model.bin
rejects pickle 1 'safetensors' run "${sane[@]}" --model pickle

# --- tasks and data: name, then a sed edit of the creatures task
broken_task() {
    mkdir -p "$1"
    sed "s/^task: .*/task: broken/; $2" tasks/quickstart_creatures.yaml >"$1/broken.yaml"
}
run_broken() { # NAME PATTERN
    rejects "$1" 2 "$2" run "${sane[@]}" --task-path "$1" --tasks broken
}
broken_task yaml_syntax 's/^output_type: .*/output_type: [multiple_choice/'
rejects yaml_syntax 1 'yaml_syntax/broken.yaml:[0-9]+' run "${sane[@]}" --tasks yaml_syntax/broken.yaml
broken_task unknown_task_key 's/^num_fewshot/num_fewshots/'
run_broken unknown_task_key 'num_fewshots.*did you mean "num_fewshot"'
broken_task template_syntax 's/question.strip()/question.strip(/'
run_broken template_syntax 'broken.*doc_to_text'
broken_task template_field 's/question.strip()/quest.strip()/'
run_broken template_field 'broken.*doc_to_text.*quest'
broken_task unknown_metric 's/metric: acc_norm/metric: accuracy/'
run_broken unknown_metric 'accuracy'
broken_task no_such_data 's/creatures_test.jsonl/creatures_absent.jsonl/'
run_broken no_such_data 'creatures_absent.jsonl'
cp data/creatures_test.jsonl data/lacking.jsonl
printf '{"question": "Who?", "answer": 0}\n' | cat - data/creatures_test.jsonl >data/lacking.jsonl
broken_task lacking_field 's/creatures_test.jsonl/lacking.jsonl/'
run_broken lacking_field 'broken.*choices.*document 0|document 0.*choices'
printf '{"question": "Who?", \n' >data/broken.jsonl
broken_task broken_rows 's/creatures_test.jsonl/broken.jsonl/'
run_broken broken_rows 'broken.jsonl:[0-9]+:[0-9]+'

# --- output
: >there.h5
rejects output_exists 2 'there.h5.*--overwrite' run "${sane[@]}" --output there.h5
rejects no_output_folder 2 'absent_folder' run "${sane[@]}" --output absent_folder/out.h5
rejects output_is_folder 0 'data' run "${sane[@]}" --output data
rejects kv_memory_too_small 2 "kv_memory is 10.0 KiB but the longest request needs" run "${sane[@]}" --kv-memory 10K
rejects kv_memory_no_size 0 "engine/kv_memory: expected a number of bytes" run "${sane[@]}" --kv-memory "2 ducks"
rejects kv_memory_and_tokens 0 "expected one of the two" run "${sane[@]}" --kv-memory 1G --kv-tokens 1000
# A full disk: files may not grow beyond 8 KiB, and the signal is ignored so that write() fails.
full_disk() {
    (
        trap '' XFSZ
        ulimit -f 8
        export PMIX_MCA_gds=hash  # PMIx would need files of its own
        exec "$muster" "$@"
    )
}
code=0
full_disk run "${sane[@]}" >full.log 2>&1 || code=$?
[ "$code" -eq 2 ] && grep -Eq 'error: .*out.h5' full.log || { fail "full disk: exit code $code"; tail -n 3 full.log; }
[ ! -e out.h5 ] && [ ! -e out.h5.tmp ] || fail "full disk: left a result file"

# --- long prompts and answers are no errors
succeeds long_prompt on 2 run "${sane[@]}" --max-length 40
grep -q 'cut from the left' long_prompt.log || fail "long prompt: truncation is not reported"
rm -f out.h5
sed 's/"choices": \["[^"]*"/&, "'"$(printf 'very %.0s' {1..60})"'"/; 1!d' data/creatures_test.jsonl >data/long.jsonl
broken_task long_choice 's/creatures_test.jsonl/long.jsonl/'
succeeds long_choice on 2 run "${sane[@]}" --task-path long_choice --tasks broken --max-length 40
[ "$(h5dump -d /tasks/broken/samples/status -y -o status.txt out.h5 >/dev/null && tr -dc 0-9 <status.txt)" = 2 ] ||
    fail "a choice longer than the model should have status 2"
mv out.h5 valid.h5

# --- commands that read result files
rejects report_missing 0 'absent.h5' report absent.h5
rejects report_garbage 0 'there.h5' report there.h5
rejects show_unknown_task 0 'no task "creatures"' show valid.h5 --task creatures
finish
