# SPDX-License-Identifier: Apache-2.0
"""Keeps one Python handler warm and serves it over Brume's socket (see docs/contracts.md).

Started as `python3 -I -S -B handler.py SOCKET CONNECTIONS FILE`. A cold start waits for every import made here, so at start only
modules that are built into the interpreter are used; others come with their first use.

Started as `... handler.py --spare SOCKET` it has time: it imports what handlers often use and waits there for the three words above.
"""
import _socket
import _thread
import posix
import sys

HERE = sys.argv[0].rpartition("/")[0]
HEAD_MAX = 128 << 10
PIECE = 64 << 10
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}


class Headers(dict):
    """Header fields by name; the case of a name does not matter."""

    def __getitem__(self, name):
        return dict.__getitem__(self, name.title())

    def __contains__(self, name):
        return isinstance(name, str) and dict.__contains__(self, name.title())

    def get(self, name, default=None):
        return dict.get(self, name.title(), default)


class Query(dict):
    """Query parameters: the first value of each; `getlist` gives all."""

    def __init__(self, text):
        from urllib.parse import parse_qs

        self._all = parse_qs(text, keep_blank_values=True)
        super().__init__((name, values[0]) for name, values in self._all.items())

    def getlist(self, name):
        return self._all.get(name, [])


class Event:
    def __init__(self, method, target, headers, body):
        path, _, query = target.partition("?")
        self.method = method
        self.headers = headers
        self.body = body
        self._path = path
        self._query = query
        self._parsed = None

    @property
    def path(self):
        if "%" not in self._path:
            return self._path
        from urllib.parse import unquote

        return unquote(self._path)

    @property
    def query(self):
        if self._parsed is None:
            self._parsed = Query(self._query) if self._query else {}
        return self._parsed


class Context:
    def __init__(self, hostname):
        self.hostname = hostname


class Closed(Exception):
    """The node closed the connection."""


class Connection:
    """One connection to the node, which sends requests on it."""

    def __init__(self, path):
        self.socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, data):
        view = memoryview(data)
        while len(view):
            view = view[self.socket.send(view):]

    def fill(self):
        data = self.socket.recv(PIECE)
        if not data:
            raise Closed
        self.buffer += data

    def line(self):
        while True:
            end = self.buffer.find(b"\n")
            if end >= 0:
                line, self.buffer = self.buffer[:end], self.buffer[end + 1:]
                return line.rstrip(b"\r")
            if len(self.buffer) > HEAD_MAX:
                raise Closed
            self.fill()

    def exactly(self, count):
        if len(self.buffer) >= count:
            data, self.buffer = self.buffer[:count], self.buffer[count:]
            return data
        pieces = [self.buffer]
        missing = count - len(self.buffer)
        self.buffer = b""
        while missing:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise Closed
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def request(self):
        """Reads one request: method, target, headers and the whole body."""
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self.buffer) > HEAD_MAX:
                raise Closed
            self.fill()
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        self.buffer = self.buffer[end + 4:]
        method, target, _ = lines[0].split(" ")
        headers = Headers()
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.title()
            if dict.__contains__(headers, name):
                value = dict.__getitem__(headers, name) + ", " + value.strip()
            dict.__setitem__(headers, name, value.strip())
        if "Transfer-Encoding" in headers:
            pieces = []
            while True:
                size = int(self.line().split(b";")[0], 16)
                if not size:
                    break
                pieces.append(self.exactly(size))
                self.line()
            while self.line():
                pass
            body = b"".join(pieces)
        else:
            body = self.exactly(int(headers.get("Content-Length", "0")))
        return method, target, headers, body


def safe(text):
    return str(text).replace("\r", " ").replace("\n", " ")


def encode(value):
    """The bytes of a result, and the content type they have by themselves."""
    if value is None:
        return b"", None
    if isinstance(value, str):
        # Bytes of the request that were no text come back as they were.
        return value.encode("utf-8", "surrogateescape"), "text/plain; charset=utf-8"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), "application/octet-stream"
    if isinstance(value, (dict, list, tuple, int, float, bool)):
        import json

        return json.dumps(value).encode(), "application/json"
    return str(value).encode(), "text/plain; charset=utf-8"


def is_stream(value):
    return hasattr(value, "__next__") or hasattr(value, "__anext__")


def unpack(result, takes_event):
    """Body, status and header fields of what a handler returned."""
    status, headers = 200, []
    if takes_event and isinstance(result, dict) and ("statusCode" in result or "body" in result or "headers" in result):
        status, headers, result = result.get("statusCode", 200), result.get("headers") or [], result.get("body", "")
    elif takes_event and isinstance(result, tuple) and 2 <= len(result) <= 3:
        for part in result[1:]:
            if isinstance(part, int):
                status = part
            elif part:
                headers = part
        result = result[0]
    if isinstance(headers, dict):
        headers = list(headers.items())
    return result, int(status), [(safe(name), safe(value)) for name, value in headers]


def head(status, headers, kind, framing, failure=None):
    lines = ["HTTP/1.1 %d %s" % (status, REASONS.get(status, "Status"))]
    names = {name.lower() for name, _ in headers}
    if kind and "content-type" not in names:
        lines.append("Content-Type: " + kind)
    for name, value in headers:
        if name.lower() not in ("content-length", "transfer-encoding", "connection"):
            lines.append(name + ": " + value)
    if failure:
        lines.append("Brume-Failure: handler-error " + failure)
    lines.append(framing)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def describe(error):
    """One line for the caller: what was raised, and where in the function's own files."""
    import traceback

    text = safe("".join(traceback.format_exception_only(type(error), error)).strip())
    if not isinstance(error, SyntaxError):
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(State.directory + "/")]
        if frames:
            text += " (%s, line %d)" % (frames[-1].filename[len(State.directory) + 1:], frames[-1].lineno)
    return text[:1000]


def log_exception(error):
    import traceback

    sys.stderr.write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    sys.stderr.flush()


class State:
    handle = None
    takes_event = False
    is_async = False
    directory = ""
    hostname = "localhost"


class Worker:
    """Serves one connection, in one thread, with one event loop if the handler wants one."""

    def __init__(self, path):
        self.path = path
        self.loop = None
        self.connection = None

    def finish(self, awaitable):
        if self.loop is None:
            import asyncio

            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
        return self.loop.run_until_complete(awaitable)

    def pieces(self, stream):
        if hasattr(stream, "__next__"):
            yield from stream
            return
        while True:
            try:
                yield self.finish(stream.__anext__())
            except StopAsyncIteration:
                return

    def call(self, method, target, headers, body):
        if State.takes_event:
            result = State.handle(Event(method, target, headers, body), Context(State.hostname))
        else:
            result = State.handle(body.decode("utf-8", "surrogateescape"))
        return self.finish(result) if hasattr(result, "__await__") else result

    def stream(self, status, headers, body):
        send = self.connection.send
        has_head, failure = False, None
        try:
            for piece in self.pieces(body):
                data, piece_kind = encode(piece)
                if not has_head:
                    has_head = True
                    send(head(status, headers, piece_kind, "Transfer-Encoding: chunked\r\nTrailer: Brume-Failure"))
                if data:
                    send(b"%x\r\n%b\r\n" % (len(data), data))
        except OSError as error:
            if isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise Closed from None
            failure = error
        except Exception as error:
            failure = error
        if failure is not None:
            log_exception(failure)
            if not has_head:
                return self.fail(failure)
            send(("0\r\nBrume-Failure: handler-error %s\r\n\r\n" % describe(failure)).encode("latin-1", "replace"))
            return
        if not has_head:
            send(head(status, headers, None, "Content-Length: 0"))
        else:
            send(b"0\r\n\r\n")

    def fail(self, error):
        text = describe(error)
        body = (text + "\n").encode()
        self.connection.send(head(500, [], "text/plain; charset=utf-8", "Content-Length: %d" % len(body), text) + body)

    def serve_one(self):
        method, target, headers, body = self.connection.request()
        try:
            result, status, fields = unpack(self.call(method, target, headers, body), State.takes_event)
            if not is_stream(result):
                data, kind = encode(result)
        except Exception as error:
            log_exception(error)
            return self.fail(error)
        if is_stream(result):
            return self.stream(status, fields, result)
        reply = head(status, fields, kind, "Content-Length: %d" % len(data))
        self.connection.send(reply if method == "HEAD" else reply + data)

    def run(self):
        while True:
            try:
                self.connection = Connection(self.path)
                self.connection.send(b"BRUME/1 ready\n")
            except OSError:
                return
            try:
                while True:
                    self.serve_one()
            except SystemExit as error:
                # In a thread it would end only that thread, and with it a slot of the replica.
                sys.stdout.flush()
                posix._exit(error.code if isinstance(error.code, int) else int(error.code is not None))
            except (Closed, OSError, ValueError):
                # A new connection makes a clean start; if the node is gone there is none.
                self.connection.socket.close()


# What many handlers import and nothing of which takes notice of its surroundings when it is imported.
COMMON = ("os", "io", "json", "re", "time", "datetime", "base64", "traceback", "urllib.parse")


class Spare:
    """What was imported before it was known for whom."""

    before = frozenset()
    imported = frozenset()

    @classmethod
    def prepare(cls):
        cls.before = frozenset(sys.modules)
        for name in COMMON:
            __import__(name)
        cls.imported = frozenset(sys.modules) - cls.before

    @classmethod
    def yield_to(cls, directories):
        """A function may have a module of its own by the name of one of them; then it finds the interpreter as it is at a start."""
        own = set()
        for directory in directories:
            try:
                own.update(name.partition(".")[0] for name in posix.listdir(directory))
            except OSError:
                pass
        if not own.isdisjoint(cls.imported):
            for name in cls.imported:
                sys.modules.pop(name, None)


def wait_for_order(path):
    """Waits for the words and the environment of a function, takes them on and returns the last three words."""
    node = Connection(path)
    Spare.prepare()
    node.send(b"BRUME/1 gate\n")
    try:
        texts = node.exactly(int(node.exactly(8), 16)).split(b"\0")[:-1]
        node.send(b"BRUME/1 ready\n")
    except (Closed, OSError):
        # The node does not need this spare any more.
        posix._exit(0)
    node.socket.close()
    count = int(texts[1])
    for name in list(posix.environ):
        posix.unsetenv(name)
    posix.environ.clear()
    for entry in texts[2 + count:]:
        name, _, value = entry.partition(b"=")
        posix.environ[name] = value
        posix.putenv(name, value)
    posix.chdir(texts[0])
    return [text.decode("utf-8", "surrogateescape") for text in texts[2:2 + count]][-3:]


def load(path):
    """Imports the handler file as a module of its own name, with its directory and its packages on the path."""
    directory, _, name = path.rpartition("/")
    State.directory = directory
    extra = [directory]
    packages = posix.environ.get(b"BRUME_PACKAGES", b"").decode()
    if packages:
        extra.append(packages)
    extra += [entry for entry in posix.environ.get(b"PYTHONPATH", b"").decode().split(":") if entry]
    sys.path[:0] = extra
    Spare.yield_to(extra)
    # Packages of the distribution are there as well, after everything else; `-S` leaves them out.
    sys.path.append("/usr/lib/python3/dist-packages")
    # Last, so that a file of the function's own may be called brume.py too.
    sys.path.append(HERE)
    module = __import__(name[:-3] if name.endswith(".py") else name)
    handle = getattr(module, "handle", None)
    if not callable(handle):
        raise AttributeError("%s has no function 'handle'; define handle(req) or handle(event, context)" % name)
    code = getattr(handle, "__code__", None) or getattr(getattr(handle, "__func__", None), "__code__", None)
    if code is None:
        code = getattr(type(handle).__call__, "__code__", None)
    count = code.co_argcount if code else 2
    if code and (hasattr(handle, "__self__") or not hasattr(handle, "__code__")):
        count -= 1
    State.takes_event = count != 1 or bool(code and code.co_flags & 4)
    State.handle = handle


def main(path, connections, file):
    import builtins

    builtins.exit = builtins.quit = sys.exit
    sys.stdout.reconfigure(line_buffering=True)
    State.hostname = posix.environ.get(b"HOSTNAME", b"localhost").decode()
    sys.argv[:] = [file]
    try:
        load(file)
    except BaseException as error:
        log_exception(error)
        name = file.rpartition("/")[2]
        try:
            node = Connection(path)
            node.send(("BRUME/1 failed %s could not be loaded: %s\n" % (name, describe(error))).encode())
            # Until the node has read why, this process must not be seen to end.
            node.socket.settimeout(2)
            node.socket.recv(1)
        except OSError:
            pass
        posix._exit(1)
    done = []
    for _ in range(connections - 1):
        worker = Worker(path)
        done.append(lock := _thread.allocate_lock())
        lock.acquire()

        def run(worker=worker, lock=lock):
            try:
                worker.run()
            finally:
                lock.release()

        _thread.start_new_thread(run, ())
    Worker(path).run()
    for lock in done:
        lock.acquire()
    sys.stdout.flush()


socket_path, slots, handler_file = wait_for_order(sys.argv[2]) if sys.argv[1] == "--spare" else sys.argv[1:]
main(socket_path, int(slots), handler_file)
