// SPDX-License-Identifier: Apache-2.0
#ifndef BRUME_AGENT_CONNECTION_H
#define BRUME_AGENT_CONNECTION_H

#include "agent.h"

struct connection;

// A descriptor in the epoll set; `events` is what is asked for now.
struct source {
    int fd;
    uint32_t events;
    bool registered;
    enum { SOCKET, CHILD_INPUT, CHILD_OUTPUT } kind;
    struct connection *connection;
};

struct connection {
    struct source socket, input, output;
    struct buffer in, out;         // from and to the node
    struct buffer stdin_bytes;     // for the child
    struct buffer held;            // output that is not sent yet
    struct buffer marshalled;      // body of a marshal_request call
    enum { READ_HEAD, READ_BODY, READ_DONE } reading;
    enum { IDLE, RUNNING, ANSWERED } phase;
    struct request request;
    struct chunks chunks;
    char *head;                    // what `request` points into
    char *content_type;
    uint64_t body_left;
    bool discard_body, close_after;
    pid_t pid;
    struct child child;
    bool exited, output_ended, streaming, killed, cancelled, node_gone;
    bool quiet;                    // the child has just been started, and its output is left in the pipe for a moment
    int status;
    int64_t started_ns, spawned_ns;
};

int64_t now_ns(void);

/// Puts a whole reply into the connection's output. `failure`: "KIND SENTENCE" for the node, or NULL; `measured`: says how long it took.
void answer(struct connection *c, const char *status, const char *failure, const char *body, size_t size, bool measured);
/// A failure as the classic watchdog words it: the text, a newline and what the program had written.
void answer_failure(struct connection *c, const char *status, const char *kind, const char *text);
/// Begins a chunked reply, when the output is too long to be held back.
void start_streaming(struct connection *c);
/// Moves what the program wrote into the chunked reply.
void stream_held(struct connection *c);

#endif
