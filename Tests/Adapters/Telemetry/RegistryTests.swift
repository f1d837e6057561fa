// SPDX-License-Identifier: Apache-2.0
import BrumeTelemetry
import Metrics
import Testing

/// The report that Prometheus reads.
@Suite("Prometheus registry")
struct RegistryTests {
    private static func render(_ settings: PrometheusSettings = PrometheusSettings(), _ body: (PrometheusRegistry) -> Void) -> String {
        let registry = PrometheusRegistry(settings: settings)
        body(registry)
        return String(decoding: registry.render(), as: UTF8.self)
    }

    @Test("An empty registry renders nothing")
    func empty() {
        #expect(Self.render { _ in } == "")
    }

    @Test("Counters, floating counters, meters and plain recorders")
    func simpleKinds() {
        let text = Self.render { registry in
            Counter(label: "calls_total", dimensions: [("function", "b"), ("code", "200")], factory: registry).increment(by: 2)
            Counter(label: "calls_total", dimensions: [("code", "200"), ("function", "b")], factory: registry).increment()
            Counter(label: "calls_total", dimensions: [("code", "200"), ("function", "a")], factory: registry).increment()
            FloatingPointCounter(label: "cpu_seconds_total", factory: registry).increment(by: 0.25)
            let meter = Meter(label: "replicas", factory: registry)
            meter.set(5)
            meter.decrement(by: 1.5)
            Gauge(label: "memory_bytes", factory: registry).record(1_073_741_824)
        }
        #expect(
            text == """
                # HELP calls_total Calls total.
                # TYPE calls_total counter
                calls_total{code="200",function="a"} 1
                calls_total{code="200",function="b"} 3
                # HELP cpu_seconds_total Cpu seconds total.
                # TYPE cpu_seconds_total counter
                cpu_seconds_total 0.25
                # HELP memory_bytes Memory bytes.
                # TYPE memory_bytes gauge
                memory_bytes 1073741824
                # HELP replicas Replicas.
                # TYPE replicas gauge
                replicas 3.5

                """)
    }

    @Test("Timers and aggregating recorders are cumulative histograms, a value on a bound belongs below it")
    func histograms() {
        var settings = PrometheusSettings()
        settings.buckets = [1, 10]
        settings.descriptions["wait_seconds"] = MetricDescription(help: "How long\na call \\ waits.", buckets: [0.001, 0.5])
        let text = Self.render(settings) { registry in
            let timer = Timer(label: "wait_seconds", dimensions: [("f", "x")], factory: registry)
            timer.recordMilliseconds(1)
            timer.recordMilliseconds(250)
            timer.recordSeconds(2)
            let recorder = Recorder(label: "bytes", factory: registry)
            recorder.record(10)
            recorder.record(11.5)
        }
        #expect(
            text == """
                # HELP bytes Bytes.
                # TYPE bytes histogram
                bytes_bucket{le="1"} 0
                bytes_bucket{le="10"} 1
                bytes_bucket{le="+Inf"} 2
                bytes_sum 21.5
                bytes_count 2
                # HELP wait_seconds How long\\na call \\\\ waits.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{f="x",le="0.001"} 1
                wait_seconds_bucket{f="x",le="0.5"} 2
                wait_seconds_bucket{f="x",le="+Inf"} 3
                wait_seconds_sum{f="x"} 2.251
                wait_seconds_count{f="x"} 3

                """)
    }

    @Test(
        "Names become legal and values are escaped",
        arguments: [
            (name: "a.b-c", label: ("x.y", "plain"), line: "a_b_c{x_y=\"plain\"} 1"),
            (name: "9lives", label: ("1st", "a\"b\\c\nd"), line: "_9lives{_1st=\"a\\\"b\\\\c\\nd\"} 1"),
            (name: "ok:rule", label: ("a:b", "ü"), line: "ok:rule{a_b=\"ü\"} 1"),
            (name: "", label: ("", ""), line: "_{_=\"\"} 1"),
        ])
    func names(name: String, label: (String, String), line: String) {
        let text = Self.render { Counter(label: name, dimensions: [label], factory: $0).increment() }
        #expect(text.split(separator: "\n").last.map(String.init) == line)
    }

    @Test("Unusual numbers are written as Prometheus reads them")
    func numbers() {
        let text = Self.render { registry in
            for (index, value) in [Double.nan, .infinity, -.infinity, 1e-7, 1e300, -2].enumerated() {
                Gauge(label: "g\(index)", factory: registry).record(value)
            }
        }
        let values = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { String($0.split(separator: " ")[1]) }
        #expect(values == ["NaN", "+Inf", "-Inf", "1e-07", "1e+300", "-2"])
    }

    @Test("A handle made twice is the same series, and a destroyed one leaves the report and makes room")
    func destroy() {
        var settings = PrometheusSettings()
        settings.seriesPerNameMax = 1
        let text = Self.render(settings) { registry in
            let first = Counter(label: "c", dimensions: [("f", "1")], factory: registry)
            first.increment()
            first.destroy()
            Counter(label: "c", dimensions: [("f", "2")], factory: registry).increment()
            let timer = Timer(label: "t", factory: registry)
            timer.recordSeconds(1)
            timer.destroy()
        }
        #expect(text.contains("c{f=\"2\"} 1\n"))
        #expect(!text.contains("f=\"1\""))
        #expect(!text.contains("overflow"))
        #expect(!text.contains("t_count"))
    }

    @Test("Past the limit of series, values gather in one overflow series and are counted")
    func overflow() {
        var settings = PrometheusSettings()
        settings.seriesPerNameMax = 2
        let text = Self.render(settings) { registry in
            for number in 1...5 { Counter(label: "c", dimensions: [("n", "\(number)")], factory: registry).increment(by: number) }
        }
        #expect(text.contains("c{n=\"1\"} 1\nc{n=\"2\"} 2\nc{overflow=\"true\"} 12\n"))
        #expect(text.hasSuffix("brume_metrics_overflow_total{metric=\"c\"} 3\n"))
    }

    @Test("One name with two kinds keeps the first kind and counts the other")
    func conflict() {
        let text = Self.render { registry in
            Counter(label: "x", factory: registry).increment()
            Gauge(label: "x", factory: registry).record(7)
            FloatingPointCounter(label: "x", factory: registry).increment(by: 7)
        }
        #expect(text.contains("# TYPE x counter\nx 1\n"))
        #expect(text.contains("brume_metrics_overflow_total{metric=\"x\"} 2\n"))
        #expect(!text.contains("x 7"))
    }

    @Test("A counter never falls")
    func monotone() {
        let text = Self.render { registry in
            let counter = FloatingPointCounter(label: "c", factory: registry)
            counter.increment(by: 1.5)
            counter.increment(by: -1)
            counter.increment(by: Double.nan)
        }
        #expect(text.contains("c 1.5\n"))
    }

    @Test("Nothing is lost when many tasks count at once")
    func concurrency() async {
        let registry = PrometheusRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let counter = Counter(label: "c", factory: registry)
                    let floating = FloatingPointCounter(label: "f", factory: registry)
                    let timer = Timer(label: "t", factory: registry)
                    for _ in 0..<5_000 {
                        counter.increment()
                        floating.increment(by: 0.5)
                        timer.recordNanoseconds(Int64(1_000_000))
                    }
                }
            }
        }
        let text = String(decoding: registry.render(), as: UTF8.self)
        #expect(text.contains("\nc 40000\n"))
        #expect(text.contains("\nf 20000\n"))
        #expect(text.contains("\nt_count 40000\n"))
    }

    @Test("Counting costs tens of nanoseconds")
    func cost() {
        let registry = PrometheusRegistry()
        let counter = Counter(label: "c", dimensions: [("f", "x")], factory: registry)
        let timer = Timer(label: "t", factory: registry)
        let rounds = 200_000
        let clock = ContinuousClock()
        let counting = clock.measure { for _ in 0..<rounds { counter.increment() } } / rounds
        let timing = clock.measure { for index in 0..<rounds { timer.recordNanoseconds(Int64(index)) } } / rounds
        let lookup = clock.measure { for _ in 0..<rounds { _ = Counter(label: "c", dimensions: [("f", "x")], factory: registry) } } / rounds
        print("counter \(counting), histogram \(timing), handle \(lookup)")
        // Generous, for a debug build on a busy machine; a slip to a lock of the whole registry or an allocation would still show.
        #expect(counting < .microseconds(2))
        #expect(timing < .microseconds(20))
    }
}
