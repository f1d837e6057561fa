// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

extension BrumeError.Code {
    /// The status that the gateway answers with.
    package var httpStatus: Int {
        switch self {
        case .invalid: 400
        case .notFound: 404
        case .exists, .conflict: 409
        case .tooLarge: 413
        case .unavailable: 503
        case .unsupported: 501
        case .permission: 403
        default: 500
        }
    }
}
