// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern char **environ;

static char *line_end(char *from, char *limit) {
    char *found = memchr(from, '\n', (size_t)(limit - from));
    if (!found) return NULL;
    if (found > from && found[-1] == '\r') found[-1] = 0;
    *found = 0;
    return found + 1;
}

bool request_parse(struct request *request, char *head, size_t size) {
    *request = (struct request){0};
    char *limit = head + size;
    char *next = line_end(head, limit);
    if (!next) return false;
    request->method = head;
    char *space = strchr(head, ' ');
    if (!space || space == head) return false;
    *space = 0;
    request->target = space + 1;
    char *version = strchr(request->target, ' ');
    if (!version || version == request->target) return false;
    *version++ = 0;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) return false;
    for (char *line = next; line < limit && *line != '\r' && *line != '\n'; line = next) {
        next = line_end(line, limit);
        if (!next) return false;
        char *colon = strchr(line, ':');
        if (!colon || colon == line) return false;
        *colon = 0;
        char *value = colon + 1;
        while (*value == ' ' || *value == '\t') value++;
        char *end = value + strlen(value);
        while (end > value && (end[-1] == ' ' || end[-1] == '\t')) *--end = 0;
        if (request->header_count == HEADERS_MAX) return false;
        request->headers[request->header_count++] = (struct header){line, value};
    }
    const char *length = request_header(request, "content-length");
    const char *coding = request_header(request, "transfer-encoding");
    if (length) {
        char *rest;
        errno = 0;
        long long value = strtoll(length, &rest, 10);
        if (errno || rest == length || *rest || value < 0) return false;
        request->content_length = value;
    }
    if (coding) {
        if (strcasecmp(coding, "chunked") != 0) return false;
        request->chunked = true;
        request->content_length = -1;
    }
    request->has_body = request->chunked || request->content_length > 0;
    return true;
}

const char *request_header(const struct request *request, const char *name) {
    for (int i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
    return NULL;
}

// Go's canonical form: first letter and letters after a dash in upper case, the others in lower case.
static void add_canonical(struct buffer *into, const char *name, char dash) {
    bool upper = true;
    for (const char *c = name; *c; c++) {
        char out = (char)(upper ? toupper((unsigned char)*c) : tolower((unsigned char)*c));
        upper = *c == '-';
        if (*c == '-') out = dash;
        buffer_add(into, &out, 1);
    }
}

static bool is_first(const struct request *request, int index) {
    for (int i = 0; i < index; i++)
        if (strcasecmp(request->headers[i].name, request->headers[index].name) == 0) return false;
    return true;
}

// Go moves these two out of the header map.
static bool is_connection_header(const char *name) { return !strcasecmp(name, "host") || !strcasecmp(name, "transfer-encoding"); }

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void add_decoded(struct buffer *into, const char *from, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = from[i];
        if (c == '%' && i + 2 < size && hex_digit(from[i + 1]) >= 0 && hex_digit(from[i + 2]) >= 0) {
            c = (char)(hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]));
            i += 2;
        }
        if (c) buffer_add(into, &c, 1);  // an environment cannot hold NUL
    }
}

char **request_environment(const struct request *request, bool cgi_headers) {
    size_t base = 0;
    while (environ[base]) base++;
    struct buffer text = {0};
    size_t offsets[HEADERS_MAX + 8], count = 0;
#define BEGIN() (offsets[count++] = text.end)
#define END() buffer_add(&text, "", 1)
    if (cgi_headers) {
        for (int i = 0; i < request->header_count; i++) {
            if (is_connection_header(request->headers[i].name) || !is_first(request, i)) continue;
            BEGIN();
            buffer_text(&text, "Http_");
            add_canonical(&text, request->headers[i].name, '_');
            buffer_format(&text, "=%s", request->headers[i].value);
            END();
        }
        const char *query = strchr(request->target, '?');
        size_t path = query ? (size_t)(query - request->target) : strlen(request->target);
        const char *host = request_header(request, "host");
        BEGIN(), buffer_format(&text, "Http_Method=%s", request->method), END();
        BEGIN(), buffer_format(&text, "Http_ContentLength=%" PRId64, request->content_length), END();
        BEGIN(), buffer_format(&text, "Http_Content_Length=%" PRId64, request->content_length), END();
        if (request->chunked) BEGIN(), buffer_text(&text, "Http_Transfer_Encoding=chunked"), END();
        if (query && query[1]) BEGIN(), buffer_format(&text, "Http_Query=%s", query + 1), END();
        if (path) BEGIN(), buffer_text(&text, "Http_Path="), add_decoded(&text, request->target, path), END();
        if (host && *host) BEGIN(), buffer_format(&text, "Http_Host=%s", host), END();
    }
#undef BEGIN
#undef END
    size_t table = (base + count + 1) * sizeof(char *);
    char *block = malloc(table + buffer_size(&text) + 1);
    if (!block) return NULL;
    char **result = (char **)(void *)block;
    char *strings = block + table;
    if (text.end) memcpy(strings, text.data, text.end);
    memcpy(result, environ, base * sizeof(char *));
    for (size_t i = 0; i < count; i++) result[base + i] = strings + offsets[i];
    result[base + count] = NULL;
    buffer_free(&text);
    return result;
}

static void add_json_string(struct buffer *into, const char *text) {
    buffer_add(into, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        // Go escapes these three as well, so that the text can stand in HTML.
        if (*c == '"' || *c == '\\') buffer_format(into, "\\%c", *c);
        else if (*c < 0x20 || *c == '<' || *c == '>' || *c == '&') buffer_format(into, "\\u%04x", *c);
        else buffer_add(into, c, 1);
    }
    buffer_add(into, "\"", 1);
}

static void add_base64(struct buffer *into, const unsigned char *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buffer_reserve(into, (size + 2) / 3 * 4);
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (i + 1 < size) group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size) group |= bytes[i + 2];
        char out[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63], digits[group & 63]};
        if (i + 2 >= size) out[3] = '=';
        if (i + 1 >= size) out[2] = '=';
        buffer_add(into, out, 4);
    }
}

void request_marshal(const struct request *request, const struct buffer *body, struct buffer *into) {
    buffer_text(into, "{\"header\":{");
    bool comma = false;
    for (int i = 0; i < request->header_count; i++) {
        if (is_connection_header(request->headers[i].name) || !is_first(request, i)) continue;
        struct buffer name = {0};
        add_canonical(&name, request->headers[i].name, '-');
        buffer_add(&name, "", 1);
        if (comma) buffer_text(into, ",");
        comma = true;
        add_json_string(into, name.data);
        buffer_text(into, ":[");
        bool more = false;
        for (int j = i; j < request->header_count; j++) {
            if (strcasecmp(request->headers[j].name, request->headers[i].name) != 0) continue;
            if (more) buffer_text(into, ",");
            more = true;
            add_json_string(into, request->headers[j].value);
        }
        buffer_text(into, "]");
        buffer_free(&name);
    }
    buffer_text(into, "},\"body\":{\"raw\":\"");
    add_base64(into, (const unsigned char *)buffer_bytes(body), buffer_size(body));
    buffer_text(into, "\"}}");
}

static bool chunk_line(struct buffer *in, char **line, size_t *size) {
    *line = buffer_bytes(in);
    char *end = memchr(*line, '\n', buffer_size(in));
    if (!end) return false;
    *size = (size_t)(end - *line) + 1;
    return true;
}

bool chunks_feed(struct chunks *chunks, struct buffer *in, struct buffer *out) {
    char *line;
    size_t size;
    while (chunks->state != CHUNK_DONE && buffer_size(in) > 0) {
        switch (chunks->state) {
        case CHUNK_SIZE: {
            if (!chunk_line(in, &line, &size)) return buffer_size(in) < 1024;
            uint64_t value = 0;
            size_t digits = 0;
            for (; hex_digit(line[digits]) >= 0; digits++) {
                if (digits == 15) return false;
                value = value * 16 + (uint64_t)hex_digit(line[digits]);
            }
            if (digits == 0) return false;
            buffer_take(in, size);
            chunks->left = value;
            chunks->state = value ? CHUNK_DATA : CHUNK_TRAILER;
            break;
        }
        case CHUNK_DATA: {
            size_t part = buffer_size(in) < chunks->left ? buffer_size(in) : (size_t)chunks->left;
            if (out) buffer_add(out, buffer_bytes(in), part);
            buffer_take(in, part);
            chunks->left -= part;
            if (!chunks->left) chunks->state = CHUNK_DATA_END;
            break;
        }
        case CHUNK_DATA_END:
        case CHUNK_TRAILER:
            if (!chunk_line(in, &line, &size)) return buffer_size(in) < HEAD_MAX;
            bool empty = *line == '\r' || *line == '\n';
            buffer_take(in, size);
            if (chunks->state == CHUNK_DATA_END) {
                if (!empty) return false;
                chunks->state = CHUNK_SIZE;
            } else if (empty) {
                chunks->state = CHUNK_DONE;
            }
            break;
        case CHUNK_DONE: break;
        }
    }
    return true;
}
