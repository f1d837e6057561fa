// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CBrumeLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int brume_launch_spawner(const char *path, bool join_fast, pid_t *pid) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
    // posix_spawn's dup2 onto itself would keep close-on-exec in older C libraries: keep away from the target.
    int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, BRUME_SPAWN_FIRST_FD);
    close(ends[1]);
    if (theirs < 0) {
        close(ends[0]);
        return -EMFILE;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, BRUME_SPAWN_SOCKET);
    posix_spawn_file_actions_addclosefrom_np(&actions, BRUME_SPAWN_SOCKET + 1);
    posix_spawnattr_init(&attributes);
    // An interrupt on the terminal is for the node, which then ends its sandboxes in order.
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    char *const arguments[] = {(char *)(uintptr_t)path, NULL};
    char *const fast[] = {(char *)(uintptr_t) "BRUME_SPAWNER_JOIN_FAST=1", NULL};
    char *const plain[] = {NULL};
    int error = posix_spawn(pid, path, &actions, &attributes, arguments, join_fast ? fast : plain);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(theirs);
    if (!error) return ends[0];
    close(ends[0]);
    return -error;
}

int brume_send_packet(int socket, const void *bytes, size_t length, const int *fds, size_t fd_count) {
    if (fd_count > BRUME_SPAWN_FDS_MAX) return -E2BIG;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * BRUME_SPAWN_FDS_MAX)];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int brume_send_spawn(
    int socket, uint32_t request, uint64_t sandbox, uint32_t flags, uint32_t id, const uint32_t counts[5], bool marked,
    const uint64_t *limits, size_t limit_count, const int *fds, size_t fd_count) {
    if (limit_count > BRUME_SPAWN_RLIMITS_MAX) return -E2BIG;
    struct {
        struct brume_request request;
        struct brume_spawn spawn;
    } packet;
    memset(&packet, 0, sizeof packet);
    packet.request.type = BRUME_SPAWN;
    packet.request.request = request;
    packet.request.sandbox = sandbox;
    packet.spawn.flags = flags;
    packet.spawn.uid = packet.spawn.gid = id;
    packet.spawn.arguments = counts[0];
    packet.spawn.environment = counts[1];
    packet.spawn.groups = counts[2];
    packet.spawn.stages = counts[3];
    packet.spawn.directories = counts[4];
    packet.spawn.marked = marked;
    packet.spawn.rlimits = (uint32_t)limit_count;
    for (size_t index = 0; index < limit_count; index++) {
        packet.spawn.rlimit[index].resource = (uint32_t)limits[2 * index];
        packet.spawn.rlimit[index].amount = limits[2 * index + 1];
    }
    return brume_send_packet(socket, &packet, sizeof packet, fds, fd_count);
}

int brume_send_adopt(
    int socket, uint32_t request, uint64_t sandbox, uint32_t binds, uint32_t secrets, const int *fds, size_t fd_count) {
    struct {
        struct brume_request request;
        struct brume_adopt adopt;
    } packet;
    memset(&packet, 0, sizeof packet);
    packet.request.type = BRUME_ADOPT;
    packet.request.request = request;
    packet.request.sandbox = sandbox;
    packet.adopt.binds = binds;
    packet.adopt.secrets = secrets;
    return brume_send_packet(socket, &packet, sizeof packet, fds, fd_count);
}

int brume_send_request(int socket, uint32_t type, uint32_t request, uint64_t sandbox, int32_t value) {
    struct brume_request packet = {.type = type, .request = request, .sandbox = sandbox, .value = value};
    return brume_send_packet(socket, &packet, sizeof packet, NULL, 0);
}

int brume_receive_event(int socket, struct brume_event *event, int *fd) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = event, .iov_len = sizeof *event};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *fd = -1;
    ssize_t got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    if (got == 0) return 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return got == (ssize_t)sizeof *event ? 1 : -EBADMSG;
}
