#!/usr/bin/env bash
# Sees to it that everything muster is built from is there (third_party/dependencies.md lists it).
#
#   scripts/install-deps.sh           install missing Debian or Ubuntu packages if allowed (root or passwordless sudo)
#   scripts/install-deps.sh --check   install nothing; exit 1 and say what is missing
#
# Where packages cannot be installed it looks for compilers and libraries as CMake will, so that what
# `module load` offers counts. CMAKE_PREFIX_PATH is honoured.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

packages=(
    g++ cmake ninja-build
    openmpi-bin libopenmpi-dev
    libhdf5-dev hdf5-tools
    libboost-program-options-dev nlohmann-json3-dev libyaml-cpp-dev
    libpcre2-dev libutf8proc-dev libssl-dev
    doctest-dev
)

# Packages of the list that dpkg does not know as installed.
missing_packages() {
    local package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

# What CMake or the tests would not find, one per line. Tools first: without them CMake cannot be asked.
missing_by_search() {
    local tool folder missing=()
    for tool in cmake ninja mpirun h5dump h5diff; do
        command -v "$tool" >/dev/null || missing+=("$tool (program)")
    done
    command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null || missing+=("g++ 12 or newer (C++20 compiler)")
    if [ ${#missing[@]} -gt 0 ]; then
        printf '%s\n' "${missing[@]}"
        command -v cmake >/dev/null && command -v ninja >/dev/null || return 0
    fi
    folder=$(mktemp -d)
    if ! cmake -S "$root/third_party/check" -B "$folder" -G Ninja >"$folder/log" 2>&1; then
        grep -h 'missing: ' "$folder/log" | sed 's/.*missing: //' | grep . || {
            echo "a C++ compiler and CMake that work together; CMake said:"
            tail -n 15 "$folder/log"
        }
    fi
    rm -rf "$folder"
}

install_with_apt() {
    local log
    log=$(mktemp)
    say "installing: $*"
    if ! { "${sudo[@]}" apt-get update -qq && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        -o DPkg::Lock::Timeout=300 --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install the packages (above)"
    fi
    rm -f "$log"
}

case ${1:-} in
'') may_install=yes ;;
--check) may_install=no ;;
-h | --help) usage; exit 0 ;;
*) die "unknown option $1; known: --check, --help" ;;
esac

sudo=()
has_apt=no
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    has_apt=yes
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && exit 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo=(sudo -n); else may_install=no; fi
    fi
    if [ "$may_install" = yes ]; then
        install_with_apt "${missing[@]}"
        exit 0
    fi
fi

absent=$(missing_by_search)
[ -z "$absent" ] && exit 0
{
    echo "muster needs what was not found here:"
    printf '    %s\n' "${absent//$'\n'/$'\n'    }"
    if [ "$has_apt" = yes ]; then
        echo "On Debian or Ubuntu this installs it:"
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    else
        echo "On a cluster: 'module avail', then 'module load' what is named above (say a compiler, cmake, openmpi, hdf5),"
        echo "or build it into a folder and set CMAKE_PREFIX_PATH. third_party/dependencies.md lists versions."
    fi
} >&2
exit 1
