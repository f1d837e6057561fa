# SPDX-License-Identifier: Apache-2.0
"""The machine that the figures are from."""

import os
import platform
import re
import time


def busy_share(seconds):
    """The share of all cores that was busy during so many seconds."""

    def read():
        with open("/proc/stat") as file:
            fields = [int(word) for word in file.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def describe():
    """Kernel, cores, memory, cgroups; and how busy the machine was before the suite began, because that spoils figures."""
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) * 1024
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    cgroups = "v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "v1"
    return {
        "kernel": re.match(r"[\d.]*\d", platform.release()).group(), "system": system,
        "architecture": platform.machine(), "processor": model,
        "cores": len(os.sched_getaffinity(0)), "memoryBytes": memory, "cgroups": cgroups, "busyBefore": round(busy_share(2), 3),
    }
