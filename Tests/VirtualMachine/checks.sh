#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What must hold on cgroup v2. Runs in the machine of Scripts/test-vm.
passed=0
failed=0
# check NAME COMMAND...: runs the command; its words are shown when it fails.
check() {
    name=$1
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "check: passed: $name"
    else
        failed=$((failed + 1))
        echo "check: FAILED: $name: $(echo "$said" | tail -n 3 | tr '\n' ' ')"
    fi
}

check "the programs run" brume version
check "bubblewrap makes a sandbox here" bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib64 /lib64 --proc /proc true
check "the machine has the controllers" grep -q 'cpu.*memory.*pids' /sys/fs/cgroup/cgroup.controllers
echo "checks: $passed passed, $failed failed"
