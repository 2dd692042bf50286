# shellcheck shell=bash
# Sourced by the end-to-end tests: `test.sh MUSTER SOURCE`. Gives each test an empty folder and ways to run the
# program on several ranks and to check what it did.
set -u

muster=$1
source_folder=$2
# shellcheck source=scripts/common.sh
source "$source_folder/scripts/common.sh"
mpi_settings
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# on RANKS ARGUMENTS…: muster on that many ranks; 0 ranks is no launcher at all.
on() {
    local ranks=$1
    shift
    if [ "$ranks" -eq 0 ]; then
        "$muster" "$@"
    else
        mpirun --timeout 240 -np "$ranks" "$muster" "$@"
    fi
}

# succeeds NAME COMMAND…: the command exits 0; its output is kept in NAME.log and shown if it does not.
succeeds() {
    local name=$1
    shift
    if ! "$@" >"$name.log" 2>&1; then
        fail "$name: $*"
        tail -n 25 "$name.log"
    fi
}

# same_scores A B: two result files differ nowhere but under /run.
same_scores() {
    local part
    for part in /tasks /groups /summary; do
        h5diff "$1" "$2" "$part" "$part" >diff.log 2>&1 || {
            fail "$2 differs from $1 under $part"
            head -n 5 diff.log
        }
    done
}

# sum_of FILE DATASET: the sum of a column of integers.
sum_of() {
    h5dump -y -d "$2" "$1" | sed -n '/DATA {/,/}/{p;/}/q}' | grep -Eo '[0-9]+' |
        awk '{ sum += $1 } END { print sum + 0 }'
}

finish() {
    if [ "$failures" -gt 0 ]; then
        printf '%d failed\n' "$failures"
        exit 1
    fi
    echo "all passed"
}
