#!/usr/bin/env bash
# The embedded quick start sample by sample: the prompts, log-likelihoods and continuations that another program
# finds (tests/golden/quickstart says which). Two replicas of two tensor-parallel ranks.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
golden=$source_folder/tests/golden/quickstart

# column TASK NAME: a numeric or ASCII column of the samples, one value per line.
column() {
    h5dump -d "/tasks/$1/samples/$2" -y -w 1 -m %.9g -o column.txt quickstart.h5 >/dev/null
    awk 'NF { gsub(/[", ]/, ""); print }' column.txt
}

succeeds run on 4 run "$source_folder/configs/quickstart/eval.json" --tp 2 --output quickstart.h5

for task in quickstart_creatures quickstart_sums quickstart_stories; do
    column $task prompt_hash | diff - "$golden/$task.prompt_hash.txt" >diff.log || {
        fail "prompts of $task differ"
        head -n 4 diff.log
    }
done

# Sums of up to 1,300 float32 log-probabilities; measured differences stay below 2e-4.
for task in quickstart_creatures quickstart_stories; do
    column $task loglikelihood | paste - "$golden/$task.loglikelihood.txt" | awk -v task=$task '
        { d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > 1e-3) { print task " line " NR ": " $0; bad = 1 } }
        END { exit bad || !NR }' || fail "log-likelihoods of $task differ (found, expected)"
done

"$muster" show quickstart.h5 --task quickstart_sums --limit 200 >show.log || fail "show"
awk '/^  response/ { getline; print substr($0, 5) }' show.log | diff - "$golden/quickstart_sums.response.txt" >diff.log || {
    fail "continuations differ"
    head -n 4 diff.log
}
finish
