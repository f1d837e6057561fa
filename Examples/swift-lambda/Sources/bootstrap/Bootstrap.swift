// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The loop of the AWS Lambda runtime API: ask for the next event, work, post the answer, again.
@main
struct Bootstrap {
    static func main() {
        guard let variable = unsafe getenv("AWS_LAMBDA_RUNTIME_API") else {
            stop("AWS_LAMBDA_RUNTIME_API is not set; deploy this with --lambda")
        }
        let api = unsafe String(cString: variable)
        do {
            var runtime = try RuntimeConnection(api: api)
            while let event = try runtime.next() {
                if let text = String(validating: event.body, as: UTF8.self) {
                    try runtime.post("invocation/\(event.id)/response", TextFacts(text).json)
                } else {
                    let error = #"{"errorType":"InvalidText","errorMessage":"The event is no UTF-8 text."}"#
                    try runtime.post("invocation/\(event.id)/error", error, header: "lambda-runtime-function-error-type: InvalidText")
                }
            }
        } catch {
            stop("\(error)")
        }
    }

    private static func stop(_ message: String) -> Never {
        let line = Array((message + "\n").utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        exit(1)
    }
}
