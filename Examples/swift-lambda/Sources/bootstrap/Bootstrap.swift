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
            while let invocation = try runtime.next() {
                if let event = Event.read(invocation.body) {
                    try runtime.post("invocation/\(invocation.id)/response", TextFacts(event.text).json)
                } else {
                    let error = #"{"errorType":"NoText","errorMessage":"Send a JSON string, or an object with a text."}"#
                    try runtime.post("invocation/\(invocation.id)/error", error, header: "lambda-runtime-function-error-type: NoText")
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
