// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// The body of a reply that is still coming: the function's side is read only as fast as the caller's side takes it.
struct ReplyStream {
    typealias Sequence = NIOThrowingAsyncSequenceProducer<
        ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, Delegate
    >

    /// Carries the caller's pace back to the event loop of the connection.
    final class Delegate: NIOAsyncSequenceProducerDelegate, Sendable {
        private let onDemand: @Sendable () -> Void
        private let onEnd: @Sendable () -> Void

        init(onDemand: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void) {
            self.onDemand = onDemand
            self.onEnd = onEnd
        }

        func produceMore() { onDemand() }
        func didTerminate() { onEnd() }
    }

    let source: Sequence.Source
    let body: Body<ByteBuffer>

    /// - Parameters:
    ///   - onDemand: the caller wants more after it had enough.
    ///   - onEnd: nobody reads any more, because all was read or the caller went away.
    init(_ limits: ContractLimits, onDemand: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void) {
        let made = Sequence.makeSequence(
            backPressureStrategy: .init(lowWatermark: limits.streamElementsLow, highWatermark: limits.streamElementsHigh),
            finishOnDeinit: true, delegate: Delegate(onDemand: onDemand, onEnd: onEnd))
        source = made.source
        body = .stream(made.sequence)
    }
}
