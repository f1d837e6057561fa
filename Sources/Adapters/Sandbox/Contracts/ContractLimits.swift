// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The bounds of everything that a function can send, and of how long its node waits for it.
package struct ContractLimits: Sendable {
    /// Bytes of one whole reply. Past it the call ends with `outputLimit`: a function in an endless loop must not fill the network.
    package var replyBytesMax = 256 << 20
    /// Bytes of a reply's head, and of its trailers. Servers commonly allow 8 to 64 KiB.
    package var headBytesMax = 128 << 10
    /// Replies up to this size are handed over in one piece; larger ones are streamed. One read of a socket holds as much.
    package var wholeReplyBytesMax = 64 << 10
    /// How long a reply of unknown length may take to end before it is streamed: most are complete within one read.
    package var collectGrace = TimeAmount.milliseconds(1)
    /// From the start of the process until it can take a call. Interpreters that load large models need seconds; a minute means it hangs.
    package var startTimeout = Duration.seconds(60)
    /// Between two tries to connect to a server that starts: no event tells when it listens. Each pause is a fifth longer than the one
    /// before, so that a start is noticed with at most a fifth of its time added; a try costs 0.1 ms.
    package var knockPause = Duration.microseconds(500)
    package var knockGrowth = 1.2
    /// A server that takes long to start is noticed this late at most.
    package var knockPauseMax = Duration.milliseconds(50)
    /// How long a lost connection waits for the news that the process died, so that the caller reads the true cause. A kernel needs
    /// 35 ms at most from the memory limit to the end of the process.
    package var causeGrace = TimeAmount.milliseconds(250)
    /// A pooled connection that was idle for longer is replaced: servers close theirs after 2 s (gunicorn) or 5 s (Node), and a request
    /// sent at that moment would be lost.
    package var idleConnectionMax = TimeAmount.seconds(1)
    /// Elements (of up to 64 KiB) of a streamed reply that may wait for a slow caller: 512 KiB at most.
    package var streamElementsLow = 4
    package var streamElementsHigh = 8
    /// Bytes of a Lambda response that is not streamed: what AWS allows.
    package var lambdaReplyBytesMax = 6_291_556
    /// Bytes of a Lambda event; what AWS allows a synchronous caller, times ten, because nothing here needs the small bound.
    package var lambdaEventBytesMax = 64 << 20
    /// Bytes and entries of an unpacked bundle: a Lambda package may have 250 MB, node_modules some ten thousand files.
    package var bundleBytesMax = 1 << 30
    package var bundleEntriesMax = 100_000
    /// Installing requirements may compile and download; ten minutes without an end is a hang.
    package var installTimeout = Duration.seconds(600)

    package init() {}
}
