#!/usr/bin/env bash
# Installs what is missing, builds muster and runs all tests. Ends with ctest's closing lines.
#
#   scripts/test.sh [--preset NAME] [-- options of ctest]
#
#   --preset NAME     ci (default: release with warnings as errors), release, debug, asan or tsan
#
# For instance: scripts/test.sh --preset asan -- -R unit.text
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

preset=ci
while [ $# -gt 0 ]; do
    case $1 in
    --preset)
        [ $# -ge 2 ] || die "$1 needs a value"
        preset=$2
        shift 2
        ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) die "unknown option $1; see --help" ;;
    esac
done
case $preset in
ci) folder=build/release ;;
release | debug | asan | tsan) folder=build/$preset ;;
*) die "unknown preset $preset; known: ci, release, debug, asan, tsan" ;;
esac

"$root/scripts/install-deps.sh"
build "$preset"

mpi_settings
# Leaks and races inside Open MPI and its libraries are not ours.
suppressions=$root/tests/sanitizers
export ASAN_OPTIONS=${ASAN_OPTIONS:-fast_unwind_on_malloc=0}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$suppressions/lsan-openmpi.supp:print_suppressions=0}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$suppressions/tsan-openmpi.supp ignore_noninstrumented_modules=1}

say "testing"
exec ctest --test-dir "$root/$folder" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
