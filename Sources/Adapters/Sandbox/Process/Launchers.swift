// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// Chooses who starts a replica: images go to crun where it can be used, everything else to bubblewrap; or nothing is isolated at all.
struct Launchers: Sendable {
    let plain: any Launcher
    /// Nil: images are started like everything else, with the image as the root.
    let container: ContainerLauncher?

    static func make(_ settings: SandboxSettings, _ tree: CgroupTree) throws(BrumeError) -> Launchers {
        if settings.isolation == .none {
            return Launchers(
                plain: DirectLauncher(
                    grouped: tree.isUsable, nodeMark: settings.hash,
                    summary: "none, for development only: functions are plain processes of this node's user (\(tree.summary))"),
                container: nil)
        }
        guard let program = HostFiles.program("bwrap") else {
            throw BrumeError(
                .unsupported,
                "bubblewrap is not installed; run: apt-get install bubblewrap, or start with --isolation none for development.")
        }
        let isRoot = geteuid() == 0
        let plain = BubblewrapLauncher(
            program: program, seccomp: try BubblewrapCommand.seccompProgram(), etcDirectory: settings.etcDirectory,
            ids: isRoot ? HostIDs(first: settings.firstHostID, count: settings.hostIDCount) : nil, grouped: tree.isUsable,
            summary: "bubblewrap namespaces and seccomp, \(tree.summary)")
        let crun = isRoot ? HostFiles.program("crun") : nil
        return Launchers(plain: plain, container: crun.map { ContainerLauncher(program: $0, hiddenMount: Self.hybridMount(tree)) })
    }

    private static func hybridMount(_ tree: CgroupTree) -> String? {
        guard tree.isLegacy, let mount = MountTable.current().unified else { return nil }
        let controllers = HostFiles.read("\(mount)/cgroup.controllers") ?? ""
        return controllers.contains { !$0.isWhitespace } ? mount : nil
    }

    /// Who starts a replica of this kind.
    func launcher(for image: UnpackedImage?) -> any Launcher {
        if image != nil, let container { return container }
        return plain
    }
}

extension LaunchPlan {
    /// The plan with what the image says where the contract left it open.
    func completed(by image: UnpackedImage, _ spec: FunctionSpec) -> LaunchPlan {
        var plan = self
        plan.imageRoot = image.rootDirectory
        if plan.command.isEmpty { plan.command = image.arguments }
        if plan.workingDirectory == "/" { plan.workingDirectory = image.workingDirectory }
        var known: [String: Int] = [:]
        for (index, variable) in plan.environment.enumerated() { known[variable.name] = index }
        for entry in image.environment {
            guard let sign = entry.firstIndex(of: "=") else { continue }
            let name = String(entry[..<sign])
            let value = String(entry[entry.index(after: sign)...])
            if let index = known[name] {
                // The image knows where its programs are; the contract's search path is a guess. A deployer's word wins over both.
                if name == "PATH", spec.environment["PATH"] == nil { plan.environment[index].value = value }
            } else {
                plan.environment.append((name: name, value: value))
            }
        }
        return plan
    }
}
