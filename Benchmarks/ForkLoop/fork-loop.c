// SPDX-License-Identifier: Apache-2.0
//
// What a call of a `fork` function costs without any platform: starts the program with posix_spawn, writes the body to its stdin, reads
// its stdout to the end and waits for it, again and again.
//
//   fork-loop SECONDS CONCURRENCY BODY PROGRAM [ARGUMENTS...]
//
// Prints one JSON object: calls per second and percentiles in milliseconds.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLS_MAX = 1 << 20, CONCURRENCY_MAX = 64, SECONDS_MAX = 600 };

static char **program;
static const char *body;
static size_t body_length;
static uint64_t end_of_run;

struct worker {
    pthread_t thread;
    uint64_t *latencies; // nanoseconds
    size_t count, failed;
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// One call. Returns 0 if the program answered with as many bytes as it was sent and exited with 0.
static int call(void) {
    int in[2], out[2];
    char *no_environment[] = {NULL};
    if (pipe2(in, O_CLOEXEC) < 0) return -1;
    if (pipe2(out, O_CLOEXEC) < 0) { close(in[0]); close(in[1]); return -1; }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    pid_t child;
    int error = posix_spawn(&child, program[0], &actions, NULL, program, no_environment);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    size_t received = 0;
    if (!error) {
        if (write(in[1], body, body_length) != (ssize_t)body_length) error = errno;
        close(in[1]);
        char buffer[4096];
        ssize_t got;
        while ((got = read(out[0], buffer, sizeof buffer)) > 0) received += (size_t)got;
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) error = ECHILD;
    } else {
        close(in[1]);
    }
    close(out[0]);
    return error || received != body_length ? -1 : 0;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    for (uint64_t begin = now(); begin < end_of_run && worker->count < CALLS_MAX;) {
        int failed = call();
        uint64_t end = now();
        if (failed) worker->failed++; else worker->latencies[worker->count++] = end - begin;
        begin = end;
    }
    return NULL;
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

int main(int count, char **arguments) {
    double seconds = count > 4 ? atof(arguments[1]) : 0;
    int concurrency = count > 4 ? atoi(arguments[2]) : 0;
    if (seconds <= 0 || seconds > SECONDS_MAX || concurrency < 1 || concurrency > CONCURRENCY_MAX) {
        fprintf(stderr, "usage: fork-loop SECONDS CONCURRENCY BODY PROGRAM [ARGUMENTS...]\n");
        return 2;
    }
    body = arguments[3];
    body_length = strlen(body);
    program = arguments + 4;
    uint64_t begin = now();
    end_of_run = begin + (uint64_t)(seconds * 1e9);
    struct worker workers[CONCURRENCY_MAX] = {0};
    for (int i = 0; i < concurrency; i++) {
        workers[i].latencies = malloc(CALLS_MAX * sizeof(uint64_t));
        if (!workers[i].latencies || pthread_create(&workers[i].thread, NULL, work, &workers[i])) return 1;
    }
    size_t total = 0, failed = 0;
    for (int i = 0; i < concurrency; i++) {
        pthread_join(workers[i].thread, NULL);
        total += workers[i].count;
        failed += workers[i].failed;
    }
    double elapsed = (double)(now() - begin) / 1e9;
    uint64_t *all = malloc((total ? total : 1) * sizeof *all);
    if (!all) return 1;
    size_t filled = 0;
    for (int i = 0; i < concurrency; i++) {
        memcpy(all + filled, workers[i].latencies, workers[i].count * sizeof *all);
        filled += workers[i].count;
    }
    qsort(all, total, sizeof *all, compare);
    double p50 = total ? (double)all[total / 2] / 1e6 : 0, p99 = total ? (double)all[total * 99 / 100] / 1e6 : 0;
    printf("{\"throughput\": %.3f, \"p50\": %.6f, \"p99\": %.6f, \"calls\": %zu, \"failed\": %zu}\n", (double)total / elapsed, p50, p99,
           total, failed);
    return 0;
}
