// SPDX-License-Identifier: Apache-2.0
//
// Sockets in a sandbox's own network namespace. Root hops there and back; anyone else sends a child, because entering the user
// namespace that owns the network namespace is a way without return.

#define _GNU_SOURCE
#include "spawner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// A refused or unanswered connect ends after the first retransmission, about one second.
#define SYN_RETRIES 1
// How long a child that reaches for an unprivileged node may take, seconds.
#define CHILD_SECONDS 5
// A function takes no more connections than that at once without accepting.
#define LISTEN_BACKLOG 128

struct pending {
    int fd;
    struct brume_request request;
};

static struct pending pending[BRUME_SPAWN_PENDING_MAX];

// Bubblewrap gives the loopback its address before it brings it up. In between a connect neither fails nor succeeds: its first packet is
// dropped, and the next one comes a second later.
static bool loopback_is_up(int fd) {
    struct ifreq about = {.ifr_name = "lo"};
    return ioctl(fd, SIOCGIFFLAGS, &about) == 0 && (about.ifr_flags & IFF_UP);
}

static int make_socket(const struct brume_request *request, int extra, int *fd) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)request->value), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | extra, 0);
    if (*fd < 0) return errno;
    int one = 1, retries = SYN_RETRIES;
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int failed;
    if (request->type == BRUME_CONNECT) {
        if (!loopback_is_up(*fd)) return ENETDOWN;
        setsockopt(*fd, IPPROTO_TCP, TCP_SYNCNT, &retries, sizeof retries);
        failed = connect(*fd, (struct sockaddr *)&address, sizeof address);
    } else {
        failed = bind(*fd, (struct sockaddr *)&address, sizeof address) || listen(*fd, LISTEN_BACKLOG);
    }
    return failed ? errno : 0;
}

static int port_of(int fd) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 ? ntohs(address.sin_port) : 0;
}

static void hand_over(const struct brume_request *request, int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    answer(request, request->type == BRUME_LISTEN ? port_of(fd) : request->value, 0, fd);
}

static int remember(struct spawner *spawner, const struct brume_request *request, int fd) {
    for (uint32_t index = 0; index < BRUME_SPAWN_PENDING_MAX; index++) {
        if (pending[index].fd != 0) continue;
        if (!watch(spawner, fd, EPOLLOUT, FROM_PENDING, index)) return errno;
        pending[index] = (struct pending){.fd = fd, .request = *request};
        return 0;
    }
    return EAGAIN;
}

void pending_ready(struct spawner *spawner, uint32_t index) {
    (void)spawner;
    if (index >= BRUME_SPAWN_PENDING_MAX || pending[index].fd == 0) return;
    int fd = pending[index].fd, error = 0;
    socklen_t length = sizeof error;
    pending[index].fd = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    epoll_ctl(spawner->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (error) answer(&pending[index].request, 0, error, -1);
    else hand_over(&pending[index].request, fd);
    close(fd);
}

static void reach_as_root(struct spawner *spawner, const struct brume_request *request, int network) {
    if (setns(network, CLONE_NEWNET) != 0) return answer(request, 0, errno, -1);
    int fd = -1, error = make_socket(request, SOCK_NONBLOCK, &fd);
    if (setns(spawner->own_network, CLONE_NEWNET) != 0) _exit(1);  // In the wrong network for good: the node starts another spawner.
    if (error == EINPROGRESS) {
        error = remember(spawner, request, fd);
        if (!error) return;
    }
    if (error) answer(request, 0, error, -1);
    else hand_over(request, fd);
    if (fd >= 0) close(fd);
}

static void reach_by_child(struct spawner *spawner, const struct brume_request *request, int network) {
    pid_t child = fork();
    if (child < 0) return answer(request, 0, errno, -1);
    if (child > 0) return;
    // SIGALRM is blocked in the spawner; a child that hangs must end.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(CHILD_SECONDS);
    (void)spawner;
    int owner = ioctl(network, NS_GET_USERNS), fd = -1, error;
    if (owner < 0 || setns(owner, CLONE_NEWUSER) != 0 || setns(network, CLONE_NEWNET) != 0) error = errno;
    else error = make_socket(request, 0, &fd);
    if (error) answer(request, 0, error, -1);
    else hand_over(request, fd);
    _exit(0);
}

void reach(struct spawner *spawner, const struct brume_request *request) {
    struct sandbox *sandbox = find_sandbox(spawner, request->sandbox);
    pid_t inside = sandbox ? inside_pid(sandbox) : 0;
    if (!sandbox || inside == 0) return answer(request, 0, sandbox ? EAGAIN : ESRCH, -1);
    if (request->value < 0 || request->value > 65535) return answer(request, 0, EINVAL, -1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)inside);
    int network = open(path, O_RDONLY | O_CLOEXEC);
    if (network < 0) return answer(request, 0, errno, -1);
    if (spawner->root) reach_as_root(spawner, request, network);
    else reach_by_child(spawner, request, network);
    close(network);
}
