// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// Images by crun: the same namespaces, limits and filter as bubblewrap's, with the image's own root and users.
struct ContainerLauncher: Launcher {
    let program: String
    /// A cgroup2 mount that crun must not see: with controllers beside cgroup v1 it refuses to work.
    let hiddenMount: String?
    let summary = "images by crun"

    func order(_ request: LaunchRequest) throws(BrumeError) -> SpawnOrder {
        guard let image = request.image, let firstHostID = image.firstHostID else {
            throw BrumeError(.unsupported, "Images run by crun need a node that runs as root.")
        }
        try HostFiles.makeDirectory(request.directory, mode: 0o700)
        let secrets = try writeSecrets(request)
        let config = ContainerConfig(
            spec: request.spec, image: image, plan: request.plan, socketDirectory: request.socketDirectory, secretsDirectory: secrets,
            firstHostID: firstHostID)
        try HostFiles.create("\(request.directory)/config.json", try config.encoded(), mode: 0o600)
        var order = SpawnOrder(arguments: [
            program, "--root", "\(request.directory)/crun", "--cgroup-manager=disabled", "run", "--bundle", request.directory,
            "brume-\(request.name)",
        ])
        order.environment = ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]
        order.flags = UInt32(BRUME_INSIDE_IS_CHILD)
        order.stages = config.stages
        if let hiddenMount {
            order.flags |= UInt32(BRUME_HIDE_UNIFIED)
            order.stages.append(hiddenMount)
        }
        return order
    }

    /// Files that the container's users can read, in a directory that only root can reach; removed with the replica.
    private func writeSecrets(_ request: LaunchRequest) throws(BrumeError) -> String? {
        guard !request.secrets.isEmpty else { return nil }
        let directory = "\(request.directory)/secrets"
        try HostFiles.makeDirectory(directory)
        for secret in request.secrets { try HostFiles.create("\(directory)/\(secret.name)", secret.value, mode: 0o444) }
        return directory
    }

    func forget(_ owner: String) {}
}
