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
    while time.monotonic_ns() < began + words["spin"] * 1_000_000:
        pass
    if words["mib"]:
        time.sleep(0.03)
    return json.dumps({"began": began, "ended": time.monotonic_ns(), "steps": steps})
