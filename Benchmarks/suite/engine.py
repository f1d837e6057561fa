# SPDX-License-Identifier: Apache-2.0
"""The cost of a decision, measured by the simulator without processes or sockets."""

import json

from . import processes

SECTION = "Engine"


def measure(context, results):
    figures = json.loads(processes.run([context.brume, "simulate", "--bench", "--json"], "brume simulate --bench", timeout=300))
    results.keep("engine", figures)
    results.add(SECTION, "one step", figures["nanosecondsPerEngineStep"], "ns", 1000)
    if "simulatedEventsPerSecond" in figures:
        results.add(SECTION, "simulator, events per second", figures["simulatedEventsPerSecond"], "/s")
