// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
package import BrumeModel
package import NIOCore
import Synchronization

/// Functions, secrets and namespaces: checked, stored, then put into force.
extension NodeService {
    package func deploy(_ spec: FunctionSpec, mode: DeployMode) async throws {
        try spec.validate()
        try requireLimits(spec.limits)
        let schedules = try Self.schedules(of: spec)
        _ = try HarvestPolicy(annotations: spec.annotations)
        try FunctionState.check(spec)
        if let refusal = books.withLock({ $0.engine.refusal(of: FunctionPolicy(spec)) }) { throw BrumeError(.invalid, refusal.sentence) }
        try await requireNamespace(spec.id.namespace)
        if mode == .update, books.withLock({ $0.handles[spec.id] }) == nil {
            throw BrumeError(.notFound, "There is no function '\(spec.id)' to update; deploy it first.")
        }
        let known = Set(try await store.secrets(namespace: spec.id.namespace).map(\.name))
        for secret in spec.secrets where !known.contains(secret) {
            throw BrumeError(
                .invalid, "The secret '\(secret)' does not exist in '\(spec.id.namespace)'; make it with: brume secret create \(secret)")
        }
        try await driver.prepare(spec, bundle: try await bundlePath(of: spec))
        try await changes.run {
            let existing = books.withLock { books in books.handles[spec.id].flatMap { books.functions[$0]?.stored } }
            let stored = StoredFunction(
                spec: spec, created: existing?.created ?? clock.now, revision: (existing?.revision ?? 0) + 1)
            try await store.putFunction(stored)
            install(stored, schedules)
            world.functions.installed(spec, true)
        }
    }

    /// A limit that the machine cannot give would be no limit: it is refused whatever the deployer wants reserved, and however the node
    /// shares. Functions that are stored already are left alone.
    private func requireLimits(_ limits: Resources) throws(BrumeError) {
        let capacity = settings.engine.capacity
        let cores = Swift.max(capacity.millicores, settings.machine.millicores)
        guard limits.millicores <= cores else {
            let most = Resources.describe(millicores: cores)
            throw BrumeError(
                .invalid,
                "The CPU limit of \(Resources.describe(millicores: limits.millicores)) is more than this node can give: it has \(most) "
                    + "\(cores == 1000 ? "core" : "cores"). Deploy it with a limit of at most \(most), as --cpu or in limits.cpu.")
        }
        // Down to whole mebibytes: the last digits of what a machine has help nobody.
        let bytes = (Swift.max(capacity.memoryBytes, settings.machine.memoryBytes) >> 20) << 20
        guard limits.memoryBytes <= bytes else {
            let most = Resources.describe(bytes: bytes)
            throw BrumeError(
                .invalid,
                "The memory limit of \(Resources.describe(bytes: limits.memoryBytes)) is more than this node can give: it has \(most). "
                    + "Deploy it with a limit of at most \(most), as --memory or in limits.memory.")
        }
    }

    /// Puts a stored function into force.
    func install(_ stored: StoredFunction, _ schedules: [CronSchedule], problem: String = "", prewarm: Bool = true) {
        var policy = FunctionPolicy(stored.spec)
        if !prewarm { policy.prewarm = false }
        let actions = books.withLock { books in
            let handle = books.handles[stored.spec.id] ?? FunctionHandle(books.nextHandle)
            if books.handles[stored.spec.id] == nil { books.nextHandle += 1 }
            books.handles[stored.spec.id] = handle
            let harvest = try? HarvestPolicy(annotations: stored.spec.annotations)
            books.functions[handle] = FunctionEntry(
                stored: stored, problem: problem, schedules: schedules, harvestParameters: harvest?.parameterNames ?? [])
            return decide(.deploy(handle, policy), &books)
        }
        perform(actions)
    }

    /// The schedules of a `cron-function`, or none.
    static func schedules(of spec: FunctionSpec) throws(BrumeError) -> [CronSchedule] {
        guard spec.annotations["topic"] == "cron-function" else { return [] }
        guard let text = spec.annotations["schedule"] else {
            throw BrumeError(.invalid, "A cron-function needs the annotation 'schedule', for example schedule='*/5 * * * *'.")
        }
        return try CronSchedule.list(parsing: text)
    }

    private func requireNamespace(_ name: String) async throws {
        guard name != FunctionID.defaultNamespace else { return }
        guard try await store.namespaces().contains(where: { $0.name == name }) else {
            throw BrumeError(.invalid, "The namespace '\(name)' does not exist; make it with: brume namespace create \(name)")
        }
    }

    func bundlePath(of spec: FunctionSpec) async throws -> String? {
        guard case .bundle(let digest) = spec.package else { return nil }
        guard let path = try await store.codePath(digest: digest) else {
            throw BrumeError(.invalid, "The package \(digest.prefix(16)) is not on this node; upload it to /v1/code first.")
        }
        return path
    }

    package func remove(_ id: FunctionID) async throws {
        try await changes.run {
            guard let handle = books.withLock({ $0.handles[id] }) else {
                throw BrumeError(.notFound, "There is no function '\(id)'; see the names with: brume list")
            }
            try await store.removeFunction(id)
            let actions = books.withLock { books in
                books.handles[id] = nil
                let actions = decide(.remove(handle), &books)
                books.functions[handle] = nil
                return actions
            }
            perform(actions)
            world.functions.removed(id)
        }
    }

    package func scale(_ id: FunctionID, to replicas: Int) async throws {
        guard
            let (handle, entry) = books.withLock({ books in
                books.handles[id].flatMap { handle in books.functions[handle].map { (handle, $0) } }
            })
        else { throw BrumeError(.notFound, "There is no function '\(id)'; see the names with: brume list") }
        guard replicas >= 0, replicas <= FunctionSpec.replicasMax else {
            throw BrumeError(.invalid, "The number of replicas must be between 0 and \(FunctionSpec.replicasMax), got \(replicas).")
        }
        submit(.scale(handle, replicas: Swift.min(replicas, entry.stored.spec.scale.max)))
    }

    package func functions(namespace: String?) async -> [FunctionStatus] {
        let ids = books.withLock { books in books.handles.keys.filter { namespace == nil || $0.namespace == namespace }.sorted() }
        var statuses: [FunctionStatus] = []
        for id in ids { if let status = await function(id) { statuses.append(status) } }
        return statuses
    }

    package func function(_ id: FunctionID) async -> FunctionStatus? {
        guard
            let (entry, view, members) = books.withLock({ books -> (FunctionEntry, FunctionView, [ReplicaID])? in
                guard let handle = books.handles[id], let entry = books.functions[handle], let view = books.engine.view(of: handle) else {
                    return nil
                }
                return (entry, view, books.engine.members(of: handle))
            })
        else { return nil }
        var status = FunctionStatus(
            spec: entry.stored.spec, created: entry.stored.created, revision: entry.stored.revision, replicas: view.replicas,
            availableReplicas: view.ready, invocations: view.invocations, queueDepth: view.queued,
            problem: view.problem.isEmpty ? entry.problem : view.problem)
        for member in members {
            guard let usage = driver.usage(of: member) else { continue }
            status.cpuTime += usage.cpuTime
            status.memoryBytes += usage.memoryBytes
        }
        return status
    }

    package func putCode(_ archive: ByteBuffer) async throws -> String { try await store.putCode(archive) }

    // MARK: Secrets

    package func putSecret(_ secret: Secret, mustExist: Bool?) async throws {
        try FunctionID.validateSecretName(secret.name)
        try await requireNamespace(secret.namespace)
        try await changes.run {
            let exists = try await store.secrets(namespace: secret.namespace).contains { $0.name == secret.name }
            if mustExist == true, !exists {
                throw BrumeError(.notFound, "There is no secret '\(secret.name)' in '\(secret.namespace)'; create it first.")
            }
            if mustExist == false, exists {
                throw BrumeError(.exists, "The secret '\(secret.name)' exists already in '\(secret.namespace)'; update it instead.")
            }
            try await store.putSecret(secret)
        }
    }

    package func removeSecret(name: String, namespace: String) async throws {
        try await changes.run {
            let users = books.withLock { books in
                books.functions.values.map(\.stored.spec).filter { $0.id.namespace == namespace && $0.secrets.contains(name) }.map(\.id)
                    .sorted()
            }
            if let user = users.first {
                throw BrumeError(.conflict, "The secret '\(name)' is used by the function '\(user)'; redeploy that without it first.")
            }
            guard try await store.removeSecret(name: name, namespace: namespace) else {
                throw BrumeError(.notFound, "There is no secret '\(name)' in '\(namespace)'.")
            }
        }
    }

    package func secretNames(namespace: String) async throws -> [String] {
        try await store.secrets(namespace: namespace).map(\.name).sorted()
    }

    // MARK: Namespaces

    package func namespaces() async throws -> [StoredNamespace] {
        var all = try await store.namespaces()
        if !all.contains(where: { $0.name == FunctionID.defaultNamespace }) {
            all.append(StoredNamespace(name: FunctionID.defaultNamespace))
        }
        return all.sorted { $0.name < $1.name }
    }

    package func putNamespace(_ namespace: StoredNamespace, mustExist: Bool) async throws {
        try FunctionID.validate(namespace.name, what: "namespace")
        try await changes.run {
            let exists = try await namespaces().contains { $0.name == namespace.name }
            if mustExist, !exists { throw BrumeError(.notFound, "There is no namespace '\(namespace.name)'; create it first.") }
            if !mustExist, exists { throw BrumeError(.exists, "The namespace '\(namespace.name)' exists already.") }
            try await store.putNamespace(namespace)
        }
    }

    package func removeNamespace(_ name: String) async throws {
        guard name != FunctionID.defaultNamespace else {
            throw BrumeError(.conflict, "The namespace '\(name)' is the node's default and stays.")
        }
        for status in await functions(namespace: name) { try await remove(status.spec.id) }
        guard try await store.removeNamespace(name) else { throw BrumeError(.notFound, "There is no namespace '\(name)'.") }
    }
}
