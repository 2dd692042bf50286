#!/usr/bin/env bash
# Devices on two nodes, each with two of its own: ranks are bound within their node, whatever their rank in the job. Needs
# root and a program that makes nodes out of namespaces (MUSTER_SHARED/tools/fakecluster, else ../shared beside the
# source); says so and is skipped where they are not.
# shellcheck source=tests/e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
unset CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER
cluster=${MUSTER_SHARED:-$source_folder/../shared}/tools/fakecluster
if [ ! -x "$cluster" ] || [ "$(id -u)" -ne 0 ] || ! command -v ip >/dev/null; then
    echo "not run: no $cluster, or not root, or no ip"
    exit 77
fi
# Nodes have a /tmp of their own, so what they share lies elsewhere.
shared_work=$(mktemp -d /var/tmp/muster-two-nodes.XXXXXX)
export FC_DIR=$shared_work/cluster FC_NET=10.79.0
trap '"$cluster" down >/dev/null 2>&1; rm -rf "$work" "$shared_work"' EXIT
mkdir "$FC_DIR"
cd "$shared_work" || exit 1
if ! "$cluster" up one two >up.log 2>&1; then
    echo "not run: no namespaces here: $(tail -n 1 up.log)"
    exit 77
fi

# What a rank's environment is on either node: its own two devices.
cat >"$shared_work/rank.sh" <<EOF
#!/bin/bash
devices() { echo "Emulated,\$1\$1000000-0000-4000-8000-000000000000,0000:17:00.0,90,2048,1800;Emulated,\$1\$1111111-0000-4000-8000-000000000001,0000:2a:00.0,90,2048,\$2"; }
case \$(hostname) in one) MUSTER_FAKE_DEVICES=\$(devices a 1800) ;; *) MUSTER_FAKE_DEVICES=\$(devices b 1500) ;; esac
export MUSTER_FAKE_DEVICES EMULATED_DEVICES=2 MUSTER_MODULE_DIR=$EMULATED_MODULE LD_LIBRARY_PATH=$FAKE_DRIVER MUSTER_DATA=$source_folder/configs
exec $muster "\$@"
EOF
chmod +x "$shared_work/rank.sh"
options=(run "$source_folder/configs/quickstart/eval.json" --limit 2 --bootstrap-iterations 10 --max-gen-toks 8
    --kv-tokens 2048 --step-tokens 64 --device cuda)

# on_nodes HOSTS OPTIONS…: on so many ranks of either node.
on_nodes() {
    local hosts=$1
    shift
    timeout 120 "$cluster" mpirun --host "$hosts" --oversubscribe --bind-to none "$shared_work/rank.sh" "${options[@]}" "$@"
}
# topology FILE NAME: the column of /run/topology as one line.
topology() { h5dump -d "/run/topology/$2" -A 0 "$1" | sed -n 's/^ *([0-9]*): //p' | tr -d '\n'; }

succeeds replicas on_nodes one:2,two:2 --output "replicas.h5"
[ "$(topology "replicas.h5" ordinal)" = "0, 1, 0, 1" ] || fail "ordinals: $(topology "replicas.h5" ordinal)"
uuids=$(topology "replicas.h5" uuid)
for uuid in aa000000 aa111111 bb000000 bb111111; do
    [[ $uuids == *GPU-$uuid* ]] || fail "no rank has GPU-$uuid: $uuids"
done
succeeds groups on_nodes one:2,two:2 --tp 2 --device-transport staged --output "groups.h5"
succeeds uneven on_nodes one:1,two:2 --output "uneven.h5"
same_scores "replicas.h5" "uneven.h5"
# Three ranks for two devices: refused once, for the whole job, by its own node.
code=0
on_nodes one:2,two:3 --output "crowded.h5" >crowded.log 2>&1 || code=$?
[ "$code" -eq 2 ] || fail "three ranks for two devices: exit code $code"
[ "$(grep -c 'error: ' crowded.log)" -eq 1 ] || fail "not one error"
grep 'error: ' crowded.log | grep -q two || { fail "the error does not name the node"; cat crowded.log; }
finish
