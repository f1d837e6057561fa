// SPDX-License-Identifier: Apache-2.0

/// Which web origins may read replies.
struct CORSPolicy: Sendable {
    private let origins: [String]
    private let allowsAll: Bool

    init(origins: [String]) {
        self.origins = origins
        allowsAll = origins.contains("*")
    }

    var isEnabled: Bool { !origins.isEmpty }

    /// What `Access-Control-Allow-Origin` says to this origin, or nil.
    func allowed(_ origin: String?) -> String? {
        guard let origin else { return nil }
        if allowsAll { return "*" }
        return origins.contains(origin) ? origin : nil
    }

    static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    static let exposed = "x-call-id, x-duration-seconds, x-brume-start, x-brume-failure"
    /// Browsers keep a preflight's answer for at most two hours; ten minutes lets a changed setting take effect soon.
    static let maxAgeSeconds = "600"
}
