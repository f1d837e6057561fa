// SPDX-License-Identifier: Apache-2.0
//
// The smallest program that speaks the AWS Lambda runtime API: asks for the next invocation, answers it with its own payload, forever.
// It shows what a cold start on the Lambda contract costs without a language runtime.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 7 << 20 }; // the contract's payload limit is 6 MB

static char *message;
static size_t message_length;

static int dial(const char *api) {
    char host[64];
    const char *colon = strrchr(api, ':');
    if (!colon || (size_t)(colon - api) >= sizeof host) return -1;
    memcpy(host, api, (size_t)(colon - api));
    host[colon - api] = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &address.sin_addr) != 1) return -1;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static bool send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

// The value of a header, or NULL. `name` ends with a colon.
static const char *header(const char *name) {
    for (const char *line = strstr(message, "\r\n"); line && strncmp(line, "\r\n\r\n", 4) != 0; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, strlen(name)) != 0) continue;
        const char *value = line + 2 + strlen(name);
        while (*value == ' ') value++;
        return value;
    }
    return NULL;
}

// Reads one response with a Content-Length; returns where its body begins, or NULL when the connection ended.
static char *receive(int fd, size_t *body_length) {
    message_length = 0;
    for (;;) {
        ssize_t got = recv(fd, message + message_length, MESSAGE_MAX - message_length, 0);
        if (got <= 0) return NULL;
        message_length += (size_t)got;
        message[message_length] = 0;
        char *end = strstr(message, "\r\n\r\n");
        if (!end) continue;
        const char *length = header("content-length:");
        *body_length = length ? strtoul(length, NULL, 10) : 0;
        if (message_length >= (size_t)(end + 4 - message) + *body_length) return end + 4;
    }
}

int main(void) {
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    message = malloc(MESSAGE_MAX + 1);
    if (!api || !message) {
        fprintf(stderr, "bootstrap: AWS_LAMBDA_RUNTIME_API is not set; run it as a Lambda function.\n");
        return 1;
    }
    int fd = dial(api);
    char head[1024], id[256];
    int next_length = snprintf(head, sizeof head, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", api);
    char *next = strdup(head);
    while (fd >= 0 && next && send_all(fd, next, (size_t)next_length)) {
        size_t length;
        char *body = receive(fd, &length);
        const char *request = body ? header("lambda-runtime-aws-request-id:") : NULL;
        if (!request) break;
        size_t id_length = strcspn(request, "\r\n");
        if (id_length >= sizeof id) break;
        memcpy(id, request, id_length);
        id[id_length] = 0;
        int head_length = snprintf(head, sizeof head,
            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n", id, api, length);
        if (!send_all(fd, head, (size_t)head_length) || !send_all(fd, body, length) || !receive(fd, &length)) break;
    }
    fprintf(stderr, "bootstrap: the runtime API at %s ended the connection.\n", api);
    return 1;
}
