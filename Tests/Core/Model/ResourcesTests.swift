// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Testing

@Suite("Resources")
struct ResourcesTests {
    @Test(
        "CPU is read in thousandths or cores",
        arguments: [
            ("500m", 500), ("1m", 1), ("2", 2_000), ("0.25", 250), ("0.001", 1), ("1.5", 1_500), ("0.0015", 2), ("1.5m", 2),
            ("1000", 1_000_000),
            (".5", 500),
        ])
    func millicores(text: String, value: Int) throws {
        #expect(try Resources.millicores(parsing: text) == value)
    }

    @Test(
        "What is not an amount of CPU is refused",
        arguments: [
            "", "m", "0", "0m", "-1", "-5m", "+1", "1e3", "0x10", "0x10m", "inf", "nan", "infinity", "1 ", " 1", "1,5", "1.2.3", "1mm",
            "500M", "1001", "٣",
        ])
    func badMillicores(text: String) {
        let error = #expect(throws: BrumeError.self) { try Resources.millicores(parsing: text) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains("write thousandths of a core (500m)") == true)
    }

    @Test(
        "Memory is read in binary and decimal units or bytes",
        arguments: [
            ("128Mi", 134_217_728), ("1Gi", 1_073_741_824), ("4096Ki", 4_194_304), ("1Ti", 1_099_511_627_776), ("500M", 500_000_000),
            ("2G", 2_000_000_000), ("1k", 1_000), ("1K", 1_000), ("3T", 3_000_000_000_000), ("1", 1), ("1073741824", 1_073_741_824),
            ("0.5Gi", 536_870_912), ("1.5Ki", 1_536),
        ])
    func bytes(text: String, value: Int) throws {
        #expect(try Resources.bytes(parsing: text) == value)
    }

    @Test(
        "What is not an amount of memory is refused",
        arguments: [
            "", "Mi", "0", "-1", "-1Mi", "+1Mi", "1e9", "0x10", "inf", "nan", "128MB", "128 Mi", "128mi", "1.2.3Mi", ".", "1Pi", "2000Ti",
            "٣Mi",
            "99999999999999999999",
        ])
    func badBytes(text: String) {
        let error = #expect(throws: BrumeError.self) { try Resources.bytes(parsing: text) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains("128Mi") == true)
    }

    @Test("A description is read back as the same amount", arguments: [1, 999, 1_000, 1_001, 250, 2_000, 64_000])
    func describedMillicores(value: Int) throws {
        #expect(try Resources.millicores(parsing: Resources.describe(millicores: value)) == value)
    }

    @Test(
        "Memory is described by the shortest exact notation",
        arguments: [(134_217_728, "128Mi"), (1_073_741_824, "1Gi"), (1_536, "1536"), (2_048, "2Ki"), (1, "1"), (0, "0"), (5 << 30, "5Gi")])
    func describedBytes(value: Int, text: String) throws {
        #expect(Resources.describe(bytes: value) == text)
        if value > 0 { #expect(try Resources.bytes(parsing: text) == value) }
    }

    @Test("A demand fits when it fits in both dimensions")
    func fits() {
        let capacity = Resources(millicores: 1_000, memoryBytes: 100)
        #expect(capacity.fits(in: capacity))
        #expect(Resources.zero.fits(in: .zero))
        #expect(!Resources(millicores: 1_001, memoryBytes: 1).fits(in: capacity))
        #expect(!Resources(millicores: 1, memoryBytes: 101).fits(in: capacity))
        #expect(capacity - capacity == .zero)
        #expect(capacity + .zero == capacity)
    }
}
