// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore

/// What an OpenFaaS client sends to deploy a function, as it is on the wire.
package struct FunctionDeployment: Sendable, Hashable {
    /// Amounts in Kubernetes notation; nil where the client named none.
    package struct Amounts: Sendable, Hashable, Encodable {
        package var cpu: String?
        package var memory: String?
        package init(cpu: String? = nil, memory: String? = nil) {
            self.cpu = cpu
            self.memory = memory
        }
    }

    package var service: String
    package var image: String
    package var namespace: String
    package var envProcess: String
    package var envVars: [String: String]
    package var constraints: [String]
    package var secrets: [String]
    package var labels: [String: String]
    package var annotations: [String: String]
    package var limits: Amounts
    package var requests: Amounts
    package var readOnlyRootFilesystem: Bool

    package init(
        service: String, image: String = "", namespace: String = "", envProcess: String = "", envVars: [String: String] = [:],
        constraints: [String] = [], secrets: [String] = [], labels: [String: String] = [:], annotations: [String: String] = [:],
        limits: Amounts = Amounts(), requests: Amounts = Amounts(), readOnlyRootFilesystem: Bool = false
    ) {
        self.service = service
        self.image = image
        self.namespace = namespace
        self.envProcess = envProcess
        self.envVars = envVars
        self.constraints = constraints
        self.secrets = secrets
        self.labels = labels
        self.annotations = annotations
        self.limits = limits
        self.requests = requests
        self.readOnlyRootFilesystem = readOnlyRootFilesystem
    }

    /// Reads the JSON body of a deployment; unknown fields are passed over.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    package init(parsing body: ByteBuffer) throws(BrumeError) {
        let fields = try JSONFields(parsing: body)
        guard let service = try fields.string("service"), !service.isEmpty else {
            throw BrumeError(.invalid, "The deployment names no function; give it in the field 'service'.")
        }
        self.init(
            service: service, image: try fields.string("image") ?? "", namespace: try fields.string("namespace") ?? "",
            envProcess: try fields.string("envProcess") ?? "", envVars: try fields.dictionary("envVars"),
            constraints: try fields.strings("constraints"), secrets: try fields.strings("secrets"),
            labels: try fields.dictionary("labels"), annotations: try fields.dictionary("annotations"),
            limits: try Self.amounts(fields, "limits"), requests: try Self.amounts(fields, "requests"),
            readOnlyRootFilesystem: try fields.bool("readOnlyRootFilesystem") ?? false)
    }

    private static func amounts(_ fields: JSONFields, _ key: String) throws(BrumeError) -> Amounts {
        guard let object = try fields.object(key) else { return Amounts() }
        // An empty string is what older clients send for "none".
        func amount(_ name: String) throws(BrumeError) -> String? {
            guard let text = try object.string(name), !text.isEmpty else { return nil }
            return text
        }
        return Amounts(cpu: try amount("cpu"), memory: try amount("memory"))
    }
}
