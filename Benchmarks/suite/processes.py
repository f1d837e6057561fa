# SPDX-License-Identifier: Apache-2.0
"""Processes that the suite starts, and ends by their ids, whatever happens."""

import os
import signal
import socket
import subprocess
import time

from . import BenchError

STOP_SECONDS = 10  # for a process to end by itself before it is killed
READY_SECONDS = 30  # for a server to listen; a node cleans up after a crash first


def free_port():
    """A port of this machine on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """A context: what was started inside is gone after it."""

    def __init__(self, work):
        self.work = work
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(list(self.running)):
            self.stop(process)

    def start(self, name, command, env=None, holds_input=False):
        """Starts a program with its output in WORK/NAME.log; its input is empty, or open for as long as this program lives."""
        with open(self.work / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE if holds_input else subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.work, env=env, start_new_session=True)
        process.name = name
        self.running.append(process)
        return process

    def stop(self, process):
        if process in self.running:
            self.running.remove(process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_for_port(self, process, port):
        """Returns when the process listens on the port."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f"{process.name} does not listen on port {port}: {self.last_words(process.name)}")

    def last_words(self, name):
        try:
            lines = (self.work / f"{name}.log").read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"


def run(command, what, timeout=900, **options):
    """Runs a program to its end and returns what it printed; BenchError with its last words if it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, **options)
    except FileNotFoundError as error:
        raise BenchError(f"{what}: {error.filename} is not there") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{what} took longer than {timeout} s") from error
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise BenchError(f"{what}: {words[-1]}")
    return done.stdout


def tree(root):
    """The ids of a process and all its descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError):
                continue
    members, frontier = {root}, [root]
    while frontier:
        parent = frontier.pop()
        for child in [pid for pid, above in parents.items() if above == parent and pid not in members]:
            members.add(child)
            frontier.append(child)
    return members


def memory(pids, field):
    """The sum of a field of smaps_rollup (Rss, Pss) or status (VmRSS) over processes, in bytes."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith(field + ":")), 0)
        except (OSError, ValueError):
            continue
    return total * 1024


def processor_seconds(pid):
    """What a process has taken of the processors, in user mode and in the kernel."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
