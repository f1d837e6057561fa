// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Base64 as HTTP and JSON carry it.
enum Base64 {
    static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        Data(base64Encoded: Data(Array(text))).map { Array($0) }
    }
}
