// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@Suite("Logarithm and exponential")
struct ElementaryFunctionTests {
    @Test(
        "known values are met to the last digits",
        arguments: [
            (1, 0), (2, 0.6931471805599453), (10, 2.302585092994046), (0.5, -0.6931471805599453), (2.718281828459045, 1),
            (1e-300, -690.7755278982137), (1e300, 690.7755278982137), (1.0000000000000002, 2.220446049250313e-16),
            (.leastNonzeroMagnitude, -744.4400719213812), (1.4142135623730951, 0.3465735902799727),
        ])
    func logarithms(x: Double, expected: Double) {
        #expect(abs(Elementary.logarithm(x) - expected) <= 4 * max(expected.ulp, Double.leastNormalMagnitude))
    }

    @Test(
        "the exponential meets known values",
        arguments: [
            (0, 1), (1, 2.718281828459045), (-1, 0.36787944117144233), (10, 22026.465794806718), (-20, 2.061153622438558e-09),
            (709.7, 1.6549840276802644e+308), (-745, .leastNonzeroMagnitude), (0.5, 1.6487212707001282),
        ])
    func exponentials(x: Double, expected: Double) {
        #expect(abs(Elementary.exponential(x) - expected) <= 4 * expected.ulp)
    }

    @Test("both agree with the C library over their range", arguments: [1, 2, 3] as [UInt64])
    func agreesWithLibrary(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let x = Double(sign: .plus, exponent: generator.draw(-1000...1000), significand: 1 + generator.unit())
            #expect(abs(Elementary.logarithm(x) - log(x)) <= 4 * log(x).ulp, "seed \(seed), ln \(x)")
            let y = (generator.unit() - 0.5) * 1400
            #expect(abs(Elementary.exponential(y) - exp(y)) <= 4 * exp(y).ulp, "seed \(seed), e^\(y)")
        }
    }

    @Test("the ends of the range are infinities, zero and NaN, not traps")
    func ends() {
        #expect(Elementary.logarithm(0) == -.infinity)
        #expect(Elementary.logarithm(-1).isNaN)
        #expect(Elementary.logarithm(.infinity) == .infinity)
        #expect(Elementary.exponential(1000) == .infinity)
        #expect(Elementary.exponential(-1000) == 0)
        #expect(Elementary.exponential(.nan).isNaN)
    }
}
