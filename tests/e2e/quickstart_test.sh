#!/usr/bin/env bash
# The embedded quick start from start to end: scores as the README states them, a verified file, and every command
# that reads it.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
eval_file=$source_folder/configs/quickstart/eval.json

succeeds plan on 0 plan "$eval_file" --ranks 4 --tp 2
grep -q 'quickstart_creatures' plan.log || fail "plan does not name the tasks"
succeeds run on 4 run "$eval_file" --output quickstart.h5
# Ranks that begin with the same prompt each compute it, which is more than was planned.
grep -q '^evaluate: 100% of ' run.log || { fail "the progress does not end at 100%"; grep '^evaluate' run.log; }
succeeds verify on 0 verify quickstart.h5
grep -q 'verified' verify.log || fail "verify is silent"

# Expected scores: tests/golden/quickstart/scores.csv, made by lm-evaluation-harness (see its README there).
succeeds report on 0 report quickstart.h5 --format csv
while IFS=, read -r task metric filter expected tolerance; do
    case $task in '' | \#*) continue ;; esac
    got=$(awk -F, -v t="$task" -v m="$metric" -v f="$filter" '$1 == t && $2 == m && $3 == f { print $4 }' report.log)
    awk -v got="$got" -v want="$expected" -v eps="$tolerance" 'BEGIN { d = got - want; exit !(got != "" && d <= eps && -d <= eps) }' ||
        fail "$task $metric,$filter is '$got', expected $expected"
done <"$source_folder/tests/golden/quickstart/scores.csv"

succeeds text on 0 report quickstart.h5
grep -q 'replica' text.log || fail "the text report does not say what was run"
succeeds markdown on 0 report quickstart.h5 --format markdown
grep -q '| quickstart_sums |' markdown.log || fail "no markdown table"
succeeds json on 0 report quickstart.h5 --format json
succeeds show on 0 show quickstart.h5 --task quickstart_sums --wrong --limit 2
grep -q 'response' show.log || fail "show prints no response"
succeeds show_doc on 0 show quickstart.h5 --task quickstart_creatures --doc 3
grep -q 'doc 3' show_doc.log || fail "show --doc 3 shows another document"
succeeds dump h5dump -d /summary quickstart.h5
grep -q 'quickstart_creatures' dump.log || fail "h5dump of /summary does not name the tasks"
succeeds column h5dump -d '/tasks/quickstart_creatures/samples/acc.none' -y -o column.txt quickstart.h5
[ -s column.txt ] || fail "h5dump printed no column"

# A changed file is found out.
cp quickstart.h5 damaged.h5
offset=$(LC_ALL=C grep -obUa 'Solution' damaged.h5 | sed -n '40s/:.*//p')
printf 'X' | dd of=damaged.h5 bs=1 seek="$offset" conv=notrunc status=none
code=0
"$muster" verify damaged.h5 >damaged.log 2>&1 || code=$?
[ "$code" -eq 1 ] || { fail "verify of a damaged file exits $code"; tail -n 3 damaged.log; }

succeeds tasks on 0 tasks
grep -q '^mmlu ' tasks.log || fail "tasks does not list mmlu"
succeeds tokenize on 0 tokenize --model "$source_folder/configs/quickstart/model" --text 'Mira has 3 nuts.'
grep -q ' tokens; ' tokenize.log || fail "tokenize does not count"
finish
