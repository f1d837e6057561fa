// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Whether limits of CPU and memory can be kept on this machine.
package enum LimitCheck {
    /// Why limits do not hold, in a few words, or nil where they do. Makes and removes one empty control group to find out.
    package static func missing() -> String? {
        let tree = CgroupTree.make(name: "brume-check-\(getpid())")
        defer { tree.remove() }
        return tree.isUsable ? nil : tree.summary
    }
}
