// SPDX-License-Identifier: Apache-2.0
//
// The loop: requests of the node, ends of children, words of bubblewrap, connections that became ready.

#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS_MAX 64
// After the node is gone: so long may killed sandboxes take to disappear before the spawner leaves them to the next start's cleaning.
#define LAST_WAIT_MILLISECONDS 5000

void tell(const struct brume_event *event, int fd) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)event, .iov_len = sizeof *event};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    // Blocks while the node is slow to read; an error means that the node is gone, which the loop sees next.
    while (sendmsg(BRUME_SPAWN_SOCKET, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

void answer(const struct brume_request *request, int value, int error, int fd) {
    struct brume_event event = {
        .type = BRUME_ANSWER, .request = request->request, .sandbox = request->sandbox, .value = value, .error = error};
    tell(&event, fd);
}

struct sandbox *find_sandbox(struct spawner *spawner, uint64_t id) {
    for (int index = 0; index < spawner->used_max; index++)
        if (spawner->sandboxes[index].used && spawner->sandboxes[index].id == id) return &spawner->sandboxes[index];
    return NULL;
}

bool watch(struct spawner *spawner, int fd, uint32_t events, enum source source, uint32_t index) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)source << 32 | index};
    return epoll_ctl(spawner->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int children_of(pid_t pid, pid_t *children, int max) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    int count = 0;
    long child;
    while (file && count < max && fscanf(file, "%ld", &child) == 1) children[count++] = (pid_t)child;
    if (file) fclose(file);
    return count;
}

pid_t inside_pid(struct sandbox *sandbox) {
    pid_t child;
    if (sandbox->flags & BRUME_STATUS_PIPE) return sandbox->inside;
    if (!(sandbox->flags & BRUME_INSIDE_IS_CHILD)) return sandbox->pid;
    return children_of(sandbox->pid, &child, 1) == 1 ? child : 0;
}

// SIGTERM goes to the function alone: bubblewrap would end at once, and the init that it puts in front ignores it.
static void ask_to_stop(struct sandbox *sandbox) {
    pid_t function = inside_pid(sandbox);
    if (function == 0) return;
    if (sandbox->flags & BRUME_STATUS_PIPE && children_of(sandbox->inside, &function, 1) != 1) return;
    kill(function, SIGTERM);
}

static void kill_sandbox(struct sandbox *sandbox) {
    kill(-sandbox->pid, SIGKILL);
    kill(sandbox->pid, SIGKILL);
    kill_groups(sandbox->groups, sandbox->flags & BRUME_HAS_UNIFIED);
    if (sandbox->marker) kill_marked(sandbox->marker);
}

static void close_status(struct spawner *spawner, struct sandbox *sandbox) {
    if (sandbox->status_fd < 0) return;
    epoll_ctl(spawner->epoll, EPOLL_CTL_DEL, sandbox->status_fd, NULL);
    close(sandbox->status_fd);
    sandbox->status_fd = -1;
}

static void read_status(struct spawner *spawner, uint32_t index) {
    struct sandbox *sandbox = &spawner->sandboxes[index];
    if (!sandbox->used || sandbox->status_fd < 0) return;
    size_t room = sizeof sandbox->status_text - 1 - sandbox->status_length;
    ssize_t got = room > 0 ? read(sandbox->status_fd, sandbox->status_text + sandbox->status_length, room) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return close_status(spawner, sandbox);
    sandbox->status_length += (size_t)got;
    sandbox->status_text[sandbox->status_length] = 0;
    const char *key = sandbox->inside == 0 ? strstr(sandbox->status_text, "\"child-pid\":") : NULL;
    if (!key) return;
    const char *number = key + strlen("\"child-pid\":");
    char *end;
    long pid = strtol(number, &end, 10);
    if (*end == 0 || pid <= 1) return;  // Cut off in the middle of the number: the rest comes.
    sandbox->inside = (pid_t)pid;
    struct brume_event event = {.type = BRUME_INSIDE, .sandbox = sandbox->id, .value = (int32_t)pid};
    tell(&event, -1);
}

static void forget(struct spawner *spawner, struct sandbox *sandbox) {
    close_status(spawner, sandbox);
    for (char **group = sandbox->groups; group && *group; group++) free(*group);
    free(sandbox->groups);
    free(sandbox->marker);
    sandbox->used = false;
    while (spawner->used_max > 0 && !spawner->sandboxes[spawner->used_max - 1].used) spawner->used_max--;
}

static int reap(struct spawner *spawner, bool clean) {
    struct signalfd_siginfo ignored;
    while (read(spawner->signals, &ignored, sizeof ignored) > 0) continue;
    int status, living = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int index = 0; index < spawner->used_max; index++) {
            struct sandbox *sandbox = &spawner->sandboxes[index];
            if (!sandbox->used || sandbox->pid != pid) continue;
            // Whatever outlived the program that was started (daemons of a bare process, a container without its runtime) ends too.
            kill_groups(sandbox->groups, sandbox->flags & BRUME_HAS_UNIFIED);
            if (sandbox->marker) kill_marked(sandbox->marker);
            if (clean) remove_groups(sandbox->groups);
            struct brume_event event = {.type = BRUME_EXIT, .sandbox = sandbox->id, .value = status};
            tell(&event, -1);
            forget(spawner, sandbox);
            break;
        }
    }
    for (int index = 0; index < spawner->used_max; index++) living += spawner->sandboxes[index].used;
    return living;
}

static _Noreturn void leave(struct spawner *spawner) {
    for (int index = 0; index < spawner->used_max; index++)
        if (spawner->sandboxes[index].used) kill_sandbox(&spawner->sandboxes[index]);
    for (int waited = 0; waited < LAST_WAIT_MILLISECONDS && reap(spawner, true) > 0; waited += 10) {
        struct pollfd signals = {.fd = spawner->signals, .events = POLLIN};
        poll(&signals, 1, 10);
    }
    exit(0);
}

static void serve(struct spawner *spawner, const char *packet, size_t length, int *fds, int fd_count) {
    struct brume_request request;
    if (length < sizeof request) return;
    memcpy(&request, packet, sizeof request);
    struct sandbox *sandbox = find_sandbox(spawner, request.sandbox);
    struct order order;
    int error;
    switch (request.type) {
    case BRUME_SPAWN:
        error = read_order(&order, packet, length, fds, fd_count);
        if (!error) error = start_sandbox(spawner, &order);
        if (error) answer(&request, 0, error, -1);
        free_order(&order);
        break;
    case BRUME_CONNECT:
    case BRUME_LISTEN: reach(spawner, &request); break;
    case BRUME_ADOPT: adopt(spawner, packet, length, fds, fd_count); break;
    case BRUME_SIGNAL:
        if (sandbox && request.value == BRUME_ASK) ask_to_stop(sandbox);
        if (sandbox && request.value == BRUME_KILL) kill_sandbox(sandbox);
        break;
    default: answer(&request, 0, ENOSYS, -1);
    }
}

static void read_node(struct spawner *spawner) {
    char packet[BRUME_SPAWN_PACKET_MAX];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * BRUME_SPAWN_FDS_MAX)];
    } control;
    struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(BRUME_SPAWN_SOCKET, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (length <= 0) leave(spawner);
    int fds[BRUME_SPAWN_FDS_MAX], count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds + count, CMSG_DATA(header), sizeof(int) * (size_t)found);
        count += found;
    }
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) serve(spawner, packet, (size_t)length, fds, count);
    else if ((size_t)length >= sizeof(struct brume_request)) answer((const struct brume_request *)(const void *)packet, 0, EMSGSIZE, -1);
    for (int index = 0; index < count; index++) close(fds[index]);
}

static void set_up(struct spawner *spawner) {
    sigset_t blocked;
    sigfillset(&blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    spawner->self = getpid();
    spawner->root = geteuid() == 0;
    spawner->signals = signalfd(-1, &blocked, SFD_NONBLOCK | SFD_CLOEXEC);
    spawner->epoll = epoll_create1(EPOLL_CLOEXEC);
    spawner->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    spawner->own_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    spawner->sandboxes = calloc(BRUME_SPAWN_SANDBOXES_MAX, sizeof *spawner->sandboxes);
    // Orphans of sandboxes without a pid namespace come here to be reaped.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fcntl(BRUME_SPAWN_SOCKET, F_SETFD, FD_CLOEXEC);
    if (spawner->root) spawner->can = prepare_mounts();
    if ((spawner->can & BRUME_CAN_STAGE) && can_adopt()) spawner->can |= BRUME_CAN_ADOPT;
    if (!spawner->sandboxes || spawner->epoll < 0 || !watch(spawner, BRUME_SPAWN_SOCKET, EPOLLIN, FROM_NODE, 0)
        || !watch(spawner, spawner->signals, EPOLLIN, FROM_SIGNALS, 0)) {
        fprintf(stderr, "brume-spawner: this program is started by a brume node, with a socket on descriptor %d.\n", BRUME_SPAWN_SOCKET);
        exit(2);
    }
}

int main(void) {
    struct spawner spawner = {0};
    set_up(&spawner);
    struct brume_event ready = {.type = BRUME_READY, .value = BRUME_SPAWN_VERSION, .error = (int32_t)spawner.can};
    tell(&ready, -1);
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(spawner.epoll, events, EVENTS_MAX, -1);
        for (int index = 0; index < count; index++) {
            uint32_t about = (uint32_t)events[index].data.u64;
            switch ((enum source)(events[index].data.u64 >> 32)) {
            case FROM_NODE: read_node(&spawner); break;
            case FROM_SIGNALS: reap(&spawner, false); break;
            case FROM_STATUS: read_status(&spawner, about); break;
            case FROM_PENDING: pending_ready(&spawner, about); break;
            }
        }
    }
}
