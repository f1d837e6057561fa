// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import BrumeState
import Logging
import Synchronization

/// What functions have to do with state: which namespace is theirs, and who keeps it.
package enum FunctionState {
    /// Names a function's namespace of state; without it, a function has one of its own, called `NAMESPACE/NAME`.
    package static let namespaceAnnotation = "dev.brume.state.namespace"

    /// The namespace of state that a function sees.
    package static func namespace(of function: FunctionSpec) -> String {
        function.annotations[namespaceAnnotation] ?? "\(function.id.namespace)/\(function.id.name)"
    }

    /// Refuses annotations that make no sense, before anything is stored.
    ///
    /// - Throws: `BrumeError` (`invalid`) with the annotation's name.
    static func check(_ function: FunctionSpec) throws(BrumeError) {
        do throws(StateError) {
            _ = try SpaceName(namespace(of: function))
        } catch {
            throw BrumeError(.invalid, "The annotation \(namespaceAnnotation) names no namespace. \(error.message)")
        }
        do throws(StateError) {
            _ = try InterestPolicy.named(by: function.annotations)
        } catch {
            throw BrumeError(.invalid, "The annotation \(InterestPolicy.annotation) cannot be followed. \(error.message)")
        }
    }
}

/// Is told which functions are on the node; each change once, one after the other.
package struct FunctionObserver: Sendable {
    /// A function is in force: just deployed, or read back at the node's start.
    package var installed: @Sendable (_ function: FunctionSpec, _ isDeployed: Bool) -> Void
    package var removed: @Sendable (FunctionID) -> Void

    package init(
        installed: @escaping @Sendable (_ function: FunctionSpec, _ isDeployed: Bool) -> Void,
        removed: @escaping @Sendable (FunctionID) -> Void
    ) {
        self.installed = installed
        self.removed = removed
    }

    /// Tells nobody.
    package static let none = FunctionObserver(installed: { _, _ in }, removed: { _ in })
}

/// Keeps on this node the namespaces of the functions that are deployed on it, and says what their annotations say about who else does.
package final class FunctionInterest: Sendable {
    private let state: StateService
    private let logger = Logger(label: "brume.state")
    /// The namespaces that are kept here, by function; as many as there are functions.
    private let held = Mutex<[FunctionID: String]>([:])

    package init(_ state: StateService) { self.state = state }

    package var observer: FunctionObserver {
        FunctionObserver(installed: { self.installed($0, isDeployed: $1) }, removed: { self.removed($0) })
    }

    /// The word of an annotation is said at each deployment and not at a node's start: who comes back after a month must not take back
    /// what was said meanwhile.
    private func installed(_ function: FunctionSpec, isDeployed: Bool) {
        let name = FunctionState.namespace(of: function)
        let before = held.withLock { $0[function.id] }
        do throws(StateError) {
            try state.withReplica { replica, now throws(StateError) in
                if name != before {
                    try replica.pin(name, now)
                    if let before { replica.unpin(before, now) }
                }
                if isDeployed, case .some(let policy) = try InterestPolicy.named(by: function.annotations) {
                    try replica.keep(name, policy, now)
                }
            }
            held.withLock { $0[function.id] = name }
        } catch {
            logger.error("the state of a function is not kept here", metadata: ["function": "\(function.id)", "error": "\(error)"])
        }
    }

    private func removed(_ function: FunctionID) {
        guard let name = held.withLock({ $0.removeValue(forKey: function) }) else { return }
        state.withReplica { replica, now in replica.unpin(name, now) }
    }
}
