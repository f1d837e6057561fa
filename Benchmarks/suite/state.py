# SPDX-License-Identifier: Apache-2.0
"""State beside redis-server: the same redis-benchmark at both, five nodes that replicate, functions that add up."""

import contextlib
import glob
import json
import os
import re
import shutil
import socket
import statistics
import sys
import threading
import time

from . import BenchError, processes
from .results import AT_LEAST

SECTION = "State"
NODES = 5
TESTS = "set,get,incr,sadd,hset"
SHAPES = [(1, 1, 1.0), (10, 1, 1.0), (50, 1, 1.0), (50, 16, 0.7)]  # clients, pipeline, ratio to redis-server
CALLS, INTEGERS, IN_FLIGHT = 1000, 1000, 5
LIBRARY = "Sources/Adapters/Sandbox/Shims"


def measure(context, results):
    for program in ("redis-server", "redis-benchmark"):
        if not shutil.which(program):
            raise BenchError(f"{program} is not there; install Debian's packages redis-server and redis-tools")
    sys.path.insert(0, str(context.functions.parent.parent / LIBRARY))
    with context.owner() as owner:
        redis = Redis(context, owner)
        cluster = Cluster(context, owner)
        with context.owner() as own:
            throughput(context, results, redis, ReplicatedRedis(context, own), cluster)
        large_set(context, results, cluster)
        convergence(results, cluster)
        all_reduce(context, results, redis, cluster)
        memory(context, results, owner)
    bad_networks(context, results)
    growth(context, results)


class Redis:
    """Debian's redis-server as it comes, without snapshots in between."""

    def __init__(self, context, owner, name="redis", *options):
        self.port, self.socket = processes.free_port(), str(context.work / f"{name}.sock")
        command = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--save", "", "--appendonly"]
        self.process = owner.start(name, [*command, "no", "--dir", context.work, "--dbfilename", f"{name}.rdb", *options])
        owner.wait_for_port(self.process, self.port)


class ReplicatedRedis(Redis):
    """One that does the same work as a node among five: four replicas on this machine get every write."""

    def __init__(self, context, owner):
        super().__init__(context, owner, "redis-first", "--repl-diskless-sync-delay", "0")
        follow = ["--replicaof", f"127.0.0.1 {self.port}"]
        self.replicas = [Redis(context, owner, f"redis-replica-{number}", *follow) for number in range(1, NODES)]
        import brume

        states = [brume.state(f"redis://127.0.0.1:{server.port}") for server in self.replicas]
        follows = lambda state: b"master_link_status:up" in state.run(("INFO", "replication"))[0]  # noqa: E731
        wait_until("redis-server's replicas follow", lambda: all(map(follows, states)))


class Cluster:
    """Five nodes that know each other; each has Redis' protocol on TCP, and every one holds what the first one writes."""

    def __init__(self, context, owner, *options, count=NODES):
        self.nodes = []
        first = None
        for number in range(count):
            redis, link = processes.free_port(), processes.free_port()
            words = ["--redis", f"127.0.0.1:{redis}", "--link", f"127.0.0.1:{link}", *options]
            if first:
                words += ["--join", f"127.0.0.1:{first.link}", "--token", self.token(context, first)]
            node = context.node(owner, *words)
            node.redis, node.link = redis, link
            owner.wait_for_port(node.process, redis)
            first = first or node
            self.nodes.append(node)
        import brume

        self.states = [brume.state(f"redis://127.0.0.1:{node.redis}") for node in self.nodes]
        self.states[0].run(("SET", "everywhere", "1"))
        for state in self.states:
            wait_until("a write is on every node", lambda: state.run(("GET", "everywhere"))[0] == b"1")

    def shape(self, loss_percent=0, sides=()):
        """Loses a part of the frames between nodes, or parts the nodes; needs nodes that were started with --lab."""
        ids = [json.loads(node.request("GET", "/v1/nodes")[1])["node"] for node in self.nodes]
        for number, node in enumerate(self.nodes):
            own = next((side for side in sides if number in side), range(NODES))
            wish = {"lossPerMillion": loss_percent * 10_000, "cut": [ids[other] for other in range(NODES) if other not in own]}
            status, body = node.request("PUT", "/v1/lab/network", wish)
            if status != 204:
                raise BenchError(f"PUT /v1/lab/network answered {status}: {body.decode(errors='replace').strip()}")

    @staticmethod
    def token(context, node):
        return processes.run([context.brume, "node", "token", "--data-dir", node.data, "--quiet"], "brume node token").split()[-1]


def wait_until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"waited {seconds} s until {what}, in vain")
        time.sleep(0.01)


def redis_benchmark(place, clients, pipeline, requests, *words):
    output = processes.run(
        ["redis-benchmark", *place, "-c", clients, "-P", pipeline, "-n", requests, "--csv", *words], "redis-benchmark", timeout=120)
    rates = {}
    for line in output.splitlines():
        fields = [field.strip('"') for field in line.split('","')]
        if len(fields) > 1 and re.match(r"^[0-9.]+$", fields[1]):
            rates[fields[0].split(" ")[0].upper()] = float(fields[1])
    if not rates:
        raise BenchError("redis-benchmark printed no rates: " + output.strip()[-200:])
    return rates


def throughput(context, results, redis, replicated, cluster):
    """The same redis-benchmark at redis-server alone, at one with four replicas, and at one node of five."""
    node = cluster.nodes[0]
    node.deploy("holder", "--command", "/bin/cat", "--min", "1", "--max", "1")
    # By name: where it is served, who serves, and who has the work of it.
    servers = {
        "alone": (redis, redis.process, [redis.process]),
        "replicated": (replicated, replicated.process, [replicated.process, *(server.process for server in replicated.replicas)]),
        "brume": (None, node.process, [other.process for other in cluster.nodes]),
    }
    for door in ("TCP", "the Unix socket"):
        places = {name: ["-p", server.port] if door == "TCP" else ["-s", server.socket] for name, (server, *_) in servers.items() if server}
        places["brume"] = ["-p", node.redis] if door == "TCP" else ["-s", function_socket()]
        for clients, pipeline, target in SHAPES:
            requests = 20_000 if clients == 1 else 400_000 if pipeline > 1 else 60_000
            rounds = []
            for _ in range(min(3, context.rounds)):
                rounds.append({name: loaded(places[name], clients, pipeline, requests, *servers[name][1:]) for name in servers})
            results.keep(f"state, {door}, {clients} clients, pipeline {pipeline}", rounds)
            how = f"{door}, {clients} client{'s' if clients > 1 else ''}" + (f", pipeline of {pipeline}" if pipeline > 1 else "")
            for name in rounds[0]["brume"]["rates"]:
                over = lambda other: statistics.median(  # noqa: E731
                    one["brume"]["rates"][name] / one[other]["rates"][name] for one in rounds)
                rate = statistics.median(one["brume"]["rates"][name] for one in rounds)
                results.add(SECTION, f"{name} over {how}, over redis-server", over("alone"), "x", target, AT_LEAST, note=f"{rate:,.0f}/s")
                results.add(SECTION, f"{name} over {how}, over redis-server with four replicas", over("replicated"), "x")
            cost = lambda server, what: statistics.median(one[server][what] for one in rounds)  # noqa: E731
            for what, who in (("serving", "the serving node"), ("all", "all five nodes")):
                peers = f"with four replicas {cost('replicated', what):.2f} us"
                if what == "serving":
                    peers = f"redis-server {cost('alone', what):.2f} us, {peers}"
                else:
                    peers = f"redis-server {peers}"
                results.add(SECTION, f"processor time a request over {how}, {who}", cost("brume", what), "us", note=peers)


def loaded(place, clients, pipeline, requests, serving, everybody):
    """The rates of one run, and the microseconds of processor time that a request took of those who serve."""
    before = {process.pid: processes.processor_seconds(process.pid) for process in everybody}
    rates = redis_benchmark(place, clients, pipeline, requests, "-t", TESTS)
    # What was written last is on its way to the others still.
    time.sleep(0.1)
    cost = {pid: (processes.processor_seconds(pid) - begin) / (requests * len(rates)) * 1e6 for pid, begin in before.items()}
    return {"rates": rates, "serving": cost[serving.pid], "all": sum(cost.values())}


def function_socket():
    """The socket of the function that was deployed last."""
    found = glob.glob("/run/brume-*/state/*")
    if not found:
        raise BenchError("no function has a socket of state; the benchmark needs root")
    return max(found, key=os.path.getmtime)


def large_set(context, results, cluster):
    state = cluster.states[0]
    for begin in range(0, 100_000, 1000):
        state.run(("SADD", "large", *range(begin, begin + 1000)))
    place = ["-p", cluster.nodes[0].redis]
    command = ["-r", 10_000_000, "SADD", "large", "element:__rand_int__"]
    rates = [redis_benchmark(place, 50, 16, 400_000, *command) for _ in range(context.rounds)]
    rate = statistics.median(next(iter(rate.values())) for rate in rates)
    results.add(SECTION, "adds to a set of over 100,000 elements, replicated to 4 nodes", rate, "/s", 100_000, AT_LEAST)
    size = state.run(("SCARD", "large"))[0]
    wait_until("the set is on every node", lambda: all(other.run(("SCARD", "large"))[0] == size for other in cluster.states), 120)
    state.delete("large")


def convergence(results, cluster, condition="", targets=(5, 15), samples=400, pause=0.01):
    """From the moment before a write is sent to the moment when its change was heard on the last of the others."""
    writer, others = cluster.states[0], cluster.states[1:]
    heard = [dict() for _ in others]
    ready = threading.Barrier(len(others) + 1)

    def listen(index):
        with contextlib.suppress(OSError, ValueError):
            changes = others[index].changes("tick:*", timeout=10)
            ready.wait()
            for _, name in changes:
                heard[index].setdefault(name, time.perf_counter())
                if name == f"tick:{samples - 1}":
                    return

    threads = [threading.Thread(target=listen, args=(index,), daemon=True) for index in range(len(others))]
    for thread in threads:
        thread.start()
    ready.wait()
    time.sleep(0.5)
    sent = {}
    for number in range(samples):
        name = f"tick:{number}"
        sent[name] = time.perf_counter()
        writer.run(("SET", name, number))
        time.sleep(pause)
    for thread in threads:
        thread.join(15)
    delays = sorted(
        (max(times[name] for times in heard) - begin) * 1000 for name, begin in sent.items() if all(name in times for times in heard))
    if len(delays) < samples * 0.9:
        raise BenchError(f"only {len(delays)} of {samples} writes were heard everywhere")
    results.keep("state, convergence" + condition, delays)
    for name, place, target in (("p50", 0.5, targets[0]), ("p99", 0.99, targets[1])):
        results.add(SECTION, f"write to heard on the last of 5 nodes{condition}, {name}", delays[int(len(delays) * place)], "ms", target)


def bad_networks(context, results, partition_seconds=10):
    """The same on links that lose frames; then both sides of a partition write, and the clock runs from its end until all are equal."""
    with context.owner() as owner:
        cluster = Cluster(context, owner, "--lab")
        for percent in (1, 5):
            cluster.shape(loss_percent=percent)
            convergence(results, cluster, f" with {percent} % of frames lost", targets=(None, None))
        cluster.shape(sides=[range(0, 2), range(2, NODES)])
        writes = 0
        end = time.monotonic() + partition_seconds
        while time.monotonic() < end:
            for number, state in enumerate(cluster.states):
                state.run(("INCR", "apart"), ("SADD", "sides", f"{number}:{writes}"))
            writes += 1
            time.sleep(0.002)
        held = [int(state.run(("GET", "apart"))[0]) for state in cluster.states]
        expected = writes * NODES
        if max(held) >= expected:
            raise BenchError(f"the partition let writes through: {held} of {expected}")
        cluster.shape()
        begin = time.perf_counter()
        want = [str(expected).encode(), expected]
        equal = lambda state: state.run(("GET", "apart"), ("SCARD", "sides")) == want  # noqa: E731
        wait_until("all nodes are equal", lambda: all(map(equal, cluster.states)), 60)
        note = f"{expected:,} increments and {expected:,} elements on both sides"
        results.add(SECTION, f"end of a {partition_seconds} s partition to equal on 5 nodes", time.perf_counter() - begin, "s", note=note)


def growth(context, results, seconds=4, pause=0.02, burst=5):
    """As nodes grow in number, each with the same load: what all of them serve together, and what an increment costs between them."""
    for count in (2, 5, 10, 20, 30):
        with context.owner() as owner:
            cluster = Cluster(context, owner, "--spares", "0", count=count)
            done = [0] * count
            before, begin = sent_bytes(cluster), time.perf_counter()

            def work(number, end):
                while time.perf_counter() < end:
                    cluster.states[number].run(*[("INCR", "together")] * burst)
                    done[number] += burst
                    time.sleep(pause)

            threads = [threading.Thread(target=work, args=(number, begin + seconds)) for number in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rate = sum(done) / (time.perf_counter() - begin)
            total = str(sum(done)).encode()
            has_all = lambda state: state.run(("GET", "together"))[0] == total  # noqa: E731
            wait_until("every node has every increment", lambda: all(map(has_all, cluster.states)), 60)
            cost = (sent_bytes(cluster) - before) / sum(done) / (count - 1)
            note = f"{burst} increments a node every {pause * 1000:.0f} ms"
            results.add(SECTION, f"increments of one counter on {count} nodes together", rate, "/s", note=note)
            results.add(SECTION, f"bytes of frames for each of them and each receiving node, {count} nodes", cost, "B")


def sent_bytes(cluster):
    """What all nodes have sent of state: every frame with its head, before TLS."""
    total = 0
    for node in cluster.nodes:
        text = node.request("GET", "/metrics")[1].decode()
        total += sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("brume_state_sent_bytes"))
    return total


SUM = '''
import json, os
import brume
state = brume.state({url})
def handle(event, context):
    numbers = json.loads(event.body)
    state.run(("INCRBY", event.headers["X-Sum"], sum(numbers)))
    return "ok"
'''


def all_reduce(context, results, redis, cluster):
    """1,000 calls with 1,000 numbers each, over HTTP to functions on five nodes, five in flight, every write awaited."""
    import brume

    chunks = [json.dumps(list(range(begin, begin + INTEGERS))) for begin in range(0, CALLS * INTEGERS, INTEGERS)]
    expected = CALLS * INTEGERS * (CALLS * INTEGERS - 1) // 2
    shared = ["--annotation", "dev.brume.state.namespace=reduce"]
    variants = {"brume": ("", shared), "redis": (f'"redis://127.0.0.1:{redis.port}"', ["--network"])}
    for name, (url, words) in variants.items():
        folder = context.work / f"reduce-{name}"
        folder.mkdir()
        (folder / "handler.py").write_text(SUM.format(url=url))
        for node in cluster.nodes:
            node.deploy(f"reduce-{name}", "--handler", folder / "handler.py", "--min", "1", "--max", "1", "--concurrency", "4", *words)
    totals = {name: [] for name in variants}
    direct = brume.state(f"redis://127.0.0.1:{redis.port}")
    for number in range(max(5, context.rounds)):
        for name in variants:
            key = f"sum-{name}-{number}"
            begin = time.perf_counter()
            send_all(cluster, f"/function/reduce-{name}", key, chunks)
            if name == "redis":
                value = int(direct.run(("GET", key))[0])
                if value != expected:
                    raise BenchError(f"redis-server has {value} instead of {expected}")
            else:
                wait_until("the sum is right", lambda: read_sum(cluster, key) == expected)
            totals[name].append((time.perf_counter() - begin) * 1000)
    results.keep("state, AllReduce", totals)
    ours, theirs = statistics.median(totals["brume"]), statistics.median(totals["redis"])
    results.add(SECTION, "AllReduce of 1,000 calls with 1,000 integers, 5 nodes, median", ours, "ms", 530)
    results.add(SECTION, "the same with redis-server on kept connections, median", theirs, "ms")
    results.add(SECTION, "AllReduce over the same with redis-server", ours / theirs, "x", 1.0)


def read_sum(cluster, key):
    """Asks the last node, in the functions' namespace."""
    status, body = cluster.nodes[-1].request("GET", f"/v1/state/reduce/{key}")
    return int(json.loads(body).get("value", 0)) if status == 200 else None


def send_all(cluster, path, key, chunks):
    queue = list(enumerate(chunks))
    failures = []

    def work(node):
        with socket.create_connection(("127.0.0.1", node.port), 10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while queue:
                try:
                    _, body = queue.pop()
                except IndexError:
                    return
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Sum: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + body).encode())
                answer = b""
                while not answer.endswith(b"ok"):
                    data = connection.recv(65536)
                    answer += data
                    if not data or b" 200 " not in answer[:20]:
                        failures.append(answer[:200])
                        return

    threads = [threading.Thread(target=work, args=(cluster.nodes[index % NODES],)) for index in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(f"a call failed: {failures[0]!r}")


def memory(context, results, owner):
    """What a million small objects, and a million elements of one set, cost in each process."""
    for what, command in {
        "objects": ["SET", "object:__rand_int__", "value"], "elements of a set": ["SADD", "set", "element:__rand_int__"],
    }.items():
        costs = {}
        for name in ("redis-server", "brume"):
            with context.owner() as own:
                if name == "brume":
                    port = processes.free_port()
                    node = context.node(own, "--redis", f"127.0.0.1:{port}", "--state-durability", "none")
                    own.wait_for_port(node.process, port)
                    process = node.process
                else:
                    server = Redis(context, own, f"redis-{what.split()[0]}")
                    process, port = server.process, server.port
                before = processes.memory([process.pid], "Rss")
                redis_benchmark(["-p", port], 50, 64, 3_000_000, "-r", 1_000_000, *command)
                count = size(port, command[0])
                costs[name] = (processes.memory([process.pid], "Rss") - before) / count
        peer = f"redis-server {costs['redis-server']:.0f} B"
        results.add(SECTION, f"memory for each of a million {what}", costs["brume"], "B", note=peer)


def size(port, command):
    import brume

    state = brume.state(f"redis://127.0.0.1:{port}")
    return state.run(("DBSIZE",))[0] if command == "SET" else state.run(("SCARD", "set"))[0]
