// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What a child needs between its beginning and its program: a few calls deep, of which none takes a kilobyte.
enum { STACK_BYTES = 16 << 10 };

// A place where the program may be, and what the shell is told if it turns out to be a script that names no interpreter.
struct candidate {
    char *path;
    char **shell_command;
};
static struct candidate *candidates;

// A child shares the agent's memory until it executes its program, and the agent goes on meanwhile: with vfork it would stand still for
// most of what a start takes, and starts would queue. So the child makes system calls by itself: the library's would write to the errno
// that both have in common.
#if defined(__x86_64__)
enum { START_FLAGS = CLONE_VM | SIGCHLD };
static long call(long number, long a, long b, long c, long d) {
    register long fourth __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum { START_FLAGS = CLONE_VM | SIGCHLD };
static long call(long number, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#else
// Here the agent waits, and errno is its own again when it goes on.
enum { START_FLAGS = CLONE_VM | CLONE_VFORK | SIGCHLD };
static long call(long number, long a, long b, long c, long d) {
    long result = syscall(number, a, b, c, d);
    return result < 0 ? -errno : result;
}
#endif

// As execvpe: the next place is looked at where the program is not in this one; that one may not be executed is remembered.
static int execute(struct child *child) {
    int error = ENOENT;
    bool denied = false;
    for (const struct candidate *candidate = candidates; candidate->path; candidate++) {
        error = (int)-call(SYS_execve, (long)candidate->path, (long)child->command, (long)child->environment, 0);
        if (error == ENOEXEC)
            error = (int)-call(SYS_execve, (long)candidate->shell_command[0], (long)candidate->shell_command, (long)child->environment, 0);
        if (error == EACCES) denied = true;
        else if (error != ENOENT && error != ENOTDIR && error != ESTALE && error != ENODEV && error != ETIMEDOUT) return error;
    }
    return denied ? EACCES : error;
}

static int become(void *given) {
    struct child *child = given;
    uint64_t none = 0, by_default[4] = {0};
    call(SYS_setpgid, 0, 0, 0, 0);
    call(SYS_rt_sigaction, SIGPIPE, (long)by_default, 0, sizeof none);
    long result = call(SYS_dup3, child->stdin_end, 0, 0, 0);
    if (result >= 0) result = call(SYS_dup3, child->stdout_end, 1, 0, 0);
    if (result >= 0 && child->combines_output) result = call(SYS_dup3, child->stdout_end, 2, 0, 0);
    if (result >= 0) {
        call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none);
        result = -execute(child);
    }
    child->error = (int)-result;
    call(SYS_exit_group, 127, 0, 0, 0);
    return 127;
}

static char **shell_command(char *path, char **command) {
    size_t count = 0;
    while (command[count]) count++;
    char **words = calloc(count + 2, sizeof *words);
    if (!words) return NULL;
    words[0] = "/bin/sh";
    words[1] = path;
    for (size_t i = 1; i < count; i++) words[i + 1] = command[i];
    return words;
}

bool child_prepare(const struct settings *settings) {
    const char *name = settings->command[0], *places = getenv("PATH");
    if (!places) places = "/bin:/usr/bin";
    if (strchr(name, '/')) places = NULL;
    size_t count = 1;
    for (const char *at = places; at && *at; at++) count += *at == ':';
    candidates = calloc(count + 1, sizeof *candidates);
    if (!candidates) return false;
    for (size_t i = 0; i < count; i++) {
        char *path = NULL;
        if (places) {
            int length = (int)strcspn(places, ":");
            if (asprintf(&path, "%.*s%s%s", length, places, length ? "/" : "", name) < 0) return false;
            places += length + (places[length] == ':');
        } else {
            path = strdup(name);
        }
        char **words = path ? shell_command(path, settings->command) : NULL;
        if (!words) return false;
        candidates[i] = (struct candidate){.path = path, .shell_command = words};
    }
    return true;
}

int child_start(const struct settings *settings, struct child *child, pid_t *pid, int *input, int *output) {
    int in[2], out[2];
    if (!child->stack && !(child->stack = aligned_alloc(16, STACK_BYTES))) return ENOMEM;
    if (pipe2(in, O_CLOEXEC) < 0) return errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int error = errno;
        close(in[0]), close(in[1]);
        return error;
    }
    child->command = settings->command;
    child->combines_output = settings->combine_output;
    child->stdin_end = in[0];
    child->stdout_end = out[1];
    child->error = 0;
    // Blocked signals stay blocked until the child executes: no handler of the agent's runs in it.
    *pid = clone(become, child->stack + STACK_BYTES, START_FLAGS, child);
    int error = *pid < 0 ? errno : 0;
    close(in[0]);
    close(out[1]);
    if (error) {
        *pid = 0;
        close(in[1]), close(out[0]);
        return error;
    }
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    *input = in[1];
    *output = out[0];
    return 0;
}

void child_start_error(const struct settings *settings, int error, char *text, size_t size) {
    const char *program = settings->command[0];
    if (!strchr(program, '/') && (error == ENOENT || error == EACCES)) {
        snprintf(text, size, "exec: \"%s\": executable file not found in $PATH", program);
        return;
    }
    const char *why = strerror(error);
    switch (error) {
    case ENOENT: why = "no such file or directory"; break;
    case EACCES: why = "permission denied"; break;
    case E2BIG: why = "argument list too long"; break;
    case ENOEXEC: why = "exec format error"; break;
    case EAGAIN: why = "resource temporarily unavailable"; break;
    case ENOMEM: why = "cannot allocate memory"; break;
    default: break;
    }
    snprintf(text, size, "fork/exec %s: %s", program, why);
}

static const char *signal_words(int number) {
    switch (number) {
    case SIGHUP: return "hangup";
    case SIGINT: return "interrupt";
    case SIGQUIT: return "quit";
    case SIGILL: return "illegal instruction";
    case SIGTRAP: return "trace/breakpoint trap";
    case SIGABRT: return "aborted";
    case SIGBUS: return "bus error";
    case SIGFPE: return "floating point exception";
    case SIGKILL: return "killed";
    case SIGUSR1: return "user defined signal 1";
    case SIGSEGV: return "segmentation fault";
    case SIGUSR2: return "user defined signal 2";
    case SIGPIPE: return "broken pipe";
    case SIGALRM: return "alarm clock";
    case SIGTERM: return "terminated";
    case SIGXCPU: return "CPU time limit exceeded";
    case SIGXFSZ: return "file size limit exceeded";
    case SIGSYS: return "bad system call";
    default: return NULL;
    }
}

bool child_exit_error(int status, char *text, size_t size) {
    if (WIFEXITED(status)) {
        snprintf(text, size, "exit status %d", WEXITSTATUS(status));
        return WEXITSTATUS(status) != 0;
    }
    const char *words = signal_words(WTERMSIG(status));
    const char *core = WCOREDUMP(status) ? " (core dumped)" : "";
    if (words) snprintf(text, size, "signal: %s%s", words, core);
    else snprintf(text, size, "signal: signal %d%s", WTERMSIG(status), core);
    return true;
}
