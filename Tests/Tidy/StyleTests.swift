// SPDX-License-Identifier: Apache-2.0

import Testing

/// What the formatter and the compiler do not check.
@Suite struct StyleTests {
    @Test("a file has at most 500 lines")
    func files() { Rule.fileLength.expect() }

    @Test("a function has at most 70 lines")
    func functions() { Rule.functionLength.expect() }

    @Test("a line has at most 140 columns")
    func lines() { Rule.lineLength.expect() }

    @Test("each file names its licence")
    func licence() { Rule.licence.expect() }

    @Test("nothing is left to do later")
    func leftOvers() { Rule.nothingLeftOver.expect() }

    @Test("a crash says why, and nothing is forced")
    func crashes() { Rule.crashesSayWhy.expect() }

    @Test("every task has an owner")
    func tasks() { Rule.tasksHaveOwners.expect() }

    @Test("no path of somebody's machine")
    func paths() { Rule.noMachinePaths.expect() }
}
