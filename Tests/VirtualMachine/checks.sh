#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must hold on cgroup v2, with a real node and real functions. Runs in the machine of Scripts/test-vm, on busybox alone.
passed=0
failed=0
data=/var/lib/brume
log=/tmp/node.log
pid_file=/tmp/node.pid
# Longest wait for something to come or go: the machine is emulated, and so slow.
wait_seconds=60
# Spare sandboxes have groups too: none while groups are counted.
spares=0
sharing=static
level=info
# More options of the node.
options=
# Of everything random here; another one with BRUME_VM_SEED.
seed=$(sed -n 's/.*brume\.seed=\([0-9]*\).*/\1/p' /proc/cmdline)
seed=${seed:-1}

# check NAME COMMAND...: runs the command; its words are shown when it fails.
check() {
    name=$1
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "check: passed: $name"
    else
        failed=$((failed + 1))
        echo "check: FAILED: $name: $(echo "$said" | tail -n 4 | tr '\n' ' ')"
    fi
}
wait_for() {
    deadline=$(($(date +%s) + wait_seconds))
    until "$@" >/tmp/waited 2>&1; do
        [ "$(date +%s)" -lt $deadline ] || { echo "waited in vain for: $* ($(tail -n 2 /tmp/waited | tr '\n' ' '))"; return 1; }
        sleep 0.2
    done
}
b() {
    command=$1
    shift
    brume "$command" --quiet --data-dir $data "$@"
}

start_node() {
    rm -f $data/node.json
    brume up --port 8080 --data-dir $data --spares $spares --sharing $sharing --log-level $level $options \
        >>$log 2>&1 &
    echo $! >$pid_file  # checks run in a subshell, where a variable would be lost
    wait_for test -s $data/node.json || { tail -n 3 $log; return 1; }
}
ours() { grep -lE '^(brume|bwrap)' /proc/[0-9]*/comm 2>/dev/null; }
no_process() { found=$(cat /proc/[0-9]*/comm 2>/dev/null | grep -E "^($1)") || return 0; echo "still there: $found"; return 1; }
groups() { find /sys/fs/cgroup -mindepth 2 -type d -path '*/brume*/*'; }
group_count() { [ "$(groups | wc -l)" -eq "$1" ] || { echo "groups: $(groups | tr '\n' ' ')"; return 1; }; }
group() { groups | tail -n 1; }

# limit FILE VALUE: what the kernel has in force for the only replica.
limit() {
    found=$(cat "$(group)/$1")
    [ "$found" = "$2" ] || { echo "$1 is '$found', not '$2'"; return 1; }
}
half_a_core() {
    read -r quota period <"$(group)/cpu.max"
    [ "$quota" != max ] && [ $((quota * 1000 / period)) -eq 500 ] || { echo "cpu.max is $quota $period"; return 1; }
}
some_processes_at_most() {
    found=$(cat "$(group)/pids.max")
    [ "$found" != max ] && [ "$found" -gt 0 ] || { echo "pids.max is $found"; return 1; }
}
no_quota() { grep -q '^max ' "$(group)/cpu.max" || { cat "$(group)/cpu.max"; return 1; }; }
counted() { [ "$(awk -v word="$2" '$1 == word {print $2}' "$(group)/$1")" -gt 0 ] || { cat "$(group)/$1"; return 1; }; }
# Bubblewrap makes the control group namespace; the root of it is the group that bubblewrap was in at that moment.
joined_first() {
    reply=$(b invoke where) || return 1
    [ "$reply" = 0::/ ] || { echo "the function sees itself in $reply"; return 1; }
}
all_inside() {
    for file in $(ours); do
        case $(cat "$file") in brume-agent | bwrap) ;; *) continue ;; esac
        grep -q '^0::/brume.*/' "${file%comm}cgroup" || { cat "${file%comm}cgroup"; return 1; }
    done
}
# fails_with WORDS COMMAND...: the command must fail, and say this.
fails_with() {
    words=$1
    shift
    if reply=$("$@" 2>&1); then echo "did not fail: $reply"; return 1; fi
    echo "$reply" | grep -qi "$words" || { echo "$reply"; return 1; }
}
spare_waits() { groups | grep -q /spare- || { echo "groups: $(groups | tr '\n' ' ')"; return 1; }; }
answers() { [ "$(b invoke where)" = 0::/ ]; }
one_at_a_time() { b remove "$1" && wait_for group_count "${2:-0}"; }

stty -echo 2>/dev/null
check "the machine has the controllers" grep -q 'cpu.*memory.*pids' /sys/fs/cgroup/cgroup.controllers
check "the node starts" start_node
check "the doctor names cgroup v2" sh -c "brume doctor --data-dir $data | grep -q 'cgroup v2'"

check "a function with limits is deployed" b deploy hold --command 'sleep 1' --cpu 500m --memory 64Mi --min 1 --max 1
check "its replica has a group of its own" wait_for group_count 1
check "cpu.max is half a core" half_a_core
check "memory.max is 64 MiB" limit memory.max 67108864
check "there is no swap" limit memory.swap.max 0
check "pids.max is set" some_processes_at_most
check "every process of the sandbox is in the group" all_inside
check "a call runs in it" b invoke hold
check "removing the function leaves no group" one_at_a_time hold
check "removing the function leaves no sandbox" wait_for no_process 'bwrap|brume-agent'

b deploy where --command 'cat /proc/self/cgroup' --max 1 >/dev/null 2>&1
check "a replica joins its group before its first instruction" joined_first
b remove where >/dev/null 2>&1
check "removing it leaves no group" wait_for group_count 0

check "a greedy function is deployed" b deploy eat --command 'sh eat.sh' --directory /checks/functions --memory 32Mi --max 1 --timeout 60s
check "running out of memory is told as such" fails_with memory b invoke eat
check "the greedy function is removed without a trace" one_at_a_time eat

check "a fork bomb is deployed" b deploy bomb --command 'sh bomb.sh' --directory /checks/functions --max 1 --timeout 20s
check "a fork bomb ends as an error" fails_with . b invoke bomb
check "the fork bomb is removed without a trace" one_at_a_time bomb

check "a spinning function is deployed" b deploy spin --command 'sh spin.sh' --directory /checks/functions --cpu 200m --max 1
check "a spinning function ends" b invoke spin
check "a spinning function was held back" counted cpu.stat nr_throttled
check "the node still serves others" b deploy where --command 'cat /proc/self/cgroup' --max 1
check "and their calls" answers

kill -KILL "$(cat $pid_file)"
check "a killed node takes its sandboxes along" wait_for no_process 'brume|bwrap'
check "the next start works" start_node
check "the next start removes what was left" group_count 0
check "functions are still deployed, and answer" answers
kill -TERM "$(cat $pid_file)"
check "the node stops" wait_for no_process 'brume|bwrap'

spares=1
check "a node with spare sandboxes starts" start_node
check "a spare sandbox waits" wait_for spare_waits
check "a function answers from it, in a group of its own" answers
kill -TERM "$(cat $pid_file)"
check "the node stops with its spare sandboxes" wait_for no_process 'brume|bwrap'
check "a stopped node leaves no group" sh -c '[ -z "$(find /sys/fs/cgroup -mindepth 1 -type d -name "brume*")" ]'
check "a stopped node leaves no mount" sh -c '! grep -q brume /proc/mounts'

spares=0
sharing=weights
check "a node that shares by weights alone starts" start_node
check "a function is deployed on it" b deploy weigh --command 'cat' --cpu 500m --min 1 --max 1
check "its replica has a group" wait_for group_count 1
check "it has no quota" no_quota
check "its weight is half a core's" limit cpu.weight 50
kill -TERM "$(cat $pid_file)"
check "the node that shares by weights stops" wait_for no_process 'brume|bwrap'

. /checks/lending.sh

if [ $failed -gt 0 ]; then
    echo "note: the node's last words:"
    tail -n 20 $log | sed 's/^/note: /'
fi
echo "checks: $passed passed, $failed failed"
