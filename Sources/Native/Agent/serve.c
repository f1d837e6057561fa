// SPDX-License-Identifier: Apache-2.0
//
// One connection carries one request at a time: head, body to the child's stdin, its output to the reply. Everything is driven by epoll.
#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int poller = -1;
static const struct settings *settings;
static struct connection *connections;
static int running_calls;
static int quiet_calls;  // running ones whose output nobody listens to yet
static bool draining;

// A program that ends within this time is read once, at its end: its first output and the end of it would each wake the agent for
// nothing. A longer one may be streaming; a pipe holds 64 KiB meanwhile.
enum { QUIET_NS = 1000000 };

static void watch(struct source *source, uint32_t events) {
    if (source->fd < 0 || (source->registered ? source->events == events : !events)) return;
    struct epoll_event event = {.events = events, .data.ptr = source};
    epoll_ctl(poller, source->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &event);
    source->registered = true;
    source->events = events;
}

static void drop(struct source *source) {
    if (source->fd >= 0) close(source->fd);
    source->fd = -1;
    source->registered = false;
}

static void advance(struct connection *c);

// What should be waited for follows from the buffers alone.
static void rearm(struct connection *c) {
    if (c->node_gone) {
        // Only the child's end is of interest now, and a socket without a peer would wake the loop for ever.
        if (c->socket.registered) epoll_ctl(poller, EPOLL_CTL_DEL, c->socket.fd, NULL);
        c->socket.registered = false;
        return;
    }
    bool reads = c->reading != READ_DONE && buffer_size(&c->stdin_bytes) < PENDING_MAX;
    uint32_t wanted = (reads ? EPOLLIN : 0) | EPOLLRDHUP;
    if (buffer_size(&c->out)) wanted |= EPOLLOUT;
    watch(&c->socket, wanted);
    watch(&c->input, buffer_size(&c->stdin_bytes) ? EPOLLOUT : 0);
    watch(&c->output, !c->quiet && buffer_size(&c->out) < PENDING_MAX ? EPOLLIN : 0);
}

static void listen_to_output(struct connection *c) {
    if (c->quiet) quiet_calls--;
    c->quiet = false;
}

static void flush_out(struct connection *c) {
    while (buffer_size(&c->out) && !c->node_gone) {
        ssize_t sent = send(c->socket.fd, buffer_bytes(&c->out), buffer_size(&c->out), MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) return;
            c->node_gone = true;
            return;
        }
        buffer_take(&c->out, (size_t)sent);
    }
}

static void feed_input(struct connection *c) {
    while (c->input.fd >= 0 && buffer_size(&c->stdin_bytes)) {
        ssize_t written = write(c->input.fd, buffer_bytes(&c->stdin_bytes), buffer_size(&c->stdin_bytes));
        if (written < 0) {
            if (errno == EAGAIN) return;
            drop(&c->input);  // the child reads no more; the rest of the body is dropped
            break;
        }
        buffer_take(&c->stdin_bytes, (size_t)written);
    }
    if (c->input.fd < 0) buffer_clear(&c->stdin_bytes), c->discard_body = true;
    else if (c->reading == READ_DONE && !buffer_size(&c->stdin_bytes)) drop(&c->input);
}

static void read_output(struct connection *c) {
    while (c->output.fd >= 0 && buffer_size(&c->out) < PENDING_MAX) {
        buffer_reserve(&c->held, 16 << 10);
        ssize_t got = read(c->output.fd, c->held.data + c->held.end, c->held.capacity - c->held.end);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            c->output_ended = true;
            drop(&c->output);
            return;
        }
        c->held.end += (size_t)got;
        if (!c->streaming && buffer_size(&c->held) > OUTPUT_HELD_MAX) start_streaming(c);
        if (c->streaming) {
            stream_held(c);
            flush_out(c);
        }
    }
}

static void kill_child(struct connection *c) {
    if (c->pid <= 0 || c->exited) return;
    // One that has only just begun may not lead its group yet.
    if (kill(-c->pid, SIGKILL) < 0) kill(c->pid, SIGKILL);
}

static void answer_start_error(struct connection *c, int error) {
    char text[512];
    child_start_error(settings, error, text, sizeof text);
    c->discard_body = true;
    answer_failure(c, "500 Internal Server Error", "exited", text);
}

static void end_call(struct connection *c) {
    if (!c->exited) return;
    // A process that left the group may keep the pipe open for ever; a killed call does not wait for it.
    if (!c->output_ended && !c->killed && !c->cancelled) return;
    char text[256];
    bool failed = child_exit_error(c->status, text, sizeof text);
    const char *kind = WIFSIGNALED(c->status) ? "crashed" : "exited";
    listen_to_output(c);
    drop(&c->input);
    drop(&c->output);
    free(c->child.environment);
    c->child.environment = NULL;
    if (c->killed) snprintf(text, sizeof text, "Killed process."), kind = "timed-out", failed = true;
    if (c->streaming) {
        stream_held(c);
        buffer_text(&c->out, "0\r\n");
        if (failed) buffer_format(&c->out, "Brume-Failure: %s %s\r\n", kind, text);
        buffer_text(&c->out, "\r\n");
        c->phase = ANSWERED;
    } else if (c->child.error && !c->killed) {
        buffer_clear(&c->held);
        answer_start_error(c, c->child.error);
    } else if (c->killed) {
        buffer_clear(&c->held);
        answer_failure(c, "408 Request Timeout", kind, text);
    } else if (failed) {
        answer_failure(c, "500 Internal Server Error", kind, text);
    } else {
        answer(c, "200 OK", NULL, buffer_bytes(&c->held), buffer_size(&c->held), true);
    }
    running_calls--;
    c->pid = 0;
    buffer_clear(&c->held);
}

static void start_child(struct connection *c) {
    c->child.environment = request_environment(&c->request, settings->cgi_headers);
    int input = -1, output = -1;
    int error = c->child.environment ? child_start(settings, &c->child, &c->pid, &input, &output) : ENOMEM;
    if (error) {
        free(c->child.environment);
        c->child.environment = NULL;
        answer_start_error(c, error);
        return;
    }
    running_calls++;
    quiet_calls++;
    c->phase = RUNNING;
    c->quiet = true;
    c->spawned_ns = now_ns();
    c->input.fd = input;
    c->output.fd = output;
}

static void begin_request(struct connection *c, size_t head_size) {
    c->head = malloc(head_size);
    if (!c->head) exit(71);
    memcpy(c->head, buffer_bytes(&c->in), head_size);
    buffer_take(&c->in, head_size);
    c->started_ns = now_ns();
    c->exited = c->output_ended = c->streaming = c->killed = c->cancelled = c->discard_body = false;
    c->chunks = (struct chunks){0};
    if (!request_parse(&c->request, c->head, head_size)) {
        c->reading = READ_DONE;
        c->close_after = true;
        answer(c, "400 Bad Request", NULL, "", 0, false);
        return;
    }
    c->body_left = c->request.chunked ? 0 : (uint64_t)c->request.content_length;
    c->reading = c->request.has_body ? READ_BODY : READ_DONE;
    static const char *const methods[] = {"POST", "GET", "PUT", "PATCH", "DELETE"};
    bool allowed = false;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) allowed |= !strcmp(c->request.method, methods[i]);
    if (!allowed || (settings->max_inflight > 0 && running_calls >= settings->max_inflight)) {
        c->discard_body = true;
        answer(c, allowed ? "429 Too Many Requests" : "405 Method Not Allowed", NULL, "", 0, false);
        return;
    }
    const char *type = settings->content_type && *settings->content_type ? settings->content_type
                                                                         : request_header(&c->request, "content-type");
    c->content_type = type ? strdup(type) : NULL;
    if (!settings->marshal_request) start_child(c);
    else c->phase = RUNNING;
}

static bool read_body(struct connection *c) {
    struct buffer *into = c->discard_body ? NULL : settings->marshal_request ? &c->marshalled : &c->stdin_bytes;
    if (c->request.chunked) {
        if (!chunks_feed(&c->chunks, &c->in, into)) return false;
        if (c->chunks.state == CHUNK_DONE) c->reading = READ_DONE;
    } else {
        size_t part = buffer_size(&c->in) < c->body_left ? buffer_size(&c->in) : (size_t)c->body_left;
        if (into) buffer_add(into, buffer_bytes(&c->in), part);
        buffer_take(&c->in, part);
        c->body_left -= part;
        if (!c->body_left) c->reading = READ_DONE;
    }
    if (buffer_size(&c->marshalled) > MARSHAL_MAX && c->phase == RUNNING) {
        buffer_clear(&c->marshalled);
        c->discard_body = true;
        answer_failure(c, "413 Request Entity Too Large", "bad-reply", "marshal_request takes bodies up to 16 MiB.");
    }
    return true;
}

static void next_request(struct connection *c) {
    free(c->head);
    free(c->content_type);
    c->head = c->content_type = NULL;
    buffer_clear(&c->stdin_bytes);
    buffer_clear(&c->marshalled);
    c->phase = IDLE;
    c->reading = READ_HEAD;
}

static void reconnect(struct connection *c) {
    drop(&c->socket);
    drop(&c->input);
    drop(&c->output);
    next_request(c);
    buffer_clear(&c->in);
    buffer_clear(&c->out);
    buffer_clear(&c->held);
    c->node_gone = c->close_after = false;
    if (draining) return;
    c->socket.fd = node_connect(settings->socket_path, "BRUME/1 ready\n");
    if (c->socket.fd < 0) return;
    fcntl(c->socket.fd, F_SETFL, O_NONBLOCK);
    rearm(c);
}

// Takes every step that the bytes at hand allow.
static void advance(struct connection *c) {
    for (;;) {
        if (c->socket.fd < 0) return;
        if (c->node_gone) {
            if (c->phase != RUNNING || c->pid == 0) return reconnect(c);
            if (!c->cancelled) kill_child(c);
            c->cancelled = true;
            end_call(c);
            if (c->pid == 0) return reconnect(c);
            rearm(c);
            return;
        }
        if (c->reading == READ_HEAD) {
            char *head = buffer_bytes(&c->in);
            char *end = buffer_size(&c->in) ? memmem(head, buffer_size(&c->in), "\r\n\r\n", 4) : NULL;
            if (!end) {
                if (draining) return reconnect(c);
                if (buffer_size(&c->in) < HEAD_MAX) return rearm(c);
                c->reading = READ_DONE;
                c->close_after = true;
                answer(c, "431 Request Header Fields Too Large", NULL, "", 0, false);
            } else {
                begin_request(c, (size_t)(end - head) + 4);
            }
        }
        if (c->reading == READ_BODY && !read_body(c)) {
            c->node_gone = true;
            continue;
        }
        if (settings->marshal_request && c->phase == RUNNING && c->pid == 0 && c->reading == READ_DONE) {
            request_marshal(&c->request, &c->marshalled, &c->stdin_bytes);
            start_child(c);
        }
        if (c->phase == RUNNING && c->pid > 0) {
            feed_input(c);
            end_call(c);
        }
        flush_out(c);
        if (c->node_gone) continue;
        if (c->phase == ANSWERED && c->reading == READ_DONE && !buffer_size(&c->out)) {
            if (c->close_after) return reconnect(c);
            next_request(c);
            if (buffer_size(&c->in) || draining) continue;
        }
        return rearm(c);
    }
}

static void read_socket(struct connection *c) {
    // Past the end of a request there is nothing to read, so this is the node going away.
    while (c->reading != READ_DONE && buffer_size(&c->stdin_bytes) < PENDING_MAX) {
        buffer_reserve(&c->in, 64 << 10);
        size_t room = c->in.capacity - c->in.end;
        ssize_t got = recv(c->socket.fd, c->in.data + c->in.end, room, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            c->node_gone = true;
            return;
        }
        c->in.end += (size_t)got;
        if ((size_t)got < room || c->reading == READ_HEAD) return;
        if (!read_body(c)) c->node_gone = true;
        feed_input(c);
    }
}

static void reap(void) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0) return;
        for (int i = 0; i < settings->connections; i++) {
            struct connection *c = &connections[i];
            if (c->pid != pid) continue;
            c->exited = true;
            c->status = status;
            listen_to_output(c);  // what it has started may still hold the pipe
            if (!c->cancelled && !c->killed) read_output(c);
            advance(c);
            break;
        }
    }
}

static void handle(struct source *source, uint32_t events) {
    struct connection *c = source->connection;
    if (source->fd < 0) return;
    switch (source->kind) {
    case SOCKET:
        if (events & EPOLLIN) read_socket(c);
        if (events & (EPOLLERR | EPOLLHUP)) c->node_gone = true;
        // The node ends its side to cancel; whatever it had sent before no longer matters.
        if (events & EPOLLRDHUP) c->node_gone = true;
        break;
    case CHILD_INPUT:
        if (events & EPOLLERR) drop(&c->input);
        break;
    case CHILD_OUTPUT:
        read_output(c);
        break;
    }
    advance(c);
}

// Returns the nanoseconds until the next call is over its exec_timeout, or `next` if that is less.
static int64_t kill_overdue(int64_t now, int64_t next) {
    for (int i = 0; i < settings->connections; i++) {
        struct connection *c = &connections[i];
        if (c->phase != RUNNING || c->killed || c->pid == 0) continue;
        int64_t left = c->started_ns + settings->exec_timeout_ns - now;
        if (left > 0) {
            if (left < next) next = left;
            continue;
        }
        c->killed = true;
        kill_child(c);
        if (c->exited) advance(c);
    }
    return next;
}

// Milliseconds until there is something to do without an event, -1 for never: calls over their exec_timeout are killed, those that run for
// a while are listened to.
static int check_times(void) {
    if (!settings->exec_timeout_ns && !quiet_calls) return -1;
    int64_t now = now_ns(), next = INT64_MAX;
    for (int i = 0; i < settings->connections && quiet_calls; i++) {
        struct connection *c = &connections[i];
        if (!c->quiet) continue;
        int64_t left = c->spawned_ns + QUIET_NS - now;
        if (left < next && left > 0) next = left;
        if (left > 0) continue;
        listen_to_output(c);
        rearm(c);
    }
    if (settings->exec_timeout_ns) next = kill_overdue(now, next);
    return next == INT64_MAX ? -1 : (int)(next / 1000000) + 1;
}

static bool anything_left(void) {
    for (int i = 0; i < settings->connections; i++)
        if (connections[i].socket.fd >= 0) return true;
    return false;
}

static void read_signals(int fd) {
    struct signalfd_siginfo infos[8];  // each signal is pending once at most
    ssize_t got = read(fd, infos, sizeof infos);
    bool terminates = false;
    for (ssize_t i = 0; i < got / (ssize_t)sizeof *infos; i++) terminates |= infos[i].ssi_signo == SIGTERM;
    if (terminates && !draining) {
        draining = true;
        for (int i = 0; i < settings->connections; i++) advance(&connections[i]);
    }
    reap();
}

int serve(const struct settings *given) {
    settings = given;
    signal(SIGPIPE, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    poller = epoll_create1(EPOLL_CLOEXEC);
    connections = calloc((size_t)settings->connections, sizeof *connections);
    if (signals < 0 || poller < 0 || !connections || !child_prepare(settings)) {
        perror("brume-agent");
        return 71;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, signals, &event);
    for (int i = 0; i < settings->connections; i++) {
        struct connection *c = &connections[i];
        c->socket = (struct source){.fd = -1, .kind = SOCKET, .connection = c};
        c->input = (struct source){.fd = -1, .kind = CHILD_INPUT, .connection = c};
        c->output = (struct source){.fd = -1, .kind = CHILD_OUTPUT, .connection = c};
        reconnect(c);
    }
    if (!anything_left()) {
        fprintf(stderr, "brume-agent: cannot reach the node at %s: %s\n", settings->socket_path, strerror(errno));
        return 1;
    }
    while (anything_left()) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, check_times());
        if (count < 0 && errno != EINTR) return 71;
        bool signalled = false;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) handle(events[i].data.ptr, events[i].events);
            else signalled = true;
        }
        if (signalled) read_signals(signals);
    }
    return 0;
}
