// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What a connection keeps between requests; larger buffers are given back.
#define KEPT_MAX (64u << 10)

void buffer_reserve(struct buffer *b, size_t extra) {
    if (b->capacity - b->end >= extra) return;
    if (b->start > 0) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
        if (b->capacity - b->end >= extra) return;
    }
    size_t capacity = b->capacity ? b->capacity : 4096;
    while (capacity - b->end < extra) capacity *= 2;
    char *data = realloc(b->data, capacity);
    if (!data) {
        static const char message[] = "brume-agent: out of memory\n";
        if (write(2, message, sizeof message - 1) < 0) _exit(71);
        _exit(71);
    }
    b->data = data;
    b->capacity = capacity;
}

void buffer_add(struct buffer *b, const void *bytes, size_t count) {
    if (!count) return;
    buffer_reserve(b, count);
    memcpy(b->data + b->end, bytes, count);
    b->end += count;
}

void buffer_text(struct buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

void buffer_format(struct buffer *b, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size >= 0) {
        buffer_reserve(b, (size_t)size + 1);
        vsnprintf(b->data + b->end, (size_t)size + 1, format, again);
        b->end += (size_t)size;
    }
    va_end(again);
}

void buffer_take(struct buffer *b, size_t count) {
    b->start += count;
    if (b->start == b->end) b->start = b->end = 0;
}

void buffer_clear(struct buffer *b) {
    b->start = b->end = 0;
    if (b->capacity > KEPT_MAX) buffer_free(b);
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){0};
}
