// SPDX-License-Identifier: Apache-2.0
//
// The function that the benchmarks call: answers every HTTP/1.1 request with the request's body.
//
// One thread, one epoll, keep-alive connections; nothing is cached, compressed or guessed: each request's head and body are read to their
// end (Content-Length or chunked), each answer is written from what was read. It is as fast as a function can honestly be, so that a
// benchmark shows the cost of what stands before it.
//
//   echo-server            listens on 0.0.0.0:$PORT (8080 without it)
//   echo-server PORT       listens on 127.0.0.1:PORT
//   echo-server unix:PATH  listens on a Unix socket

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    HEAD_MAX = 16 << 10,     // longest request head, as common servers take
    BODY_MAX = 8 << 20,      // longest body
    EVENTS_MAX = 256,        // events taken at once
    CONNECTIONS_MAX = 65536, // highest descriptor
    BUFFER_MIN = 4096,
};

struct connection {
    char *in;       // bytes read and not yet answered
    size_t in_length, in_capacity;
    char *out;      // bytes to write
    size_t out_length, out_sent, out_capacity;
    bool closing;   // close when `out` is written
    bool waits_for_room;
};

static struct connection *connections[CONNECTIONS_MAX];
static int poller;

static void die(const char *what) {
    fprintf(stderr, "echo-server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool reserve(char **buffer, size_t *capacity, size_t wanted) {
    if (wanted <= *capacity) return true;
    size_t next = *capacity ? *capacity : BUFFER_MIN;
    while (next < wanted) next *= 2;
    char *moved = realloc(*buffer, next);
    if (!moved) return false;
    *buffer = moved;
    *capacity = next;
    return true;
}

static void drop(int fd) {
    struct connection *c = connections[fd];
    connections[fd] = NULL;
    close(fd);
    if (!c) return;
    free(c->in);
    free(c->out);
    free(c);
}

static bool answer(struct connection *c, const char *status, const char *body, size_t length) {
    if (!reserve(&c->out, &c->out_capacity, c->out_length + 256 + length)) return false;
    c->out_length += (size_t)snprintf(c->out + c->out_length, 256,
        "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n%s\r\n", status, length,
        c->closing ? "Connection: close\r\n" : "");
    memcpy(c->out + c->out_length, body, length);
    c->out_length += length;
    return true;
}

// Decodes a chunked body in place. Returns the bytes it took from `body`, 0 if it is not complete, -1 if it is not one.
static ssize_t unchunk(char *body, size_t available, size_t *decoded) {
    size_t read = 0;
    *decoded = 0;
    for (;;) {
        char *end = memchr(body + read, '\n', available - read);
        if (!end) return available - read > HEAD_MAX ? -1 : 0;
        if (!isxdigit((unsigned char)body[read])) return -1;
        size_t size = strtoul(body + read, NULL, 16);
        read = (size_t)(end - body) + 1;
        if (size > BODY_MAX) return -1;
        if (size == 0) break;
        if (available - read < size + 2) return 0;
        memmove(body + *decoded, body + read, size);
        *decoded += size;
        read += size + 2;
    }
    for (;;) { // trailers, to the empty line
        char *end = memchr(body + read, '\n', available - read);
        if (!end) return 0;
        size_t line = (size_t)(end - (body + read));
        bool empty = line == 0 || (line == 1 && body[read] == '\r');
        read = (size_t)(end - body) + 1;
        if (empty) return (ssize_t)read;
    }
}

struct head {
    size_t length; // of the body
    bool chunked, close, expects_continue;
};

static void read_header(const char *line, size_t length, struct head *head) {
    static const struct { const char *name; size_t length; } names[] = {
        {"content-length:", 15}, {"transfer-encoding:", 18}, {"connection:", 11}, {"expect:", 7}};
    for (size_t i = 0; i < 4; i++) {
        if (length < names[i].length || strncasecmp(line, names[i].name, names[i].length) != 0) continue;
        const char *value = line + names[i].length;
        while (*value == ' ' || *value == '\t') value++;
        if (i == 0) head->length = strtoul(value, NULL, 10);
        if (i == 1) head->chunked = strncasecmp(value, "chunked", 7) == 0;
        if (i == 2 && strncasecmp(value, "close", 5) == 0) head->close = true;
        if (i == 3) head->expects_continue = true;
        return;
    }
}

// Answers one request if it is there as a whole. Returns the bytes it took, 0 if more are needed, -1 if it is malformed.
static ssize_t serve(struct connection *c, char *in, size_t available) {
    char *end = memmem(in, available, "\r\n\r\n", 4);
    if (!end) return available > HEAD_MAX ? -1 : 0;
    size_t head_length = (size_t)(end - in) + 4;
    struct head head = {0};
    char *first = memchr(in, '\r', head_length);
    if (first - in < 14 || memcmp(first - 9, " HTTP/1.", 8) != 0) return -1;
    head.close = first[-1] == '0'; // HTTP/1.0
    for (char *line = first + 2; line < end;) {
        char *next = memchr(line, '\r', (size_t)(end + 1 - line));
        read_header(line, (size_t)(next - line), &head);
        line = next + 2;
    }
    char *body = in + head_length;
    size_t decoded = head.length;
    ssize_t taken = (ssize_t)head.length;
    if (head.length > BODY_MAX) return -1;
    if (head.chunked) {
        // Decoding in place would spoil a body that is not complete: look for its end in a copy when it spans reads.
        if (!memmem(body, available - head_length, "0\r\n", 3)) return available > BODY_MAX ? -1 : 0;
        size_t rest = available - head_length;
        char *copy = malloc(rest + 1);
        if (!copy) return -1;
        memcpy(copy, body, rest);
        copy[rest] = 0;
        taken = unchunk(copy, rest, &decoded);
        if (taken > 0) memcpy(body, copy, decoded);
        free(copy);
        if (taken == 0) return available > 2 * (size_t)BODY_MAX ? -1 : 0;
        if (taken < 0) return -1;
    } else if (available - head_length < head.length) {
        if (head.expects_continue && available == head_length) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
            if (!reserve(&c->out, &c->out_capacity, c->out_length + sizeof go_on)) return -1;
            memcpy(c->out + c->out_length, go_on, sizeof go_on - 1);
            c->out_length += sizeof go_on - 1;
        }
        return 0;
    }
    c->closing = head.close;
    if (!answer(c, "200 OK", body, decoded)) return -1;
    return (ssize_t)head_length + taken;
}

static void flush_out(int fd, struct connection *c) {
    while (c->out_sent < c->out_length) {
        ssize_t written = send(fd, c->out + c->out_sent, c->out_length - c->out_sent, MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) {
            if (!c->waits_for_room) {
                struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
                epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
                c->waits_for_room = true;
            }
            return;
        }
        if (written < 0) { drop(fd); return; }
        c->out_sent += (size_t)written;
    }
    c->out_length = c->out_sent = 0;
    if (c->closing) { drop(fd); return; }
    if (c->waits_for_room) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
        c->waits_for_room = false;
    }
}

static void readable(int fd) {
    struct connection *c = connections[fd];
    if (!reserve(&c->in, &c->in_capacity, c->in_length + BUFFER_MIN)) { drop(fd); return; }
    ssize_t got = recv(fd, c->in + c->in_length, c->in_capacity - c->in_length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) { drop(fd); return; }
    c->in_length += (size_t)got;
    size_t used = 0;
    while (used < c->in_length && !c->closing) {
        ssize_t taken = serve(c, c->in + used, c->in_length - used);
        if (taken == 0) break;
        if (taken < 0) {
            c->closing = true;
            if (!answer(c, "400 Bad Request", "", 0)) { drop(fd); return; }
            break;
        }
        used += (size_t)taken;
    }
    memmove(c->in, c->in + used, c->in_length - used);
    c->in_length -= used;
    if (c->out_length) flush_out(fd, c);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct connection *c = fd < CONNECTIONS_MAX ? calloc(1, sizeof *c) : NULL;
        if (!c) { close(fd); continue; }
        connections[fd] = c;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) drop(fd);
    }
}

static int listen_on(const char *where) {
    int fd;
    if (where && strncmp(where, "unix:", 5) == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", where + 5);
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    } else {
        const char *port = where ? where : getenv("PORT");
        struct sockaddr_in address = {
            .sin_family = AF_INET,
            .sin_port = htons((unsigned short)atoi(port ? port : "8080")),
            .sin_addr.s_addr = htonl(where ? INADDR_LOOPBACK : INADDR_ANY),
        };
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;
        if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    }
    if (listen(fd, 4096) < 0) die("listen");
    return fd;
}

int main(int count, char **arguments) {
    int listener = listen_on(count > 1 ? arguments[1] : NULL);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) die("epoll");
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS_MAX, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) { accept_all(listener); continue; }
            if (connections[fd] && events[i].events & EPOLLOUT) flush_out(fd, connections[fd]);
            if (connections[fd] && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(fd);
        }
    }
}
