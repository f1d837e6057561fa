// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import NIOPosix

/// What earlier deployments left on this node: unpacked code and images that no function names any more.
package struct Leftovers: Sendable {
    private let codeRoot: String
    private let imageRoot: String

    /// - Parameters:
    ///   - codeRoot: as in ``ContractChannels/Settings/codeRoot``.
    ///   - stateDirectory: as in ``SandboxSettings/stateDirectory``.
    package init(codeRoot: String, stateDirectory: String) {
        self.codeRoot = codeRoot
        imageRoot = "\(stateDirectory)/images"
    }

    /// Removes what these functions do not need; call before the first of them is prepared.
    ///
    /// - Returns: how many bundles and images were removed.
    package func remove(keeping functions: [FunctionSpec]) async -> Int {
        var digests: Set<String> = []
        var references: Set<String> = []
        for function in functions {
            switch function.package {
            case .bundle(let digest): digests.insert(digest)
            case .image(let reference): references.insert(reference)
            case .none: break
            }
        }
        let store = CodeStore(root: codeRoot)
        // Trees of many thousand files: not on a thread that others wait for.
        let bundles = (try? await NIOThreadPool.singleton.runIfActive { [digests] in store.removeAll(but: digests) }) ?? 0
        return bundles + (await ImageStore(root: imageRoot).removeAll(but: references))
    }
}
