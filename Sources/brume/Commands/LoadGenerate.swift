// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import BrumeModel
public import BrumeWorkload

extension Load {
    /// Makes a trace and writes it to standard output.
    struct Generate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "generate",
            abstract: "Make a trace for the functions of Examples/serverless-suite.",
            discussion: """
                The ten multi sets of Libra's evaluation call each of ten functions 1, 2, 3, 4, 5, 6, 12, 18, 24 or 30 times in one \
                minute; the single set has 165 calls. With --rate calls arrive by a process instead.

                Examples:
                  brume load generate --set 10 --seed 1 > set10.csv
                  brume load generate --set single --sizes drawn > single.csv
                  brume load generate --rate 2 --duration 60s --functions ms,gd > calls.csv
                  brume load generate --rate 20 --on 2s --off 8s --duration 1m > bursts.csv
                """)

        @Option(help: ArgumentHelp("One of Libra's sets: 1 to 10, or single.", valueName: "set"))
        var set: String?

        @Option(help: ArgumentHelp("Calls per second.", valueName: "number"))
        var rate: Double?

        @Option(help: ArgumentHelp("How they are spread: constant, poisson or uniform.", valueName: "process"))
        var arrivals: Bench.Spread?

        @Option(help: ArgumentHelp("Calls arrive for so long, then none for --off, again and again.", valueName: "duration"))
        var on: String?

        @Option(help: ArgumentHelp("See --on.", valueName: "duration"))
        var off: String?

        @Option(help: ArgumentHelp("Length of the trace with --rate.", valueName: "duration"))
        var duration = "60s"

        @Option(help: ArgumentHelp("Functions that are called with --rate, by name or Libra's short name.", valueName: "names"))
        var functions: String?

        @Option(help: ArgumentHelp("fixed: all calls of a function the same; drawn: from its range.", valueName: "kind"))
        var sizes: LibraSets.Sizes?

        @Option(help: ArgumentHelp("Seed of everything that is drawn.", valueName: "number"))
        var seed: UInt64 = 1

        func run() async throws {
            let trace = try trace()
            let words = CommandLine.arguments.dropFirst().joined(separator: " ")
            try Console.standard.print("# brume \(words)\n" + trace.lines.joined(separator: "\n"))
        }

        private func trace() throws -> Trace {
            switch (set, rate) {
            case ("single", nil): return LibraSets.single(sizes: sizes ?? .drawn, seed: seed)
            case (let set?, nil):
                guard let number = Int(set) else { throw CommandFailure.words("--set takes 1 to 10 or single, not '\(set)'.") }
                return try LibraSets.multi(number, sizes: sizes ?? .fixed, seed: seed)
            case (nil, let rate?):
                return try LibraSets.arriving(
                    try process(rate: rate), for: try Duration(parsing: duration),
                    functions: functions.map { $0.split(separator: ",").map(String.init) } ?? [], sizes: sizes ?? .drawn, seed: seed)
            default: throw CommandFailure.words("Say what to make: one of --set and --rate.")
            }
        }

        private func process(rate: Double) throws -> ArrivalProcess {
            switch (on, off) {
            case (nil, nil): return (arrivals ?? .poisson).process(rate: rate)
            case (let on?, let off?):
                guard arrivals == nil || arrivals == .poisson else {
                    throw CommandFailure.words("Within --on the calls are a Poisson process; leave --arrivals out.")
                }
                return .onOff(rate: rate, on: try Duration(parsing: on), off: try Duration(parsing: off))
            default: throw CommandFailure.words("--on and --off belong together; give both.")
            }
        }
    }
}

extension LibraSets.Sizes: ExpressibleByArgument {}
extension TraceFormat: ExpressibleByArgument {}
extension MinuteExpansion: ExpressibleByArgument {}
