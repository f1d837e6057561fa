// SPDX-License-Identifier: Apache-2.0

/// Whether a client may use a command, and what `ACL` tells about it.
struct AccessRules: Sendable {
    /// Redis' categories, in the order of `ACL CAT`, and Brume's own.
    static let categories = [
        "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream", "pubsub",
        "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
    ]

    /// By user, and within a user by the place of a command in the table.
    private let allowed: [[Bool]]
    private let users: [RedisUser]

    init(users: [RedisUser], table: CommandTable) {
        self.users = users
        self.allowed = users.map { user in
            table.commands.map { command in
                // Whoever may not write may still say hello, leave, and speak of transactions.
                let isPersonal = command.isIn(category: "connection") || command.isIn(category: "transaction")
                if user.isReadOnly, command.isWrite { return false }
                guard let categories = user.categories else { return true }
                return isPersonal || categories.contains { command.isIn(category: $0) }
            }
        }
    }

    var isOpen: Bool { users.isEmpty }

    func user(_ index: Int) -> RedisUser { users[index] }

    func allows(user: Int, command: Int) -> Bool { allowed[user][command] }

    /// The user's place, if name and password agree; every user is compared, so that the time does not tell which names exist.
    func authenticate(name: ArraySlice<UInt8>, password: ArraySlice<UInt8>) -> Int? {
        var found: Int?
        for (index, user) in users.enumerated() {
            let isRight = user.accepts(password: password)
            if isRight, Array(user.name.utf8)[...] == name { found = index }
        }
        return found
    }

    /// What `ACL LIST` says of a user.
    func description(of index: Int) -> String {
        let user = users[index]
        let commands =
            (user.categories.map { list in "-@all " + list.map { "+@\($0)" }.joined(separator: " ") } ?? "+@all")
            + (user.isReadOnly ? " -@write" : "")
        return "user \(user.name) on sanitize-payload ~* &* \(commands)"
    }
}
