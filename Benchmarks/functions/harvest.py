# SPDX-License-Identifier: Apache-2.0
"""Waits, then uses CPU, or memory in steps of one mebibyte, at full speed; tells by the system's clock when it did what."""

import json
import time


def handle(request):
    words = json.loads(request)
    time.sleep(words["idle"] / 1000)
    began = time.monotonic_ns()
    steps, held = [], []
    for _ in range(words["mib"]):
        held.append(b"x" * (1 << 20))
        steps.append(time.monotonic_ns())
    # CPU time so far, at each fifth of a millisecond of it: a busy machine gives less than a core.
    used, first = [], time.process_time_ns()
    while (now := time.monotonic_ns()) < began + words["spin"] * 1_000_000:
        cpu = time.process_time_ns() - first
        if not used or cpu >= used[-1][1] + 200_000:
            used.append((now, cpu))
    if words["mib"]:
        time.sleep(0.03)
    return json.dumps({"began": began, "ended": time.monotonic_ns(), "steps": steps, "used": used})
