# SPDX-License-Identifier: Apache-2.0
"""Objects that live beside a function and converge with those on other nodes. One file, no dependencies, Python 3.8 or newer.

    import brume

    state = brume.state()                 # the function's own state, by $BRUME_STATE_SOCKET or $REDIS_URL
    state.counter("visits").add(1)        # -> the new value on this node
    state.set("tags").add("red", "blue")
    state.map("user:7")["name"] = "Ann"
    state.register("settings").set({"colour": "red"})

    with state.atomically() as batch:     # seen by others whole or not at all
        batch.counter("orders").add(1)
        batch.list("log").append("ordered")

    state.token                           # what was seen and written here: give it to the next call of the same user,
    state.resume(token)                   # which then sees at least that, on whatever node it runs

Every object is readable and writable on every node, also while nodes cannot reach each other. A `State` may be used from several
threads: each has a connection of its own. Inside Brume's Python handlers `import brume` works without packing this file.
"""
import json
import os
import socket
import threading

__all__ = ["Error", "State", "state"]

_TIMEOUT = 10.0  # seconds for one reply; the node answers in well under one


class Error(Exception):
    """What the node refused. `code` is its first word, such as WRONGTYPE, NOAUTH or QUOTA."""

    def __init__(self, message):
        super().__init__(message)
        self.code = message.partition(" ")[0]


class _Connection:
    """One connection that speaks RESP2: requests are arrays of byte strings."""

    def __init__(self, address, password, user, database, timeout):
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(timeout)
            self._socket.connect(address)
        else:
            self._socket = socket.create_connection(address, timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._at = 0
        if password is not None:
            self.run([("AUTH", user, password) if user else ("AUTH", password)])
        if database:
            self.run([("SELECT", database)])

    def close(self):
        self._socket.close()

    def wait(self, seconds):
        self._socket.settimeout(seconds)

    def send(self, commands):
        out = bytearray()
        for command in commands:
            out += b"*%d\r\n" % len(command)
            for word in command:
                word = _bytes(word)
                out += b"$%d\r\n" % len(word)
                out += word
                out += b"\r\n"
        self._socket.sendall(out)

    def run(self, commands):
        """Sends the commands in one go and gives the reply of each; raises the first error after all have been read."""
        self.send(commands)
        replies = [self.reply() for _ in commands]
        for refusal in (reply for reply in replies if isinstance(reply, Error)):
            raise refusal
        return replies

    def _fill(self):
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the node closed the connection to the state")
        self._buffer += data

    def _line(self):
        while True:
            end = self._buffer.find(b"\r\n", self._at)
            if end >= 0:
                line = bytes(self._buffer[self._at:end])
                self._at = end + 2
                return line
            self._fill()

    def _exactly(self, count):
        while len(self._buffer) - self._at < count:
            self._fill()
        data = bytes(self._buffer[self._at:self._at + count])
        self._at += count
        return data

    def reply(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Error(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            if length < 0:
                return None
            data = self._exactly(length)
            self._exactly(2)
            return data
        if kind == b"*":
            length = int(rest)
            return None if length < 0 else [self.reply() for _ in range(length)]
        raise ConnectionError("the node sent something that is not RESP2")


def _bytes(word):
    if isinstance(word, (bytes, bytearray, memoryview)):
        return word
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, bool):
        raise TypeError("say 0 or 1, or use a register for true and false")
    if isinstance(word, (int, float)):
        return repr(word).encode()
    raise TypeError("state holds str, bytes and numbers; a register holds everything that JSON can say, not " + type(word).__name__)


def _text(data):
    """Bytes as text where they are text; what is not stays bytes."""
    try:
        return data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        return data


def _place(url):
    """Address, password, user and database of unix://[user:password@]/path[?db=N] or redis://[user:password@]host[:port][/N]."""
    from urllib.parse import parse_qs, unquote, urlsplit

    parts = urlsplit(url)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if parts.scheme == "unix":
        return parts.path, password, user, int(parse_qs(parts.query).get("db", ["0"])[0])
    if parts.scheme == "redis":
        return (parts.hostname or "localhost", parts.port or 6379), password, user, int(parts.path.strip("/") or 0)
    raise ValueError("the state is at unix://PATH or redis://HOST:PORT, not at " + url)


def state(url=None, token=None, timeout=_TIMEOUT):
    """The state of this function, or the one at `url`. With a `token`, reads see at least what that session saw."""
    if url is None:
        path = os.environ.get("BRUME_STATE_SOCKET")
        url = "unix://" + path if path else os.environ.get("REDIS_URL")
    if not url:
        raise Error("NOSTATE There is no state here: neither BRUME_STATE_SOCKET nor REDIS_URL is set.")
    return State(url, token, timeout)


class _Objects:
    """Handles for objects by name; making one asks nothing of the node."""

    def counter(self, name):
        return Counter(self, name)

    def set(self, name):
        return Set(self, name)

    def map(self, name):
        return Map(self, name)

    def register(self, name):
        return Register(self, name)

    def list(self, name):
        return List(self, name)

    def scores(self, name):
        return Scores(self, name)

    def distinct(self, name):
        return Distinct(self, name)

    def delete(self, *names):
        """How many of the objects were there."""
        return self._do("DEL", *names)

    def expire(self, name, seconds):
        """Lets an object end after some time; false if there is none."""
        return self._do("PEXPIRE", name, int(seconds * 1000))


class State(_Objects):
    """A function's objects, and a session with them."""

    def __init__(self, url, token=None, timeout=_TIMEOUT):
        self._place = _place(url)
        self._timeout = timeout
        self._mine = threading.local()
        self._resumed = token

    def _connection(self):
        connection = getattr(self._mine, "connection", None)
        # A connection that was made before a fork belongs to the parent.
        if connection is None or self._mine.process != os.getpid():
            connection = _Connection(*self._place, timeout=self._timeout)
            if self._resumed is not None:
                connection.run([("BRUME.SESSION", self._resumed)])
            self._mine.connection, self._mine.process = connection, os.getpid()
        return connection

    def run(self, *commands):
        """Runs Redis commands (tuples) in one round trip and gives their replies; values come as bytes."""
        connection = self._connection()
        try:
            return connection.run(commands)
        except (OSError, ConnectionError):
            # Whether the commands took effect is not known, so they are not sent again.
            self.close()
            raise

    def _do(self, *command):
        return self.run(command)[0]

    def close(self):
        connection = getattr(self._mine, "connection", None)
        if connection is not None:
            connection.close()
            self._mine.connection = None

    @property
    def token(self):
        """What this session has seen and written, as text that travels in a header."""
        return _text(self._do("BRUME.SESSION"))

    def resume(self, token):
        """Goes on where another call left off: from now on reads see at least what `token` stands for."""
        if token:
            self._do("BRUME.SESSION", token)

    def consistency(self, *level):
        """How this thread's next commands behave: "local", "session", ("quorum", n) or "exclusive"."""
        self._do("BRUME.CONSISTENCY", *level)

    def atomically(self):
        """A batch: everything that is done with it takes effect together when the `with` block ends without an exception."""
        return Batch(self)

    def exists(self, name):
        return self._do("EXISTS", name) == 1

    def names(self, pattern="*"):
        """Names of objects, in no order; each that is there all the time comes at least once."""
        cursor = b"0"
        while True:
            cursor, found = self._do("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            yield from map(_text, found)
            if cursor == b"0":
                return

    def changes(self, pattern="*", timeout=None):
        """Waits for changes, from this node and others, and gives (event, name) of each until `timeout` seconds are quiet."""
        connection = _Connection(*self._place, timeout=self._timeout)
        channel = "__keyspace@%d__:" % self._place[3]
        try:
            connection.run([("PSUBSCRIBE", channel + pattern)])
            connection.wait(timeout)
            while True:
                try:
                    message = connection.reply()
                except socket.timeout:
                    return
                if isinstance(message, Error):
                    raise message
                yield _text(message[3]), _text(message[2][len(channel):])
        finally:
            connection.close()


class Batch(_Objects):
    """Collects what is to happen together. Inside, operations give no results; `results` has them afterwards, in order."""

    def __init__(self, owner):
        self._owner = owner
        self._commands = []
        self.results = None

    def _do(self, *command):
        self._commands.append(command)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None and self._commands:
            self.results = self._owner.run(("MULTI",), *self._commands, ("EXEC",))[-1]
            for refusal in (result for result in self.results if isinstance(result, Error)):
                raise refusal


class _Object:
    def __init__(self, owner, name):
        self._owner = owner
        self.name = name

    def _do(self, command, *words):
        return self._owner._do(command, self.name, *words)

    def delete(self):
        return self._do("DEL") == 1


class Counter(_Object):
    """A whole number. Additions on different nodes all count; `set` begins anew, and what was added elsewhere before is void."""

    def add(self, amount=1):
        return self._do("INCRBY", amount)

    def set(self, value):
        self._do("SET", int(value))

    @property
    def value(self):
        return int(self._do("GET") or 0)


class Set(_Object):
    """Distinct texts. Where one node adds what another removes at the same time, it stays."""

    def add(self, *elements):
        """How many are new on this node."""
        return self._do("SADD", *elements) if elements else 0

    def remove(self, *elements):
        return self._do("SREM", *elements) if elements else 0

    def __contains__(self, element):
        return self._do("SISMEMBER", element) == 1

    def __len__(self):
        return self._do("SCARD")

    def __iter__(self):
        cursor, seen = b"0", set()
        while True:
            cursor, found = self._do("SSCAN", cursor, "COUNT", 1000)
            for element in map(_text, found):
                if element not in seen:
                    seen.add(element)
                    yield element
            if cursor == b"0":
                return


class Map(_Object):
    """Texts by field. Fields are independent; of two writes to one field at the same time the later one wins, additions all count."""

    def __setitem__(self, field, value):
        self._do("HSET", field, value)

    def __getitem__(self, field):
        value = self._do("HGET", field)
        if value is None:
            raise KeyError(field)
        return _text(value)

    def get(self, field, default=None):
        value = self._do("HGET", field)
        return default if value is None else _text(value)

    def add(self, field, amount=1):
        return self._do("HINCRBY", field, amount)

    def update(self, values):
        words = [word for pair in dict(values).items() for word in pair]
        if words:
            self._do("HSET", *words)

    def __delitem__(self, field):
        if self._do("HDEL", field) == 0:
            raise KeyError(field)

    def __contains__(self, field):
        return self._do("HEXISTS", field) == 1

    def __len__(self):
        return self._do("HLEN")

    def items(self):
        words = [_text(word) for word in self._do("HGETALL")]
        return list(zip(words[::2], words[1::2]))

    def __iter__(self):
        return iter([_text(field) for field in self._do("HKEYS")])


class Register(_Object):
    """Anything that JSON can say. Of two writes at the same time the later one wins."""

    def set(self, value, seconds=None):
        words = () if seconds is None else ("PX", int(seconds * 1000))
        self._do("SET", json.dumps(value, separators=(",", ":")), *words)

    def get(self, default=None):
        value = self._do("GET")
        return default if value is None else json.loads(value)


class List(_Object):
    """A sequence of texts. What nodes insert at one place at the same time all stays, never interleaved."""

    def append(self, *values):
        return self._do("RPUSH", *values)

    def prepend(self, *values):
        return self._do("LPUSH", *reversed(values))

    def pop(self):
        return _text(self._do("RPOP"))

    def shift(self):
        return _text(self._do("LPOP"))

    def __len__(self):
        return self._do("LLEN")

    def __getitem__(self, index):
        if isinstance(index, slice):
            if index.step not in (None, 1):
                raise ValueError("a list is read without steps")
            if index.stop == 0:
                return []
            start, stop = index.start or 0, -1 if index.stop is None else index.stop - 1
            return [_text(value) for value in self._do("LRANGE", start, stop)]
        value = self._do("LINDEX", index)
        if value is None:
            raise IndexError(index)
        return _text(value)

    def __setitem__(self, index, value):
        self._do("LSET", index, value)

    def __iter__(self):
        return iter(self[:])


class Scores(_Object):
    """Texts ranked by a number. Increments on different nodes all count."""

    def set(self, element, score):
        self._do("ZADD", score, element)

    def add(self, element, amount=1):
        score = self._do("ZINCRBY", amount, element)
        return None if score is None else float(score)

    def score(self, element):
        score = self._do("ZSCORE", element)
        return None if score is None else float(score)

    def rank(self, element):
        """From 0, the highest score first; None if it is not there."""
        return self._do("ZREVRANK", element)

    def top(self, count=10):
        words = self._do("ZREVRANGE", 0, count - 1, "WITHSCORES")
        return [(_text(element), float(score)) for element, score in zip(words[::2], words[1::2])]

    def remove(self, *elements):
        return self._do("ZREM", *elements) if elements else 0

    def __contains__(self, element):
        return self.score(element) is not None

    def __len__(self):
        return self._do("ZCARD")


class Distinct(_Object):
    """Counts how many different texts it was shown, to about 0.8 %, in 12 KiB at most."""

    def add(self, *elements):
        return self._do("PFADD", *elements) == 1

    def count(self):
        return self._do("PFCOUNT")
