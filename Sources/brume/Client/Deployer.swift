// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import NIOCore

/// Sends a packed function to a node and waits until it works.
struct Deployer {
    /// Fetching an image takes a while; a function that is not there after this needs a person.
    static let waitMax = Duration.seconds(300)
    /// The first look comes soon, because most replicas start in milliseconds; later ones come less often.
    private static let firstLook = Duration.milliseconds(20)
    private static let slowestLook = Duration.milliseconds(500)

    let client: NodeClient
    let progress: ProgressDisplay

    /// Returns what to add to the sentence `Deployed NAME in TIME`.
    ///
    /// - Throws: `CommandFailure` with the node's sentence.
    func deploy(_ plan: DeploymentPlan, as id: FunctionID, waits: Bool) async throws -> String {
        var plan = plan
        do {
            if let archive = plan.archive {
                progress.now("Uploading \(id.name) (\(Wording.bytes(archive.readableBytes)))")
                plan.uploaded(as: try await client.upload(archive))
            }
            progress.now("Deploying \(id.name)")
            try await client.deploy(plan.deployment)
        } catch let refusal as NodeRefusal {
            throw refusal.failure
        }
        guard waits else { return "; not waiting for a replica." }
        progress.now("Waiting for a replica of \(id.name)")
        return try await wait(for: id, startsByItself: plan.deployment.annotations?[Annotation.prewarm] != "false")
            ? "." : "; it starts with its first call."
    }

    /// Looks until a replica can take calls. There is no event to wait for in the OpenFaaS API.
    ///
    /// - Returns: false where no replica stays until the first call: the function was told not to start before it, a started replica has
    ///   gone already because idle ones are not kept, or there is no room for one now.
    private func wait(for id: FunctionID, startsByItself: Bool) async throws -> Bool {
        let started = ContinuousClock.now
        var pause = Self.firstLook
        repeat {
            let look = try await look(at: id)
            if look.available > 0 { return true }
            if !look.problem.isEmpty {
                throw CommandFailure.failed("\(id.name) is deployed, but its replicas do not start: \(look.problem)")
            }
            // A node begins the first start before it answers the deployment; another gateway may take its time.
            if look.wanted == 0, look.isNode || !startsByItself { return false }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, Self.slowestLook)
        } while ContinuousClock.now - started < Self.waitMax
        throw CommandFailure.failed(
            "\(id.name) is deployed, but no replica was ready within \(Wording.duration(Self.waitMax)); see: brume logs \(id.callPath)")
    }

    private func look(at id: FunctionID) async throws -> (wanted: Int, available: Int, problem: String, isNode: Bool) {
        do {
            if let report = try await client.report(id) { return (report.replicas, report.availableReplicas, report.problem, true) }
            let listing = try await client.function(id)
            return (listing.replicas ?? 0, listing.availableReplicas ?? 0, "", false)
        } catch let refusal as NodeRefusal where refusal.status == 404 {
            throw CommandFailure.failed("\(id.name) was removed while it was being deployed.")
        } catch let refusal as NodeRefusal {
            throw refusal.failure
        }
    }
}
