// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

extension Replica {
    /// Sets a string with what `SET` may say about its end.
    mutating func setString(_ key: ObjectKey, _ value: Bytes, _ expiry: WriteExpiry, _ time: StateTime) throws(StateError) {
        guard expiry != .forever else { return try set(key, value, time) }
        var options = SetOptions()
        switch expiry {
        case .forever: break
        case .keep: options.keepsExpiry = true
        case .at(let deadline): options.expiry = deadline
        }
        _ = try set(key, value, options, time)
    }
}
