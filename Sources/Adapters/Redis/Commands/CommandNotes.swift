// SPDX-License-Identifier: Apache-2.0

/// What a command yields where two nodes use it at the same time: for `COMMAND DOCS` and for the document about Redis.
enum CommandNotes {
    static func concurrency(of command: Command) -> String { notes[command.name] ?? standard(command) }

    /// What holds for every command that is not named below.
    private static func standard(_ command: Command) -> String {
        if command.group == "connection" || command.group == "server" { return "Concerns this connection or this node alone." }
        return command.isWrite ? "" : "Reads this node's copy."
    }

    static let lastWins =
        "The last writer wins, by hybrid clock; increments that the loser had counted since its own value are lost with it."
    static let readThenWrite =
        "Reads this node's copy, then sets the whole value: the last writer wins. Use BRUME.CONSISTENCY exclusive to avoid that."
    static let adds = "All increments add up; of several SETs before them, those since the last one count."

    private static let notes: [String: String] = [
        "set": lastWins + " NX and XX look at this node's copy.",
        "setnx":
            "Looks at this node's copy: two nodes can both set it, and the last writer wins. Use BRUME.CONSISTENCY exclusive for locks.",
        "setex": lastWins, "psetex": lastWins, "getset": lastWins + " The old value is this node's.",
        "mset": lastWins + " All keys of the call arrive together.", "msetnx": "As SETNX; all keys of the call arrive together.",
        "incr": adds, "decr": adds, "incrby": adds, "decrby": adds,
        "incrbyfloat": readThenWrite, "append": readThenWrite, "setrange": readThenWrite,
        "getdel": "Deletes what this node has seen; what others write at the same time stays if its stamp is later.",
        "getex": "The value is this node's; of two deadlines the later setting wins, at equal stamps the longer.",
        "del":
            "Deletes what this node has seen: a string by its stamp, elements, fields and members that were added elsewhere stay.",
        "unlink": "As DEL.", "flushdb": "As DEL for every key that this node has.",
        "flushall": "As FLUSHDB for every database of the namespace.",
        "expire": expiry, "pexpire": expiry, "expireat": expiry, "pexpireat": expiry, "persist": expiry,
        "rename": renames, "renamenx": renames + " Whether the target exists is looked up on this node.",
        "copy": "Writes this node's copy of the source as new content of the target, joined with what others write there.",
        "sadd": "Both additions stay; an addition wins over a removal at the same time.",
        "srem": "Removes what this node has seen: an element that is added elsewhere at the same time stays.",
        "spop": "Two nodes can pop the same element. Use BRUME.CONSISTENCY exclusive to hand out each element once.",
        "smove": "As SREM and SADD, which arrive together: two nodes can move one element to two sets.",
        "sunionstore": stores, "sinterstore": stores, "sdiffstore": stores,
        "hset": "Each field by itself: the last writer wins; fields that others set stay.",
        "hmset": "As HSET.", "hsetnx": "Looks at this node's copy, then as HSET.",
        "hincrby": "All increments of a field add up; a field that is set elsewhere meanwhile begins anew with that value.",
        "hincrbyfloat": readThenWrite,
        "hdel": "Removes what this node has seen of the field: a field that is set or counted elsewhere at the same time stays.",
        "zadd": "Members of both stay; for one member the last score wins. NX, XX, GT and LT look at this node's copy.",
        "zincrby": "All increments of a member's score add up; a score that is set elsewhere meanwhile begins anew with that value.",
        "zrem": "Removes what this node has seen: a member that is added or counted elsewhere at the same time stays.",
        "zremrangebyrank": rangeRemoval, "zremrangebyscore": rangeRemoval, "zremrangebylex": rangeRemoval,
        "zpopmin": pops, "zpopmax": pops, "zrangestore": stores, "zunionstore": stores, "zinterstore": stores, "zdiffstore": stores,
        "lpush": pushes, "rpush": pushes, "lpushx": pushes, "rpushx": pushes,
        "lpop": pops, "rpop": pops, "blpop": pops, "brpop": pops, "lmove": moves, "rpoplpush": moves, "blmove": moves, "brpoplpush": moves,
        "linsert": "The element is put beside the pivot that this node sees; what others insert there stays too, in one order everywhere.",
        "lset": "The element is replaced by a new one: of two nodes that replace one element, both new ones stay.",
        "lrem": "Removes the elements that this node has seen.", "ltrim": "Removes the elements that this node has seen outside the range.",
        "pfadd": "Nothing is lost: the counts of both are joined.", "pfmerge": "Nothing is lost: the counts are joined.",
        "multi": "Begins a batch on this node.", "discard": "Concerns this connection alone.",
        "exec": "The batch is atomic on this node, and arrives whole on every other; each command in it converges as it does alone.",
        "watch": "Notices changes that this node has heard of; with BRUME.CONSISTENCY exclusive there are no others.",
        "unwatch": "Concerns this connection alone.",
        "subscribe": channels, "psubscribe": channels, "unsubscribe": channels, "punsubscribe": channels, "pubsub": channels,
        "publish": "Reaches the subscribers of the namespace on this node, and nobody elsewhere; change an object to tell other nodes.",
        "wait": "Waits until so many other nodes have what was written here before, as durably as their settings ask.",
        "brume.consistency":
            "Chooses for this connection: local or session (here the same), quorum N (reads and writes on N), or exclusive (one owner).",
        "brume.session": "Answers with a token of all that was seen here; with a token, waits until this node has all that it stands for.",
        "keys": "Reads this node's copy.", "randomkey": "Reads this node's copy.",
    ]

    private static let expiry =
        "The later setting wins, by hybrid clock; at equal stamps the longer one. A key ends on every node at its deadline."
    private static let renames = "As COPY and DEL, which arrive together: what others write under the old name meanwhile stays there."
    private static let stores = "Computed from this node's copies; the target is deleted as by DEL and filled, in one batch."
    private static let rangeRemoval =
        "Removes the members that this node has seen in the range; those that others add or count meanwhile stay."
    private static let pops = "Two nodes can pop the same element. Use BRUME.CONSISTENCY exclusive to hand out each element once."
    private static let moves = "Two nodes can move the same element, which is then there twice. Use BRUME.CONSISTENCY exclusive for queues."
    private static let pushes = "The elements of both stay; those of one call stay together, and the order is one everywhere."
    private static let channels = "Messages of PUBLISH come from this node; changes of objects come from every node."
}
