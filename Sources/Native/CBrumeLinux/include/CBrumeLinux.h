// SPDX-License-Identifier: Apache-2.0
//
// What Swift cannot say by itself on Linux. Every function returns a negated errno on failure unless it says otherwise.

#ifndef CBRUME_LINUX_H
#define CBRUME_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

#include "BrumeSpawnProtocol.h"

/// Starts the spawner at `path` in a process group of its own, with its socket on BRUME_SPAWN_SOCKET.
/// Returns this end of the socket (close-on-exec).
int brume_launch_spawner(const char *path, bool join_fast, pid_t *pid);

/// Sends one packet with descriptors. Blocks while the spawner is busy. Returns 0.
int brume_send_packet(int socket, const void *bytes, size_t length, const int *fds, size_t fd_count);

/// Sends SPAWN: fills in the fixed structures. `counts`: arguments, environment, groups, stages, directories.
/// `limits` holds pairs of resource and amount. Returns 0.
int brume_send_spawn(
    int socket, uint32_t request, uint64_t sandbox, uint32_t flags, uint32_t id, const uint32_t counts[5], bool marked,
    const uint64_t *limits, size_t limit_count, const int *fds, size_t fd_count);

/// Sends ADOPT. Returns 0.
int brume_send_adopt(
    int socket, uint32_t request, uint64_t sandbox, uint32_t binds, uint32_t secrets, const int *fds, size_t fd_count);

/// Sends a request without descriptors. Returns 0.
int brume_send_request(int socket, uint32_t type, uint32_t request, uint64_t sandbox, int32_t value);

/// Receives one event of the spawner; `*fd` is -1 or a descriptor (close-on-exec). Blocks. Returns 1, or 0 at the end of the stream.
int brume_receive_event(int socket, struct brume_event *event, int *fd);

/// An anonymous memory file with this content, at its beginning, close-on-exec.
int brume_memory_file(const char *name, const void *bytes, size_t length);

/// Writes the seccomp program of a sandbox (an array of `struct sock_filter`) and returns its length in bytes.
ssize_t brume_seccomp_program(void *bytes, size_t capacity);

/// Names of the system calls that the program refuses, separated by spaces, for container runtimes that build their own.
const char *brume_seccomp_names(void);

/// Makes a directory and those above it inside `root`, where no symbolic link leads out of it. Returns 0, also when it was there.
int brume_make_directory_inside(const char *root, const char *path);

/// Removes a directory with everything in it, following no symbolic link and entering no other file system. 0 also if it was not there.
int brume_remove_tree(const char *path);

/// Opens both ends of a pipe close-on-exec, the reading end non-blocking. Returns 0.
int brume_pipe(int ends[2]);

/// Waits for a child. Returns its wait status, or a negated errno.
int brume_wait(pid_t pid);

/// Reads a small file in one read. Returns the number of bytes.
ssize_t brume_read_file(const char *path, void *bytes, size_t capacity);

/// Writes an existing file in one write. Returns 0.
int brume_write_file(const char *path, const void *bytes, size_t length);

/// Makes a file that was not there, with this mode whatever the umask says. Returns 0.
int brume_create_file(const char *path, const void *bytes, size_t length, mode_t mode);

/// Makes a directory with this mode whatever the umask says. Returns 0, also when it was there.
int brume_make_directory(const char *path, mode_t mode);

/// The number of milliseconds until `path`/cgroup.events says `populated 0`, waiting at most `limit`; -ETIME after that.
int brume_wait_unpopulated(const char *group, int limit_milliseconds);

/// The token of the wake-up in brume_poller_wait().
#define BRUME_POLLER_WOKEN UINT64_MAX

/// Makes what waits for kernel files: a descriptor to wait with, and one to wake the waiting thread with (both close-on-exec).
int brume_poller_open(int *wake);

/// Has the poller tell `token` each time that the kernel says (POLLPRI) that the file has changed, until the file is closed. Returns 0.
int brume_poller_add(int poller, int fd, uint64_t token);

/// Ends a waiting, or the next one.
void brume_poller_wake(int wake);

/// Waits so long at most, for ever if negative. Returns how many tokens it wrote; 0 after the time.
int brume_poller_wait(int poller, int64_t nanoseconds, uint64_t *tokens, int capacity);

/// Accepts a connection, close-on-exec and non-blocking, and says whose it is in a `struct sockaddr_storage`. Returns its descriptor.
int brume_accept(int listener, void *peer);

/// Gives the calling thread a name of at most 15 bytes, for who looks at the process.
void brume_name_thread(const char *name);

/// Nanoseconds of the monotonic clock.
int64_t brume_monotonic_nanoseconds(void);

#endif
