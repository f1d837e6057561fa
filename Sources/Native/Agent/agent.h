// SPDX-License-Identifier: Apache-2.0
//
// brume-agent: the watchdog inside a sandbox that speaks the fork contract. It connects back to the node over a Unix socket, serves
// HTTP/1.1 on those connections, and starts the function's command once for each request. One thread, one epoll instance.
#ifndef BRUME_AGENT_H
#define BRUME_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A request head larger than this cannot become an environment (Linux takes 128 KiB for one string), so it is refused with 431.
#define HEAD_MAX (128u << 10)
// Output up to this size is held back, so that a program that fails can still become a 500. Past it the reply is streamed.
#define OUTPUT_HELD_MAX (1u << 20)
// Bytes that may wait for a slow reader (the node, or the program's stdin) before the other side is no longer read.
#define PENDING_MAX (256u << 10)
// marshal_request needs the whole body in memory, a second time in base64: 16 MiB keep that below the smallest sensible limit.
#define MARSHAL_MAX (16u << 20)
#define HEADERS_MAX 256

struct buffer {
    char *data;
    size_t start, end, capacity;
};

static inline size_t buffer_size(const struct buffer *b) { return b->end - b->start; }
static inline char *buffer_bytes(const struct buffer *b) { return b->data + b->start; }
void buffer_reserve(struct buffer *b, size_t extra);
void buffer_add(struct buffer *b, const void *bytes, size_t count);
void buffer_text(struct buffer *b, const char *text);
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_take(struct buffer *b, size_t count);
/// Empties the buffer and gives back memory that only an unusually large request needed.
void buffer_clear(struct buffer *b);
void buffer_free(struct buffer *b);

// What the classic watchdog reads from its environment.
struct settings {
    char **command;
    const char *socket_path;
    const char *content_type;
    bool cgi_headers, combine_output, marshal_request;
    int64_t exec_timeout_ns;
    int max_inflight;
    int connections;
};

struct header {
    char *name, *value;
};

// A parsed request head; the strings point into the text given to `request_parse`.
struct request {
    char *method, *target;
    struct header headers[HEADERS_MAX];
    int header_count;
    int64_t content_length;
    bool chunked, has_body;
};

/// Parses a complete head in place (it is cut into strings). False: not HTTP/1.1 as this program speaks it.
bool request_parse(struct request *request, char *head, size_t size);
const char *request_header(const struct request *request, const char *name);
/// The child's environment: `environ`, then the Http_ variables. Everything hangs on one allocation that the caller frees.
char **request_environment(const struct request *request, bool cgi_headers);
/// The stdin of marshal_request: `{"header":{...},"body":{"raw":"BASE64"}}`.
void request_marshal(const struct request *request, const struct buffer *body, struct buffer *into);

// Reads a chunked body piece by piece.
struct chunks {
    enum { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE } state;
    uint64_t left;
};
/// Moves decoded bytes from `in` to `out` (or drops them when `out` is NULL). False: malformed.
bool chunks_feed(struct chunks *chunks, struct buffer *in, struct buffer *out);

// What a child that is being started uses. It stays as it is until the child has been waited for.
struct child {
    char **command, **environment;
    char *stack;
    int stdin_end, stdout_end;
    bool combines_output;
    volatile int error;  // why the program could not be executed; the child writes it, and exits with 127
};

/// Finds out once where the command may be. False: there is no memory for that.
bool child_prepare(const struct settings *settings);
/// Begins to start the command in `child->environment`, with pipes at stdin and stdout, leading a process group of its own. 0, or errno;
/// what goes wrong after that is in `child->error` when the child has exited.
int child_start(const struct settings *settings, struct child *child, pid_t *pid, int *input, int *output);
/// The sentence that Go prints for the same error: the classic watchdog's users read these.
void child_start_error(const struct settings *settings, int error, char *text, size_t size);
/// True and a sentence if the exit was a failure.
bool child_exit_error(int status, char *text, size_t size);

/// Connects to the node and says the greeting; -1 with errno.
int node_connect(const char *path, const char *greeting);
int serve(const struct settings *settings);
int gate(const char *path, char **command);

#endif
