// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import BrumeModel
import Crypto
import NIOCore
import NIOHTTP1

/// The verbs of the API, one method each.
extension NodeClient {
    // MARK: Functions

    func functions(namespace: String?) async throws -> [FunctionListing] {
        try await fetch([FunctionListing].self, "/system/functions", query: [("namespace", namespace)])
    }

    func namespaces() async throws -> [String] { try await fetch([String].self, "/system/namespaces") }

    func function(_ id: FunctionID) async throws -> FunctionListing {
        try await fetch(
            FunctionListing.self, "/system/function/\(Self.escape(id.name))", query: [("namespace", id.namespace), ("usage", "1")])
    }

    /// What OpenFaaS has no word for; nil where the gateway is not a Brume node.
    func report(_ id: FunctionID) async throws -> FunctionReport? {
        do {
            return try await fetch(FunctionReport.self, "/v1/functions/\(Self.escape(id.name))", query: [("namespace", id.namespace)])
        } catch let refusal as NodeRefusal where refusal.status == 404 || refusal.status == 405 {
            return nil
        }
    }

    /// Replaces the function, or makes it where there is none: PUT first, POST after a 404, as OpenFaaS clients do.
    func deploy(_ deployment: FunctionDeployment) async throws {
        do {
            try await submit(.PUT, "/system/functions", deployment)
        } catch let refusal as NodeRefusal where refusal.status == 404 {
            try await submit(.POST, "/system/functions", deployment)
        }
    }

    func remove(_ id: FunctionID) async throws {
        try await submit(.DELETE, "/system/functions", FunctionDeletion(functionName: id.name, namespace: id.namespace))
    }

    /// Uploads a package and returns the name the node keeps it under.
    ///
    /// - Throws: `CommandFailure` where the node received other bytes than were sent.
    func upload(_ archive: ByteBuffer) async throws -> String {
        let headers = [HeaderField("content-type", "application/x-tar")]
        let response: HTTPClientResponse
        do {
            response = try await api(.POST, "/v1/code", headers: headers, body: .bytes(archive), within: Self.uploadTimeout)
        } catch let refusal as NodeRefusal where refusal.status == 404 || refusal.status == 405 {
            throw CommandFailure.failed("\(address.url) takes no packages, so it is no Brume node; deploy an image with --image.")
        }
        let receipt = try await decode(CodeReceipt.self, response, "/v1/code")
        guard receipt.digest == Self.digest(of: archive) else {
            throw CommandFailure.failed("The package arrived damaged at \(address.url) (digest \(receipt.digest)); deploy again.")
        }
        return receipt.digest
    }

    /// SHA-256 in lower-case hexadecimal, the name of a package.
    static func digest(of archive: ByteBuffer) -> String {
        var hash = SHA256()
        unsafe archive.withUnsafeReadableBytes { unsafe hash.update(bufferPointer: $0) }
        return hash.finalize().map { byte in byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16) }.joined()
    }

    // MARK: Secrets

    func secrets(namespace: String?) async throws -> [SecretDocument] {
        try await fetch([SecretDocument].self, "/system/secrets", query: [("namespace", namespace)])
    }

    // MARK: Calls

    func calls(function: String?, namespace: String?, outcome: String?, since: String?, limit: Int) async throws -> [CallReport] {
        try await fetch(
            [CallReport].self, "/v1/calls",
            query: [
                ("function", function), ("namespace", namespace), ("outcome", outcome), ("since", since), ("limit", "\(limit)"),
            ])
    }

    func call(_ id: String) async throws -> CallReport { try await fetch(CallReport.self, "/v1/calls/\(Self.escape(id))") }

    // MARK: Harvesting

    func harvest() async throws -> HarvestReport { try await fetch(HarvestReport.self, "/v1/harvest") }

    func harvestLedger() async throws -> HarvestLedgerReport { try await fetch(HarvestLedgerReport.self, "/v1/harvest/ledger") }

    func harvestProfile(_ id: FunctionID) async throws -> HarvestProfileReport {
        try await fetch(
            HarvestProfileReport.self, "/v1/harvest/profiles/\(Self.escape(id.name))", query: [("namespace", id.namespace)])
    }

    // MARK: Node

    func status() async throws -> NodeReport { try await fetch(NodeReport.self, "/v1/status") }
}
