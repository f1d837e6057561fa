// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@Suite("What a spec says about harvesting")
struct HarvestPolicyTests {
    @Test(
        "a function takes part unless it says otherwise",
        arguments: [(nil, [.cpu, .memory]), ("true", [.cpu, .memory]), ("false", []), ("cpu", [.cpu]), ("memory", [.memory])]
            as [(String?, Set<ResourceKind>)])
    func takesPart(word: String?, kinds: Set<ResourceKind>) throws {
        var annotations = ["com.example.other": "x"]
        annotations[HarvestPolicy.annotation] = word
        #expect(try HarvestPolicy(annotations: annotations).takesPart == kinds)
    }

    @Test("parameters are named with commas between them")
    func parameters() throws {
        #expect(try HarvestPolicy(annotations: [:]).parameterNames == [])
        #expect(
            try HarvestPolicy(annotations: [HarvestPolicy.parametersAnnotation: " size, rows ,n"]).parameterNames == ["size", "rows", "n"])
    }

    @Test("anything else is refused with what to write", arguments: ["a,b,c,d", "", "a,,b", "a,a", " "])
    func refusedParameters(list: String) {
        #expect(throws: BrumeError.self) { try HarvestPolicy(annotations: [HarvestPolicy.parametersAnnotation: list]) }
    }

    @Test("an unknown word is refused", arguments: ["no", "TRUE", "", "cpu,memory"])
    func refusedWord(word: String) throws {
        let error = #expect(throws: BrumeError.self) { try HarvestPolicy(annotations: [HarvestPolicy.annotation: word]) }
        #expect(try #require(error).message.contains("write true, false, cpu or memory"))
    }
}
