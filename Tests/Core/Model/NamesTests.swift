// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import Testing

@Suite("Names")
struct NamesTests {
    static let longest = String(repeating: "a", count: 63)

    @Test(
        "A function is read as name or name.namespace, split at the last dot",
        arguments: [
            ("hello", "hello", "openfaas-fn"), ("hello.other", "hello", "other"), ("a", "a", "openfaas-fn"),
            ("a_b-C9", "a_b-C9", "openfaas-fn"),
            ("9.9", "9", "9"), (longest + "." + longest, longest, longest),
        ])
    func parsing(text: String, name: String, namespace: String) throws {
        let id = try FunctionID(parsing: text)
        #expect(id.name == name)
        #expect(id.namespace == namespace)
        #expect(try FunctionID(parsing: id.description) == id)
    }

    @Test(
        "A bad name is refused with a sentence that says what is wrong",
        arguments: [
            ("", "is empty"), (".", "is empty"), ("a.", "The namespace is empty"), (".a", "The function name is empty"),
            ("a.b.c", "'a.b' is not valid"),
            ("-a", "beginning and ending"), ("a-", "beginning and ending"), ("_", "beginning and ending"), ("a b", "use letters"),
            ("ä", "use letters"), ("a/b", "use letters"), ("../etc", "is not valid"), ("a\n", "use letters"), ("a\u{0}", "use letters"),
            (longest + "a", "has 64 characters; 63 are allowed"), ("x." + longest + "a", "has 64 characters"),
        ])
    func badNames(text: String, sentence: String) {
        let error = #expect(throws: BrumeError.self) { try FunctionID(parsing: text) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains(sentence) == true, "\(error?.message ?? "")")
    }

    @Test("A very long name does not make a very long sentence")
    func longName() {
        let error = #expect(throws: BrumeError.self) { try FunctionID(parsing: String(repeating: "x", count: 100_000)) }
        #expect((error?.message.utf8.count ?? .max) < 200)
    }

    @Test("Functions are ordered by namespace, then by name")
    func order() throws {
        let sorted = try ["b.x", "a.y", "c.x", "a.x"].map { try FunctionID(parsing: $0) }.sorted()
        #expect(sorted.map(\.description) == ["a.x", "b.x", "c.x", "a.y"])
    }

    @Test("Decoding checks the name as the initialiser does")
    func decoding() throws {
        let id = try FunctionID(name: "a", namespace: "b")
        #expect(try JSONDecoder().decode(FunctionID.self, from: try JSONEncoder().encode(id)) == id)
        let error = #expect(throws: BrumeError.self) {
            try JSONDecoder().decode(FunctionID.self, from: Data(#"{"name":"../x","namespace":"b"}"#.utf8))
        }
        #expect(error?.code == .invalid)
    }

    @Test("Secret names become file names", arguments: ["a", "A.b-c_d", "0", String(repeating: "s", count: 253)])
    func secretNames(name: String) throws {
        try FunctionID.validateSecretName(name)
    }

    @Test(
        "Names that cannot be a file are refused",
        arguments: ["", ".", "..", ".hidden", "a/b", "a b", "ü", "a\u{0}", String(repeating: "s", count: 254)])
    func badSecretNames(name: String) {
        let error = #expect(throws: BrumeError.self) { try FunctionID.validateSecretName(name) }
        #expect(error?.code == .invalid)
    }

    @Test("Ids compare by number and print with a letter")
    func ids() {
        #expect(CallID(2) < CallID(10))
        #expect(ReplicaID(2) < ReplicaID(10))
        #expect(FunctionHandle(2) < FunctionHandle(10))
        #expect("\(CallID(.max))" == "c18446744073709551615")
        #expect("\(ReplicaID(7))" == "r7")
    }

    @Test("A secret never prints its value")
    func secretDescription() {
        let secret = Secret(name: "db", namespace: "n", value: [104, 117, 110, 116])
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped, "\([secret])"] {
            #expect(!text.contains("104"))
            #expect(text.contains("db"))
        }
        #expect("\(secret)" == "secret db in n (4 bytes)")
    }
}
