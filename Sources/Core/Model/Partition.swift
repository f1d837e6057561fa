// SPDX-License-Identifier: Apache-2.0

extension Array {
    /// The first index whose element fulfils the predicate, in an array where those that do not come first.
    ///
    /// - Complexity: O(log n) calls of the predicate.
    @inlinable
    public func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) >> 1
            if isBehind(self[middle]) { high = middle } else { low = middle &+ 1 }
        }
        return low
    }
}
