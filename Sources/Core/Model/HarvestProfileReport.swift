// SPDX-License-Identifier: Apache-2.0

/// What a node knows of a function's demand, and how well it has predicted it.
public struct HarvestProfileReport: Hashable, Sendable, Codable {
    /// How one quantity is predicted.
    public struct Quantity: Hashable, Sendable, Codable {
        public enum Model: String, Hashable, Sendable, Codable {
            /// Too few calls were measured.
            case unknown
            /// It follows a number that is known before the call runs.
            case curve
            /// It does not: the latest calls tell.
            case quantiles
        }

        /// One summand of a curve: the coefficient times the term.
        public struct Term: Hashable, Sendable, Codable {
            public var term: String
            public var coefficient: Double

            public init(term: String, coefficient: Double) {
                self.term = term
                self.coefficient = coefficient
            }
        }

        public var model: Model
        /// Why, in a sentence.
        public var reason: String
        /// Calls measured.
        public var samples: Int
        /// What the curve follows, and between which values it has been seen.
        public var feature: String?
        public var lowest: Double?
        public var highest: Double?
        /// Mean relative errors of what the best curve, and what a plain mean, would have said before each call.
        public var curveError: Double?
        public var meanError: Double?
        /// In millicores, in bytes, or in seconds on one core.
        public var curve: [Term]?
        /// Of the latest 100 calls, in the same unit.
        public var p5: Double?
        public var p50: Double?
        public var p99: Double?

        public init(model: Model, reason: String, samples: Int) {
            self.model = model
            self.reason = reason
            self.samples = samples
        }
    }

    /// A resource that the function does not lend at the moment.
    public struct Suspension: Hashable, Sendable, Codable {
        public var kind: ResourceKind
        public var reason: String
        public var endsInMs: Double

        public init(kind: ResourceKind, reason: String, endsInMs: Double) {
            self.kind = kind
            self.reason = reason
            self.endsInMs = endsInMs
        }
    }

    /// What a call with this value would be expected to need.
    public struct Outlook: Hashable, Sendable, Codable {
        /// Of the feature in ``HarvestProfileReport/outlookFeature``; nil where nothing follows a feature.
        public var value: Double?
        /// Peaks that it will hardly exceed; nil where too little is known of such calls.
        public var millicores: Int?
        public var memoryBytes: Int?
        /// Run time with the user's CPU, and with all that it could use; nil where nothing is known.
        public var runMs: Double?
        public var shortestRunMs: Double?

        public init(value: Double?) { self.value = value }
    }

    /// `name.namespace`.
    public var function: String
    /// What its calls may lend and borrow.
    public var takesPart: [ResourceKind]
    /// Calls learned from.
    public var calls: Int
    /// Calls that are measured before the first prediction.
    public var callsBeforePrediction: Int
    public var cpu: Quantity
    public var memory: Quantity
    public var duration: Quantity
    /// The part of the run time that more CPU does not shorten.
    public var serialShare: Double
    /// Predictions that the shares below are over: the latest, each made before its call was learned.
    public var predictions = 0
    /// Calls among them of which not everything could be said.
    public var unpredicted = 0
    /// Shares of the calls whose peak fell into the predicted class (whole cores, units of 128 MB); nil before there are any.
    public var cpuClassAccuracy: Double?
    public var memoryClassAccuracy: Double?
    /// The coefficient of determination of the run times; nil where they do not vary.
    public var durationR2: Double?
    /// Shares of the calls that used more than they were expected to.
    public var cpuExceeded = 0.0
    public var memoryExceeded = 0.0
    public var suspensions: [Suspension] = []
    public var outlookFeature: String?
    public var outlook: [Outlook] = []

    public init(
        function: String, takesPart: [ResourceKind], calls: Int, callsBeforePrediction: Int, cpu: Quantity, memory: Quantity,
        duration: Quantity, serialShare: Double
    ) {
        self.function = function
        self.takesPart = takesPart
        self.calls = calls
        self.callsBeforePrediction = callsBeforePrediction
        self.cpu = cpu
        self.memory = memory
        self.duration = duration
        self.serialShare = serialShare
    }
}
