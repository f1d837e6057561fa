# SPDX-License-Identifier: Apache-2.0
"""Runs histories through other people's CRDTs (pycrdt, loro, crdts), for comparison with ours.

Reads {"texts": [history], "maps": [history], "counters": [history]} from standard input, where a history is
{"replicas": n, "steps": [step]} and a step one of
    ["insert", replica, position, text]     ["remove", replica, position, length]       (texts and lists)
    ["set", replica, key, value]            ["delete", replica, key]                    (maps and sets)
    ["add", replica, amount]                                                           (counters)
    ["sync", to, from]                      replica `to` learns all that `from` knows
Writes, for each history and system, what the learning replica shows after each sync, and at the end what each replica shows.
"""

import json
import sys

import loro
import pycrdt
from crdts import ORSet, PNCounter, ScalarClock, StateUpdate


class Replica:
    """One replica of one system; each kind of history uses some of the methods."""

    def sync(self, other):
        raise NotImplementedError

    def show(self):
        raise NotImplementedError


class PycrdtReplica(Replica):
    def __init__(self, index):
        self.doc = pycrdt.Doc(client_id=index + 1)

    def sync(self, other):
        self.doc.apply_update(other.doc.get_update(self.doc.get_state()))


class PycrdtText(PycrdtReplica):
    def __init__(self, index):
        super().__init__(index)
        self.text = self.doc.get("text", type=pycrdt.Text)

    def __len__(self):
        return len(self.text)

    def insert(self, position, text):
        self.text.insert(position, text)

    def remove(self, position, length):
        del self.text[position : position + length]

    def show(self):
        return str(self.text)


class PycrdtArray(PycrdtReplica):
    def __init__(self, index):
        super().__init__(index)
        self.array = self.doc.get("array", type=pycrdt.Array)

    def __len__(self):
        return len(self.array)

    def insert(self, position, text):
        with self.doc.transaction():
            for offset, letter in enumerate(text):
                self.array.insert(position + offset, letter)

    def remove(self, position, length):
        del self.array[position : position + length]

    def show(self):
        return "".join(self.array.to_py())


class PycrdtMap(PycrdtReplica):
    def __init__(self, index):
        super().__init__(index)
        self.map = self.doc.get("map", type=pycrdt.Map)

    def set(self, key, value):
        self.map[key] = value

    def delete(self, key):
        del self.map[key]

    def show(self):
        return dict(sorted(self.map.to_py().items()))


class LoroReplica(Replica):
    def __init__(self, index):
        self.doc = loro.LoroDoc()
        self.doc.peer_id = index + 1

    def sync(self, other):
        other.doc.commit()
        self.doc.commit()
        self.doc.import_(other.doc.export(loro.ExportMode.Updates(self.doc.oplog_vv)))


class LoroText(LoroReplica):
    def __init__(self, index):
        super().__init__(index)
        self.text = self.doc.get_text("text")

    def __len__(self):
        return self.text.len_unicode

    def insert(self, position, text):
        self.text.insert(position, text)

    def remove(self, position, length):
        self.text.delete(position, length)

    def show(self):
        return self.text.to_string()


class LoroList(LoroReplica):
    def __init__(self, index):
        super().__init__(index)
        self.list = self.doc.get_list("list")

    def __len__(self):
        return len(self.list)

    def insert(self, position, text):
        for offset, letter in enumerate(text):
            self.list.insert(position + offset, letter)

    def remove(self, position, length):
        self.list.delete(position, length)

    def show(self):
        return "".join(self.list.get_value())


class LoroMap(LoroReplica):
    def __init__(self, index):
        super().__init__(index)
        self.map = self.doc.get_map("map")

    def set(self, key, value):
        self.map.insert(key, value)

    def delete(self, key):
        self.map.delete(key)

    def show(self):
        return dict(sorted(self.map.get_value().items()))


class LoroCounter(LoroReplica):
    def __init__(self, index):
        super().__init__(index)
        self.counter = self.doc.get_counter("counter")

    def add(self, amount):
        if amount >= 0:
            self.counter.increment(amount)
        else:
            self.counter.decrement(-amount)

    def show(self):
        return int(self.counter.value)


class CrdtsReplica(Replica):
    """The package of that name: a replica learns by the other one's history of updates."""

    def sync(self, other):
        for update in other.crdt.history(update_class=StateUpdate):
            self.crdt.update(update)


class CrdtsSet(CrdtsReplica):
    def __init__(self, index):
        self.crdt = ORSet(clock=ScalarClock(1, b"one clock"))

    def set(self, key, value):
        self.crdt.observe(key)

    def delete(self, key):
        self.crdt.remove(key)

    def show(self):
        return {key: "" for key in sorted(self.crdt.read())}


class CrdtsCounter(CrdtsReplica):
    """One of its counters for each replica's own amounts: its counter is a pair of maxima, not one pair a replica."""

    def __init__(self, index):
        self.index = index
        self.parts = {}

    def part(self, index):
        if index not in self.parts:
            self.parts[index] = PNCounter(clock=ScalarClock(1, b"clock %d" % index))
        return self.parts[index]

    def add(self, amount):
        if amount >= 0:
            self.part(self.index).increase(amount)
        else:
            self.part(self.index).decrease(-amount)

    def sync(self, other):
        for index, theirs in other.parts.items():
            for update in theirs.history(update_class=StateUpdate):
                self.part(index).update(update)

    def show(self):
        return sum(part.read() for part in self.parts.values())


SYSTEMS = {
    "texts": {"pycrdt text": PycrdtText, "pycrdt array": PycrdtArray, "loro text": LoroText, "loro list": LoroList},
    "maps": {"pycrdt map": PycrdtMap, "loro map": LoroMap, "crdts set": CrdtsSet},
    "counters": {"loro counter": LoroCounter, "crdts counter": CrdtsCounter},
}


def run(make, history):
    replicas = [make(index) for index in range(history["replicas"])]
    shown = []
    for kind, index, *rest in history["steps"]:
        replica = replicas[index]
        if kind == "sync":
            if rest[0] != index:
                replica.sync(replicas[rest[0]])
            shown.append(replica.show())
        elif kind == "insert":
            # Where systems order concurrent inserts differently, lengths may differ later: stay inside.
            replica.insert(min(rest[0], len(replica)), rest[1])
        elif kind == "remove":
            position = min(rest[0], len(replica))
            length = min(rest[1], len(replica) - position)
            if length > 0:
                replica.remove(position, length)
        else:
            getattr(replica, kind)(*rest)
    return {"shown": shown, "end": [replica.show() for replica in replicas]}


def main():
    request = json.load(sys.stdin)
    reply = {}
    for kind, systems in SYSTEMS.items():
        for name, make in systems.items():
            reply[name] = [run(make, history) for history in request.get(kind, [])]
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main()
