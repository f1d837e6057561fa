// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A request's body on its way to a function. Reading slowly makes the connection read slowly.
struct InboundBody {
    typealias Chunks = NIOThrowingAsyncSequenceProducer<
        ByteBuffer, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, Demand
    >

    /// Tells the connection when the reader wants more.
    final class Demand: NIOAsyncSequenceProducerDelegate, Sendable {
        private let onDemand: @Sendable () -> Void

        init(onDemand: @escaping @Sendable () -> Void) { self.onDemand = onDemand }

        func produceMore() { onDemand() }
        /// The reader lost interest: the rest is read and thrown away.
        func didTerminate() { onDemand() }
    }

    let chunks: Chunks
    let source: Chunks.Source

    /// The connection stops reading at 16 unread chunks (of at most 64 KiB each) and goes on at 4: a megabyte in flight is enough for
    /// loopback and for a gigabit link, and 1000 stalled uploads hold no more than 1 GiB.
    init(onDemand: @escaping @Sendable () -> Void) {
        let made = Chunks.makeSequence(
            elementType: ByteBuffer.self, failureType: (any Error).self,
            backPressureStrategy: .init(lowWatermark: 4, highWatermark: 16), finishOnDeinit: true,
            delegate: Demand(onDemand: onDemand))
        chunks = made.sequence
        source = made.source
    }
}
