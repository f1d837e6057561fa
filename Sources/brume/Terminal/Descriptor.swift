// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// An open file of the operating system; NIO has a protocol of the same name.
typealias Descriptor = SystemPackage.FileDescriptor
