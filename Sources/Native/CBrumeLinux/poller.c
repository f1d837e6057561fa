// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what kernel files tell: they speak by POLLPRI, which event loops for sockets do not listen to.

#include "CBrumeLinux.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Events taken from the kernel at a time; the rest waits for the next look.
#define EVENTS_MAX 64

static int add(int poller, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int brume_poller_open(int *wake) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) return -errno;
    *wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = *wake < 0 ? -errno : add(poller, *wake, EPOLLIN | EPOLLET, BRUME_POLLER_WOKEN);
    if (!error) return poller;
    if (*wake >= 0) close(*wake);
    close(poller);
    return error;
}

int brume_poller_add(int poller, int fd, uint64_t token) {
    // By edges: the file of a group that is gone has something to tell for ever.
    return add(poller, fd, EPOLLPRI | EPOLLET, token);
}

void brume_poller_wake(int wake) {
    uint64_t one = 1;
    (void)!write(wake, &one, sizeof one);
}

int brume_poller_wait(int poller, int64_t nanoseconds, uint64_t *tokens, int capacity) {
    struct epoll_event events[EVENTS_MAX];
    // Rounded up: a look that comes too early would be none.
    int64_t milliseconds = nanoseconds < 0 ? -1 : nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);
    if (milliseconds > INT32_MAX) milliseconds = INT32_MAX;
    int count = epoll_wait(poller, events, capacity < EVENTS_MAX ? capacity : EVENTS_MAX, (int)milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < count; index++) tokens[index] = events[index].data.u64;
    return count;
}
