// swift-tools-version:6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let package = Package(
    name: "swift-lambda",
    targets: [.executableTarget(name: "bootstrap")],
    swiftLanguageModes: [.v6]
)
