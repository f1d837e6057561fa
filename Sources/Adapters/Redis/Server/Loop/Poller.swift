// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// The kernel's list of descriptors that are ready: one epoll instance, told of levels rather than edges.
@safe struct Poller: ~Copyable {
    /// What a descriptor is ready for, or is to be watched for.
    struct Readiness: OptionSet {
        let rawValue: UInt32

        static var input: Readiness { Readiness(rawValue: EPOLLIN.rawValue) }
        static var output: Readiness { Readiness(rawValue: EPOLLOUT.rawValue) }
        /// Both ends have finished sending; told without being asked for, as failures are.
        static var hangUp: Readiness { Readiness(rawValue: EPOLLHUP.rawValue) }
        static var failure: Readiness { Readiness(rawValue: EPOLLERR.rawValue) }
    }

    /// Descriptors that are told of in one go; more come in the next.
    private static let eventsMax = 512

    private let descriptor: Int32
    private let events: UnsafeMutablePointer<epoll_event>

    /// - Throws: `BrumeError` (`failed`) where the process has no descriptor left.
    init() throws(BrumeError) {
        let made = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard made >= 0 else { throw BrumeError(.failed, "No epoll instance can be made (errno \(errno)); raise the limit of open files.") }
        descriptor = made
        unsafe events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsMax)
    }

    deinit {
        unsafe events.deallocate()
        _ = Glibc.close(descriptor)
    }

    /// Watches a descriptor until it is closed. Events carry the token. False where the kernel's limit is reached.
    func add(_ watched: Int32, token: UInt64, for interest: Readiness) -> Bool {
        control(EPOLL_CTL_ADD, watched, token, interest)
    }

    /// Watches a descriptor for something else from now on.
    func change(_ watched: Int32, token: UInt64, for interest: Readiness) {
        _ = control(EPOLL_CTL_MOD, watched, token, interest)
    }

    private func control(_ operation: Int32, _ watched: Int32, _ token: UInt64, _ interest: Readiness) -> Bool {
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        return unsafe epoll_ctl(descriptor, operation, watched, &event) == 0
    }

    /// Waits until a descriptor is ready or the time is over, for ever without one; answers with how many are ready.
    func wait(milliseconds: Int32?) -> Int {
        // A signal that interrupts it is an early end like any other.
        max(0, Int(unsafe epoll_wait(descriptor, events, Int32(Self.eventsMax), milliseconds ?? -1)))
    }

    /// One of the descriptors that the last wait found ready.
    func event(_ index: Int) -> (token: UInt64, readiness: Readiness) {
        let event = unsafe events[index]
        return (unsafe event.data.u64, Readiness(rawValue: unsafe event.events))
    }
}
