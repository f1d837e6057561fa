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
# call FUNCTION MEBIBYTES [MILLISECONDS-BEFORE WAY MILLISECONDS-AFTER]: all inputs have one size, so that none foretells anything.
call() {
    input=$(printf '%-4s %-5s %-2s %-5s' "$2" "${3:-0}" "${4:-0}" "${5:-0}")
    reply=$(wget -q -O - --post-data "$input" "http://127.0.0.1:8080/function/$1" 2>&1)
    [ "$reply" = done ] || { echo "$1 $input: $reply"; return 1; }
}
# calls COUNT FUNCTION MEBIBYTES: one after the other.
calls() {
    for _ in $(seq "$1"); do call "$2" "$3" || return 1; done
}
# refusals COUNT FUNCTION MEBIBYTES: all of them must fail.
refusals() {
    for _ in $(seq "$1"); do call "$2" "$3" >/dev/null && { echo "did not fail"; return 1; }; done
    return 0
}
# jumps SEED COUNT: the inputs of so many calls, most of which use next to nothing, so that nearly everything is lent, and some jump to a
# random height at a random moment. Oftener, and the safeguard would leave the function alone.
jumps() {
    awk -v seed="$1" -v count="$2" 'BEGIN {
        srand(seed)
        jump = 8 + int(rand() * 12)
        for (call = 0; call < count; call++) {
            if (call != jump) { print 1, int(rand() * 5), int(rand() * 2); continue }
            print 40 + int(rand() * 56), int(rand() * 60), int(rand() * 2)
            jump = call + 20 + int(rand() * 10)
        }
    }'
}
# lane FUNCTION SEED COUNT: makes these calls and tells of those that fail.
lane() { jumps "$2" "$3" | while read -r mebibytes wait way; do call "$1" "$mebibytes" "$wait" "$way"; done; }
# lanes COUNT: four functions at once, so many calls each; fails with the calls that failed.
lanes() {
    for lane in 1 2 3 4; do lane "jump$lane" $((seed + lane)) "$1" >"/tmp/lane$lane" & done
    wait
    [ -z "$(cat /tmp/lane?)" ] || { cat /tmp/lane?; return 1; }
}
some_fail() { if lanes "$1"; then echo "seed $seed: not one call failed"; return 1; fi; }
deploy_jump() { b deploy "$1" --command 'sh jump.sh' --directory /checks/functions --memory "${2:-128Mi}" --cpu 1 --min 1 --max 1; }
deploy_lanes() { for lane in 2 3 4; do deploy_jump "jump$lane" || return 1; done; }
sum() { cat /sys/fs/cgroup/brume*/r*/memory.events | awk -v word="$1" '$1 == word {sum += $2} END {print sum + 0}'; }
nobody_killed() { [ "$(sum oom_kill)" = 0 ] || { cat /sys/fs/cgroup/brume*/r*/memory.events; return 1; }; }
own_limits() { for file in /sys/fs/cgroup/brume*/r*/memory.max; do [ "$(cat "$file")" = "$1" ] || { cat "$file"; return 1; }; done; }
# How often a limit of memory was lowered below the function's own.
loans() { grep 'limit written' $log | grep 'kind=memory' | grep -cvE "to=$1 "; }
lent_often() { [ "$(loans 134217728)" -ge "$1" ] || { echo "seed $seed: only $(loans 134217728) loans"; return 1; }; }
metric() { wget -q -O - http://127.0.0.1:8080/metrics | awk -v series="$1" '$1 == series {print $2; found = 1} END {exit !found}'; }
# at_least COUNT SERIES: the node has counted so much.
at_least() {
    found=$(metric "$2") && [ "${found%.*}" -ge "$1" ] || { echo "$2 is '$found'"; return 1; }
}
is_braked() { found=$(cat "$(group)/memory.high") && [ "$found" != max ] && [ "$found" -lt 134217728 ]; }
told_limit() { grep 'limit written' $log | grep 'kind=memory' | tail -n 1 | grep -q "to=$(cat "$(group)/memory.high") "; }
# While the node stands still nobody looks, and a lender takes what it can: what is left to it, and hardly more.
kernel_holds() {
    call jump1 100 2000 "$1" >/tmp/held-call &
    caller=$!
    wait_for is_braked || return 1
    told_limit || { echo "memory.high is not what the node decided"; return 1; }
    kill -STOP "$(cat $pid_file)"
    wait_for counted memory.events high
    sleep 2
    used=$(cat "$(group)/memory.current")
    high=$(cat "$(group)/memory.high")
    kill -CONT "$(cat $pid_file)"
    wait $caller || { cat /tmp/held-call; return 1; }
    [ "$used" -lt $((high + 16777216)) ] || { echo "it used $used of $high"; return 1; }
}
is_frozen() { [ "$(sort -r /sys/fs/cgroup/brume*/r*/cgroup.freeze | head -n 1)" = 1 ]; }
# Its borrower uses what it lent, for a while: the lender is paused until then, and both end well.
waits_paused() {
    call jump1 115 3000 0 >/tmp/lender-call &
    lender=$!
    wait_for is_braked_somewhere || return 1
    call borrower 70 0 0 7000 >/tmp/borrower-call &
    borrower=$!
    wait_for is_frozen || return 1
    wait $borrower || { cat /tmp/borrower-call; return 1; }
    wait $lender || { cat /tmp/lender-call; return 1; }
    ! is_frozen || { echo "it is still paused"; return 1; }
}
is_braked_somewhere() { cat /sys/fs/cgroup/brume*/r*/memory.high | grep -qv max; }
no_brakes() { ! is_braked_somewhere; }
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

# The most of the latest five calls is what is expected: the worst profiler there is.
echo "note: seed $seed"
sharing=harvest
level=trace
options="--sharing-without profiler"
: >$log
check "a node that lends starts" start_node
b remove weigh >/dev/null 2>&1
b remove where >/dev/null 2>&1
b remove spin >/dev/null 2>&1
wait_for group_count 0
check "the doctor tells how lent memory is guarded" sh -c "brume doctor --data-dir $data | grep -q 'memory.high.*memory.pressure.*cgroup.freeze'"
check "so does the node" at_least 1 'brume_memory_guard{way="memory.events"}'
check "a function that lends is deployed" deploy_jump jump1
check "calls that use little pass" calls 3 jump1 1
check "an idle replica is not slowed down" limit memory.high max
check "the kernel holds a lender of file memory at what is left to it, while nobody looks" kernel_holds 0
check "and is loosened with the end" limit memory.high max
check "calls that use little pass again" calls 6 jump1 1
check "the kernel holds a lender of its own memory too" kernel_holds 1
check "the crossings were heard by events" at_least 2 'brume_watch_events{source="memory.events"}'
check "and the stalls by PSI" at_least 1 'brume_watch_events{source="memory.pressure"}'
check "three more functions are deployed" deploy_lanes
: >$log
check "calls that jump at random moments to random heights all pass" lanes 60
check "they lent memory" lent_often 150
check "memory.max has always been the functions' own" own_limits 134217728
check "nobody was killed" nobody_killed
check "nobody is slowed down any more" no_brakes
check "no limit was refused" sh -c '[ "$(wget -q -O - http://127.0.0.1:8080/metrics | awk "\$1 == \"brume_watch_refused_writes\" {print \$2}")" -eq 0 ]'
echo "note: $(loans 134217728) loans; $(metric 'brume_watch_events{source="memory.events"}') crossings and $(metric 'brume_watch_events{source="memory.pressure"}') stalls heard, $(metric brume_watch_looks) looks, $(metric brume_watch_pauses) pauses"
kill -TERM "$(cat $pid_file)"
check "the node that lends stops" wait_for no_process 'brume|bwrap'

options="--sharing-without profiler --sharing-without safeguard"
check "a node without the safeguard starts" start_node
check "of the same calls some are killed" some_fail 30
check "for want of memory that they had lent" at_least 1 'brume_harvest_out_of_memory_total{limit="lowered"}'
kill -TERM "$(cat $pid_file)"
check "the node without the safeguard stops" wait_for no_process 'brume|bwrap'

options="--memory 184Mi"
: >$log
check "a node with little memory starts" start_node
for lane in 2 3 4; do b remove jump$lane >/dev/null 2>&1; done
check "a function that borrows is deployed" deploy_jump borrower 48Mi
check "the lender's calls use little" calls 12 jump1 1
check "and so do the borrower's" calls 10 borrower 1
check "by its own memory alone it is killed" refusals 4 borrower 70
check "a lender waits, paused, for what its borrower uses" waits_paused
check "the pause was counted" at_least 1 brume_watch_pauses
check "nothing is left of it" no_brakes
kill -TERM "$(cat $pid_file)"
check "the node with little memory stops" wait_for no_process 'brume|bwrap'

if [ $failed -gt 0 ]; then
    echo "note: the node's last words:"
    tail -n 20 $log | sed 's/^/note: /'
fi
echo "checks: $passed passed, $failed failed"
