#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must hold on cgroup v2 for memory that is lent. Part of checks.sh, which has the words used here.

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
# jumps SEED COUNT: the inputs of so many calls, most of which use next to nothing, so that nearly everything is lent, and some jump to a
# random height at a random moment. Oftener, and the safeguard would leave the function alone.
jumps() {
    awk -v seed="$1" -v count="$2" 'BEGIN {
        srand(seed)
        jump = 8 + int(rand() * 12)
        for (call = 0; call < count; call++) {
            way = int(rand() * 3)
            if (call != jump) { print 1, int(rand() * 5), way; continue }
            # A replica may have half of its memory in files.
            print 40 + int(rand() * (way == 0 ? 16 : 56)), int(rand() * 60), way
            jump = call + 20 + int(rand() * 10)
        }
    }'
}
# lane FUNCTION SEED COUNT: makes these calls and tells of those that fail.
lane() { jumps "$2" "$3" | while read -r mebibytes wait way; do call "$1" "$mebibytes" "$wait" "$way"; done; }
# lanes COUNT: the functions of jumps.yml at once, so many calls each; fails with the calls that failed.
lanes() {
    for lane in 1 2 3 4; do lane "jump$lane" $((seed + lane)) "$1" >"/tmp/lane$lane" & done
    wait
    [ -z "$(cat /tmp/lane?)" ] || { cat /tmp/lane?; return 1; }
}
some_fail() { if lanes "$1"; then echo "seed $seed: not one call failed"; return 1; fi; }
deploy_jump() { b deploy "$1" --command 'sh jump.sh' --directory /checks/functions --memory "$2" --cpu 1 --min 1 --max 1; }
sum() { cat /sys/fs/cgroup/brume*/r*/memory.events | awk -v word="$1" '$1 == word {sum += $2} END {print sum + 0}'; }
nobody_killed() { [ "$(sum oom_kill)" = 0 ] || { cat /sys/fs/cgroup/brume*/r*/memory.events; return 1; }; }
some_killed() { [ "$(sum oom_kill)" -gt 0 ] || { cat /sys/fs/cgroup/brume*/r*/memory.events; return 1; }; }
own_limits() { for file in /sys/fs/cgroup/brume*/r*/memory.max; do [ "$(cat "$file")" = "$1" ] || { cat "$file"; return 1; }; done; }
# How often a limit of memory was lowered below the function's own.
loans() { grep 'limit written' $log | grep 'kind=memory' | grep -cvE "to=$1 "; }
lent_often() { [ "$(loans 134217728)" -ge "$1" ] || { echo "seed $seed: only $(loans 134217728) loans"; return 1; }; }
metric() { wget -q -O - http://127.0.0.1:8080/metrics | awk -v series="$1" '$1 == series {print $2; found = 1} END {exit !found}'; }
# at_least COUNT SERIES: the node has counted so much.
at_least() {
    found=$(metric "$2") && [ "${found%.*}" -ge "$1" ] || { echo "$2 is '$found'"; return 1; }
}
crossed_since() { [ "$(sum high)" -gt "$1" ]; }
is_braked() { found=$(cat "$(group)/memory.high") && [ "$found" != max ] && [ "$found" -lt 134217728 ]; }
exactly() {
    found=$(metric "$2") && [ "${found%.*}" -eq "$1" ] || { echo "$2 is '$found'"; return 1; }
}
crossings='brume_watch_events{source="memory.events"}'
stalls='brume_watch_events{source="memory.pressure"}'
told_limit() { grep 'limit written' $log | grep 'kind=memory' | tail -n 1 | grep -q "to=$(cat "$(group)/memory.high") "; }
# While the node stands still nobody looks, and a lender takes what it can: what is left to it, and hardly more. (By one system call it
# may take more: the kernel slows it down at the end of it.)
kernel_holds() {
    call lender 56 5000 "$1" >/tmp/held-call &
    caller=$!
    wait_for is_braked || return 1
    told_limit || { echo "memory.high is not what the node decided"; return 1; }
    before=$(sum high)
    kill -STOP "$(cat $pid_file)"
    wait_for crossed_since "$before" || { kill -CONT "$(cat $pid_file)"; return 1; }
    sleep 2
    used=$(cat "$(group)/memory.current")
    high=$(cat "$(group)/memory.high")
    kill -CONT "$(cat $pid_file)"
    wait $caller || { cat /tmp/held-call; return 1; }
    [ "$used" -lt $((high + 16777216)) ] || { echo "it used $used of $high"; return 1; }
}
is_braked_somewhere() { cat /sys/fs/cgroup/brume*/r*/memory.high | grep -qv max; }
no_brakes() { ! is_braked_somewhere; }

# How many groups stand still, as the kernel itself says.
frozen() { cat /sys/fs/cgroup/brume*/r*/cgroup.events | grep -c '^frozen 1'; }
some_frozen() { [ "$(frozen)" -gt 0 ] || { cat /sys/fs/cgroup/brume*/r*/memory.current; return 1; }; }
none_frozen() { [ "$(frozen)" = 0 ]; }
holds() { [ "$(cat /sys/fs/cgroup/brume*/r*/memory.current | sort -n | tail -n 1)" -gt "$1" ]; }
told_pause() { b logs keeper | grep 'Paused: a call that borrowed its memory' || { b logs keeper; return 1; }; }
# A lender wants its own back while its borrower really uses it. The kernel's brake would let it go on, two seconds at a time; it has to
# stand still instead, and to go on as soon as the borrower's caller has gone, and the call with it.
stands_still() {
    call keeper 240 20000 1 >/tmp/keeper-call &
    keeper=$!
    wait_for is_braked_somewhere || return 1
    wget -q -O - --post-data "$(printf '%-4s %-5s %-2s %-5s' 132 0 1 99000)" http://127.0.0.1:8080/function/taker >/dev/null 2>&1 &
    taker=$!
    wait_for holds 130000000 || return 1
    none_frozen || { echo "something stands still that has what it needs"; return 1; }
    wait_for some_frozen || { echo "nothing ever stood still: $(cat /tmp/waited) $(metric brume_watch_pauses) pauses"; return 1; }
    before=$(cat /sys/fs/cgroup/brume*/r*/memory.current | sort -n | tail -n 1)
    sleep 3
    after=$(cat /sys/fs/cgroup/brume*/r*/memory.current | sort -n | tail -n 1)
    [ "$before" = "$after" ] || { echo "it went on from $before to $after"; return 1; }
    kill $taker
    wait $keeper || { cat /tmp/keeper-call; return 1; }
}

# The most of the latest five calls is what is expected: the worst profiler there is.
echo "note: seed $seed, $(cut -d . -f 1 /proc/uptime) s after the machine's start"
sharing=harvest
level=trace
options="--cpu 4 --sharing-without profiler"
: >$log
check "a node that lends starts" start_node
b remove weigh where spin >/dev/null 2>&1
wait_for group_count 0
check "it tells how lent memory is guarded" at_least 1 'brume_memory_guard{way="memory.events"}'
check "a function that lends is deployed" deploy_jump lender 128Mi
check "calls that use little pass" calls 3 lender 1
check "an idle replica is not slowed down" limit memory.high max
check "the kernel holds a lender of file memory at what is left to it, while nobody looks" kernel_holds 0
check "and is loosened with the end" limit memory.high max
check "calls that use little pass again" calls 6 lender 1
check "the kernel holds a lender of its own memory too" kernel_holds 1
check "the crossings were heard by events" at_least 2 "$crossings"
check "and the stalls by PSI" at_least 1 "$stalls"
check "four more functions are deployed" b deploy --file /checks/functions/jumps.yml
: >$log
check "calls that jump at random moments to random heights all pass" lanes 50
check "they lent memory" lent_often 120
check "memory.max has always been the functions' own" own_limits 134217728
check "nobody was killed" nobody_killed
check "nobody is slowed down any more" no_brakes
check "no limit was refused" exactly 0 brume_watch_refused_writes
echo "note: $(loans 134217728) loans, $(metric "$crossings") crossings and $(metric "$stalls") stalls heard"
echo "note: $(metric brume_watch_looks) looks, $(metric brume_watch_pauses) pauses"
call lender 1 4000 >/dev/null &
check "a call lends as the node stops" wait_for is_braked_somewhere
kill -TERM "$(cat $pid_file)"
check "the node that lends stops" wait_for no_process 'brume|bwrap'
check "and leaves no group of a lender" group_count 0

options="--cpu 4 --sharing-without profiler --sharing-without safeguard"
check "a node without the safeguard starts" start_node
check "of the same calls some are killed" some_fail 20
check "by the kernel, at the limits that a loan had lowered" some_killed
check "and the node counted them as that" at_least 1 'brume_harvest_out_of_memory_total{limit="lowered"}'
check "but none at a function's own" exactly 0 'brume_harvest_out_of_memory_total{limit="own"}'
kill -TERM "$(cat $pid_file)"
check "the node without the safeguard stops" wait_for no_process 'brume|bwrap'

# Room for both functions, and next to nothing beside them.
options="--cpu 4 --memory 368Mi"
check "a node with little memory starts" start_node
b remove lender jump1 jump2 jump3 jump4 >/dev/null 2>&1
check "only two functions are left: one that lends" b deploy keeper --command 'sh jump.sh' --directory /checks/functions --memory 256Mi \
    --cpu 1 --min 1 --max 1 --timeout 5m
check "and one that borrows" b deploy taker --command 'sh jump.sh' --directory /checks/functions --memory 96Mi --cpu 1 --min 1 --max 1 \
    --timeout 5m
check "calls that use little pass on both" calls 10 keeper 1
check "and" calls 10 taker 1
for _ in 1 2 3 4; do call taker 132 0 1 >/dev/null; done
check "four that use more than their own do not, and that is counted" exactly 4 'brume_harvest_out_of_memory_total{limit="own"}'
check "a lender whose memory is in use stands still until it is free" stands_still
check "the node counted that" at_least 1 brume_watch_pauses
check "and told it" told_pause
check "nothing stands still any more" none_frozen
check "nor is slowed down" no_brakes
check "and nobody else was killed" exactly 4 'brume_harvest_out_of_memory_total{limit="own"}'
kill -TERM "$(cat $pid_file)"
check "the node with little memory stops" wait_for no_process 'brume|bwrap'
echo "note: $(cut -d . -f 1 /proc/uptime) s after the machine's start"
