# SPDX-License-Identifier: Apache-2.0
"""What each function needs over its sizes: /usr/bin/python3 measure.py [FUNCTION...] [--parallel N] [--repeat N]

Each size runs in a new process: import, one small call to warm up, then the calls that are measured. TIME is the least of them, which other
load on the machine disturbs least; PROCESSOR is the median, of all threads and processes together. The peak of memory is the interpreter's,
or that of its largest process where it starts others.
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {
    "dynamic_html": [100, 1000, 10_000, 100_000],
    "email_generation": [20, 200, 1000, 4000],
    "image_processing": [1, 5, 20, 60],
    "video_processing": [1, 2, 5, 10],
    "image_recognition": [1, 2, 5, 10],
    "k_nearest_neighbors": [500, 2000, 10_000, 40_000],
    "arithmetic": [10_000, 100_000, 1_000_000, 5_000_000],
    "merge_sort": [1000, 10_000, 100_000, 500_000],
    "gradient_descent": [20, 100, 500, 2000],
    "dna_visualization": [1000, 20_000, 200_000, 2_000_000],
    "graph_pagerank": [500, 2000, 10_000, 50_000],
    "graph_mst": [1000, 5000, 50_000, 200_000],
    "graph_bfs": [1000, 5000, 50_000, 300_000],
}
WARM = {"image_recognition": {"size": 1}, "video_processing": {"size": 1}}


def processor_seconds():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def peak_bytes():
    """The highest use of memory of this process, or of its largest child."""
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def one(name, size, parallel, repeat):
    """Measures one function with one size in this process."""
    sys.path[:0] = [str(HERE / name), str(HERE / ".build/packages")]
    before = time.perf_counter()
    import handler

    loaded = time.perf_counter() - before
    ask = {"parallel": parallel} if parallel > 1 else {}
    handler.run(**WARM.get(name, {"size": 10}), **ask)
    walls, processors = [], []
    for seed in range(1, repeat + 1):
        wall, processor = time.perf_counter(), processor_seconds()
        handler.run(size=size, seed=seed, **ask)
        walls.append(time.perf_counter() - wall)
        processors.append(processor_seconds() - processor)
    return {"load": loaded, "wall": min(walls), "processor": statistics.median(processors), "peak": peak_bytes()}


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("functions", nargs="*", metavar="FUNCTION", help="by default all")
    words.add_argument("--parallel", type=int, default=1, help="for functions that take it")
    words.add_argument("--repeat", type=int, default=3, help="calls per size, each with another seed")
    words.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.one is not None:
        print(json.dumps(one(asked.functions[0], asked.one, asked.parallel, asked.repeat)))
        return 0
    unknown = [name for name in asked.functions if name not in SIZES]
    if unknown:
        words.error(f"there is no function {unknown[0]}; there are {', '.join(SIZES)}")
    print("| function | size | time (ms) | processor (ms) | peak memory (MiB) | import (ms) |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in asked.functions or SIZES:
        for size in SIZES[name]:
            command = [sys.executable, __file__, name, "--one", str(size), "--parallel", str(asked.parallel), "--repeat", str(asked.repeat)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"measure: FAILED: {name} with size {size}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                return 1
            said = json.loads(done.stdout)
            times = f"{said['wall'] * 1e3:.1f} | {said['processor'] * 1e3:.1f}"
            print(f"| `{name}` | {size} | {times} | {said['peak'] / (1 << 20):.0f} | {said['load'] * 1e3:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
