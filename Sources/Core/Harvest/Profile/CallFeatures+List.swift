// SPDX-License-Identifier: Apache-2.0

import BrumeModel

extension CallFeatures {
    /// Larger values count as this: their squares would leave the range in which a curve can be computed.
    private static let valueMax = 1e15

    /// The size, each parameter, and the product of all parameters where there are several: rows times columns, rounds times items.
    var list: [FeatureValue?] {
        let named = parameters.prefix(Self.parametersMax).map { $0.flatMap(Self.sensible) }
        var list = [Self.sensible(Double(max(0, inputBytes)))] + named
        if named.count > 1 {
            var product: Double? = 1
            for value in named { product = product.flatMap { left in value.flatMap { Self.sensible(left * $0) } } }
            list.append(product)
        }
        return list.map { $0.map { FeatureValue($0) } }
    }

    private static func sensible(_ value: Double) -> Double? { value.isNaN ? nil : min(max(value, -valueMax), valueMax) }
}
