// SPDX-License-Identifier: Apache-2.0
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void finish_head(struct connection *c, bool measured) {
    if (c->content_type) buffer_format(&c->out, "Content-Type: %s\r\n", c->content_type);
    if (measured) buffer_format(&c->out, "X-Duration-Seconds: %f\r\n", (double)(now_ns() - c->started_ns) / 1e9);
}

// Go's server guesses the type of a reply that names none; these are the two answers of its guess that functions give in practice.
static const char *sniffed(const char *bytes, size_t size) {
    if (size > 512) size = 512;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\f' && c != '\r' && c != 0x1b) return "application/octet-stream";
    }
    return "text/plain; charset=utf-8";
}

void answer(struct connection *c, const char *status, const char *failure, const char *body, size_t size, bool measured) {
    if (!c->content_type && size) c->content_type = strdup(sniffed(body, size));
    buffer_format(&c->out, "HTTP/1.1 %s\r\n", status);
    finish_head(c, measured);
    if (failure) buffer_format(&c->out, "Brume-Failure: %s\r\n", failure);
    buffer_format(&c->out, "Content-Length: %zu\r\n\r\n", size);
    buffer_add(&c->out, body, size);
    c->phase = ANSWERED;
}

void answer_failure(struct connection *c, const char *status, const char *kind, const char *text) {
    char failure[512];
    snprintf(failure, sizeof failure, "%s %s", kind, text);
    // The type of the caller is for successful output only.
    free(c->content_type);
    c->content_type = NULL;
    struct buffer body = {0};
    buffer_format(&body, "%s\n", text);
    buffer_add(&body, buffer_bytes(&c->held), buffer_size(&c->held));
    answer(c, status, failure, buffer_bytes(&body), buffer_size(&body), false);
    buffer_free(&body);
}

void start_streaming(struct connection *c) {
    if (!c->content_type) c->content_type = strdup(sniffed(buffer_bytes(&c->held), buffer_size(&c->held)));
    buffer_text(&c->out, "HTTP/1.1 200 OK\r\n");
    finish_head(c, true);
    buffer_text(&c->out, "Transfer-Encoding: chunked\r\nTrailer: Brume-Failure\r\n\r\n");
    c->streaming = true;
}

void stream_held(struct connection *c) {
    if (!buffer_size(&c->held)) return;
    buffer_format(&c->out, "%zx\r\n", buffer_size(&c->held));
    buffer_add(&c->out, buffer_bytes(&c->held), buffer_size(&c->held));
    buffer_text(&c->out, "\r\n");
    buffer_clear(&c->held);
}
