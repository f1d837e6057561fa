// SPDX-License-Identifier: Apache-2.0

import BrumeReport
import BrumeWorkload
import Foundation
import Testing

/// The report as a browser shows it.
@Suite("The HTML report", .serialized)
struct PageTests {
    /// What the page's own measuring script found.
    private struct Measures: Decodable {
        let width: Int
        let scrollWidth: Int
        /// Elements that stick out to the right of the page, and texts that stick out of their drawing.
        let outside: [String]
        let drawings: Int
        let titled: Int
        let figures: Int
        let rows: Int
        let smallestText: Double
    }

    private static let browser = "/usr/bin/chromium"

    /// Puts the page into a frame of the given width, as browsers do not make windows as narrow as phones, and measures it there.
    private static func frame(_ html: String, width: Int) -> String {
        let escaped = html.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "\"", with: "&quot;")
        return """
            <!DOCTYPE html><html><body style="margin:0"><iframe id="f" style="width:\(width)px;height:3000px;border:0" srcdoc="\(escaped)"></iframe>
            <pre id="found"></pre><script>
            document.getElementById('f').onload = () => {
              const page = document.getElementById('f').contentDocument, root = page.documentElement;
              const outside = [], name = e => e.tagName + ' ' + (e.textContent || '').slice(0, 40);
              let smallest = 99;
              for (const e of page.querySelectorAll('main *')) {
                const box = e.getBoundingClientRect();
                if (e.closest('thead') && getComputedStyle(e.closest('thead')).position === 'absolute') continue;
                if (e.tagName !== 'title' && e.tagName !== 'desc' && box.width > 0 && box.right > root.clientWidth + 1) outside.push(name(e));
                if (e.tagName === 'text') {
                  const own = e.ownerSVGElement.getBoundingClientRect();
                  if (box.left < own.left - 3 || box.right > own.right + 3 || box.bottom > own.bottom + 3 || box.top < own.top - 3)
                    outside.push(name(e));
                  smallest = Math.min(smallest, parseFloat(getComputedStyle(e).fontSize) * own.width / e.ownerSVGElement.viewBox.baseVal.width);
                }
              }
              document.getElementById('found').textContent = JSON.stringify({
                width: root.clientWidth, scrollWidth: root.scrollWidth, outside,
                drawings: page.querySelectorAll('svg').length, titled: page.querySelectorAll('svg > title + desc').length,
                figures: page.querySelectorAll('figure > figcaption + svg').length,
                rows: page.querySelectorAll('tbody tr').length, smallestText: smallest});
            };
            </script></body></html>
            """
    }

    private static func browse(_ arguments: [String], in folder: URL) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: browser)
        process.arguments =
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=\(folder.path)/profile",
                "--virtual-time-budget=4000",
            ] + arguments
        let output = folder.appending(path: "dom.html")
        _ = FileManager.default.createFile(atPath: output.path, contents: nil)
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return try String(contentsOf: output, encoding: .utf8)
    }

    @Test(
        "nothing sticks out on a phone or on a desk, all plots are there, named, and their words large enough to read",
        arguments: [390, 1280])
    func layout(width: Int) throws {
        try #require(FileManager.default.isExecutableFile(atPath: Self.browser), "no chromium; install it with: Scripts/bootstrap test")
        let folder = FileManager.default.temporaryDirectory.appending(path: "brume-page-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let experiment = SampleRuns.whole()
        let file = folder.appending(path: "frame.html")
        let html = Page(experiment).html
        try Self.frame(html, width: width).write(to: file, atomically: true, encoding: .utf8)
        let dom = try Self.browse(["--window-size=1300,3000", "--dump-dom", file.absoluteString], in: folder)
        let start = try #require(dom.range(of: "<pre id=\"found\">"))
        let end = try #require(dom.range(of: "</pre>", range: start.upperBound..<dom.endIndex))
        let found = dom[start.upperBound..<end.lowerBound].replacingOccurrences(of: "&amp;", with: "&")
        let measures = try JSONDecoder().decode(Measures.self, from: Data(found.utf8))
        #expect(measures.width == width)
        #expect(measures.scrollWidth <= width)
        #expect(measures.outside == [])
        // Of nine policies, real and simulated: three bars; latency, CPU and memory of each; speedup of all but the one.
        let plots = 2 * (3 + 3 * 9 + 8)
        #expect((measures.drawings, measures.titled, measures.figures) == (plots, plots, plots))
        #expect(measures.rows == 18)
        #expect(measures.smallestText >= 10, "a text is \(measures.smallestText) pixels high")
        // For whoever wants to look.
        if let keep = ProcessInfo.processInfo.environment["KEEP_REPORT"] {
            try html.write(toFile: "\(keep)/report.html", atomically: true, encoding: .utf8)
            _ = try Self.browse(
                ["--window-size=\(width),3000", "--screenshot=\(keep)/report-\(width).png", file.absoluteString], in: folder)
        }
    }

    @Test("the page is one file: no scripts, nothing from elsewhere, and names cannot break out of it")
    func selfContained() {
        let odd = SampleRuns.run("<b>&\"odd", [SampleRuns.record(0, "a<script>", running: 5)], [SampleRuns.point(5, cpu: 1)])
        let base = SampleRuns.run("static", [SampleRuns.record(0, "a<script>", running: 9)], [SampleRuns.point(9, cpu: 1)])
        let html = Page(SampleRuns.experiment([base, odd])).html
        for word in ["<script", "src=", "href=", "@import", "url(", "<b>", "onload"] { #expect(!html.contains(word), "\(word)") }
        #expect(html.contains("&lt;b&gt;&amp;&quot;odd"))
    }

    @Test("one table is a page like the others: its bars, a row of its own for each line, and names cannot break out of it")
    func oneTable() {
        let html = Page(
            title: "Calls <a> minute", lead: "as <b> found", columns: ["policy", "calls & more", "change"],
            rows: [["static<", "70", "0"], ["harvest", "78", "8 (+11 %)"]], bars: [70, 78], footer: "made & done"
        ).html
        let other = Page(SampleRuns.experiment([SampleRuns.run("static", [])])).html
        func head(_ page: String) -> Substring { page[..<(page.range(of: "<title>")?.lowerBound ?? page.startIndex)] }
        #expect(head(html) == head(other) && !head(html).isEmpty, "the same head")
        for word in ["<script", "src=", "href=", "@import", "url(", "<b>", "<a>"] { #expect(!html.contains(word), "\(word)") }
        #expect(html.contains("<title>Brume: Calls &lt;a&gt; minute</title>") && html.contains("<p class=\"lead\">as &lt;b&gt; found</p>"))
        #expect(html.contains("<tr><th scope=\"row\">static&lt;</th><td data-label=\"calls &amp; more\">70</td>"))
        #expect(html.contains("<td data-label=\"change\">8  <small>(+11 %)</small></td>") && html.contains("<p>made &amp; done</p>"))
        #expect(html.contains("<figure>") && html.contains("<svg") && html.hasSuffix("</html>\n"))
    }

    @Test("a report of runs without a single call or point is still a page")
    func empty() {
        let html = Page(SampleRuns.experiment([SampleRuns.run("static", []), SampleRuns.run("harvest", [])])).html
        #expect(html.hasSuffix("</html>\n"))
        #expect(Page(SampleRuns.experiment([])).html.contains("</main>"))
    }
}
