// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Testing

@Suite("Calls and errors")
struct CallTests {
    static let statuses: [CallFailure.Kind: Int] = [
        .outOfMemory: 500, .exited: 500, .crashed: 500, .timedOut: 504, .startFailed: 503, .outputLimit: 500, .badReply: 502,
        .handlerError: 500,
        .abandoned: 499, .stopped: 503, .unsent: 503,
    ]

    @Test("Every kind of failure has its status", arguments: CallFailure.Kind.allCases)
    func status(kind: CallFailure.Kind) {
        #expect(CallFailure(kind, "x").httpStatus == Self.statuses[kind])
    }

    @Test("The words of failures and outcomes are what is stored and shown, and never change")
    func words() {
        #expect(
            CallFailure.Kind.allCases.map(\.rawValue) == [
                "out-of-memory", "exited", "crashed", "timed-out", "start-failed", "output-limit", "bad-reply", "handler-error",
                "abandoned", "stopped", "unsent",
            ])
        #expect(CallRecord.Outcome.allCases.map(\.rawValue) == ["running", "succeeded", "failed", "timed-out", "refused", "abandoned"])
    }

    @Test("An error says its sentence, its cause, its code and its place")
    func error() {
        struct Cause: Error, CustomStringConvertible { let description = "because" }
        let error = BrumeError(.conflict, "No.", cause: Cause())
        #expect("\(error)" == "No. (because)")
        #expect("\(BrumeError(.notFound, "No."))" == "No.")
        #expect(error.location.file.hasSuffix("CallTests.swift"))
        #expect(error.location.line > 0)
        #expect("\(error.code)" == "conflict")
        #expect(error.code != .invalid)
    }
}
