// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

// What the kernel allows a new program by default: arguments and environment together.
#define ORDER_MAX (2u << 20)

int node_connect(const char *path, const char *greeting) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    size_t size = strlen(greeting);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || write(fd, greeting, size) != (ssize_t)size) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// Waits until the node has made everything ready that the program needs at its start, then becomes the program.
int gate(const char *path, char **command) {
    int fd = node_connect(path, "BRUME/1 gate\n");
    if (fd < 0) {
        fprintf(stderr, "brume-agent: cannot reach the node at %s: %s\n", path, strerror(errno));
        return 1;
    }
    char word;
    if (read(fd, &word, 1) != 1) {
        fprintf(stderr, "brume-agent: the node closed the gate.\n");
        return 1;
    }
    execvp(command[0], command);
    char text[512];
    int size = snprintf(text, sizeof text, "BRUME/1 failed cannot start %s: %s\n", command[0], strerror(errno));
    // Until the node has read why (and closed), this process must not be seen to end.
    struct timeval patience = {.tv_sec = 2};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (write(fd, text, (size_t)size) < 0 || read(fd, &word, 1) < 0) perror("brume-agent");
    fprintf(stderr, "brume-agent: cannot start %s: %s\n", command[0], strerror(errno));
    return 127;
}

// Go durations (`1m30s`) or plain seconds, as the watchdogs read them; -1 for anything else.
static int64_t duration_ns(const char *text) {
    double total = 0;
    char *rest;
    if (!*text) return -1;
    while (*text) {
        double value = strtod(text, &rest);
        if (rest == text || value < 0) return -1;
        text = rest;
        double unit = 1e9;
        if (!strncmp(text, "ms", 2)) unit = 1e6, text += 2;
        else if (!strncmp(text, "us", 2)) unit = 1e3, text += 2;
        else if (*text == 'h') unit = 3600e9, text++;
        else if (*text == 'm') unit = 60e9, text++;
        else if (*text == 's') text++;
        else if (*text) return -1;
        total += value * unit;
    }
    return total < 9e18 ? (int64_t)total : -1;
}

static bool flag(const char *name, bool standard) {
    const char *text = getenv(name);
    if (!text || !*text) return standard;
    return !strcasecmp(text, "true") || !strcmp(text, "1") || !strcasecmp(text, "t");
}

static bool read_exactly(int fd, char *bytes, size_t size) {
    for (ssize_t got; size > 0; bytes += got, size -= (size_t)got)
        if ((got = read(fd, bytes, size)) <= 0) return false;
    return true;
}

// Waits in a sandbox that is made in advance until the node says what to become: eight hexadecimal digits of length, then strings with
// NUL behind each: the directory, the number of arguments, the arguments, the environment.
static int spare(const char *path) {
    char digits[9] = "", *end = digits, *text = NULL, **strings = NULL;
    int fd = node_connect(path, "BRUME/1 gate\n");
    // The node does not need this spare any more.
    if (fd < 0 || !read_exactly(fd, digits, 8)) return 0;
    size_t size = strtoul(digits, &end, 16), count = 0;
    if (*end || size == 0 || size > ORDER_MAX || !(text = malloc(size)) || !read_exactly(fd, text, size) || text[size - 1]) return 1;
    static const char ready[] = "BRUME/1 ready\n";
    if (write(fd, ready, sizeof ready - 1) != sizeof ready - 1) return 0;
    close(fd);
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) count++;
    if (!(strings = calloc(count + 2, sizeof *strings))) return 1;
    size_t index = 0;
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) strings[index++] = text + at;
    size_t words = count > 2 ? strtoul(strings[1], NULL, 10) : 0;
    if (words == 0 || words > count - 2) return 1;
    // The arguments end where the environment begins, so one place is needed between them.
    char **arguments = strings + 2, **environment = strings + 2 + words;
    memmove(environment + 1, environment, (count - 2 - words) * sizeof *environment);
    *environment++ = NULL;
    if (chdir(strings[0]) != 0) {
        fprintf(stderr, "brume-agent: cannot enter %s: %s\n", strings[0], strerror(errno));
        return 1;
    }
    environ = environment;
    execvp(arguments[0], arguments);
    fprintf(stderr, "brume-agent: cannot start %s: %s\n", arguments[0], strerror(errno));
    return 127;
}

static int usage(void) {
    fprintf(stderr, "usage: brume-agent --socket PATH [--connections N] -- COMMAND...\n"
                    "       brume-agent --gate PATH -- COMMAND...\n"
                    "       brume-agent --spare PATH\n");
    return 2;
}

int main(int count, char **arguments) {
    struct settings settings = {.connections = 1};
    const char *gate_path = NULL;
    int i = 1;
    if (count == 3 && !strcmp(arguments[1], "--spare")) return spare(arguments[2]);
    for (; i + 1 < count && strcmp(arguments[i], "--") != 0; i += 2) {
        if (!strcmp(arguments[i], "--socket")) settings.socket_path = arguments[i + 1];
        else if (!strcmp(arguments[i], "--gate")) gate_path = arguments[i + 1];
        else if (!strcmp(arguments[i], "--connections")) settings.connections = atoi(arguments[i + 1]);
        else return usage();
    }
    if (i + 1 >= count || strcmp(arguments[i], "--") != 0) return usage();
    settings.command = arguments + i + 1;
    if (gate_path) return gate(gate_path, settings.command);
    if (!settings.socket_path || settings.connections < 1) return usage();
    const char *timeout = getenv("exec_timeout"), *inflight = getenv("max_inflight");
    settings.content_type = getenv("content_type");
    settings.cgi_headers = flag("cgi_headers", true);
    settings.combine_output = flag("combine_output", true);
    settings.marshal_request = flag("marshal_request", false);
    settings.max_inflight = inflight ? atoi(inflight) : 0;
    settings.exec_timeout_ns = timeout && *timeout ? duration_ns(timeout) : 0;
    if (settings.exec_timeout_ns < 0) {
        fprintf(stderr, "brume-agent: exec_timeout '%s' is not a duration; write for example 90s.\n", timeout);
        return 2;
    }
    return serve(&settings);
}
