# SPDX-License-Identifier: Apache-2.0
"""A node under test, driven as its users drive it: the command line and the OpenFaaS API."""

import base64
import http.client
import json
import shutil
import socket
import time

from . import BenchError, processes

SETTLE_SECONDS = 15  # for replicas to come or go


class Node:
    def __init__(self, brume, owner, work, name="node", words=()):
        self.brume, self.owner, self.data, self.name = brume, owner, work / f"{name}-data", name
        self.port = processes.free_port()
        # More CPU than there is: what replicas reserve must not limit how many start. The kernel shares out what there is.
        command = [brume, "up", "--port", self.port, "--data-dir", self.data, "--cpu", "64", *words]
        # A node of a lab ends when its input does.
        self.process = owner.start(name, command, holds_input="--lab" in words)
        owner.wait_for_port(self.process, self.port)
        self.wait("to be healthy", lambda: self.request("GET", "/healthz")[0] == 200)

    def stop(self):
        self.owner.stop(self.process)
        shutil.rmtree(self.data, ignore_errors=True)

    def wait(self, what, condition, seconds=SETTLE_SECONDS):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise BenchError(f"the node ended: {self.owner.last_words(self.name)}")
            if condition():
                return
            time.sleep(0.005)
        raise BenchError(f"waited {seconds} s for {what} in vain")

    # What users type.

    def deploy(self, name, *words):
        processes.run([self.brume, "deploy", name, *words, "--data-dir", self.data, "--quiet"], f"brume deploy {name}", timeout=120)

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/function/{name}"

    # The API.

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Authorization": self.credentials()} if not path.startswith("/healthz") else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError as error:
            raise BenchError(f"the node does not answer {method} {path}: {error}") from error
        finally:
            connection.close()

    def credentials(self):
        read = lambda name: (self.data / "credentials" / f"basic-auth-{name}").read_text().strip()
        return "Basic " + base64.b64encode(f"{read('user')}:{read('password')}".encode()).decode()

    def function(self, name):
        status, body = self.request("GET", f"/system/function/{name}")
        if status != 200:
            raise BenchError(f"GET /system/function/{name} answered {status}: {body.decode(errors='replace').strip()}")
        return json.loads(body)

    def scale(self, name, replicas):
        """Sets the number of replicas and returns when it is reached."""
        status, body = self.request("POST", f"/system/scale-function/{name}", {"serviceName": name, "replicas": replicas})
        if status not in (200, 202):
            raise BenchError(f"scaling {name} to {replicas} answered {status}: {body.decode(errors='replace').strip()}")
        reached = lambda: (lambda f: f.get("availableReplicas", 0) == replicas and f.get("replicas", 0) == replicas)(self.function(name))
        self.wait(f"{name} to have {replicas} replicas", reached)

    def calls(self, name, limit):
        status, body = self.request("GET", f"/v1/calls?function={name}&limit={limit}")
        if status != 200:
            raise BenchError(f"GET /v1/calls answered {status}")
        return json.loads(body)

    def timed_call(self, name, body=b"hello"):
        """One call over a connection made before. Returns milliseconds, status and headers."""
        request = (f"POST /function/{name} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: text/plain\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(60)
            begin = time.perf_counter_ns()
            connection.sendall(request)
            response = http.client.HTTPResponse(connection, method="POST")
            response.begin()
            response.read()
            elapsed = time.perf_counter_ns() - begin
            return elapsed / 1e6, response.status, response.headers
