// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int child_start(const struct settings *settings, char **environment, pid_t *pid, int *input, int *output) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0) return errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int error = errno;
        close(in[0]), close(in[1]);
        return error;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, standard;
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    if (settings->combine_output) posix_spawn_file_actions_adddup2(&actions, out[1], 2);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &standard);
    // glibc spawns with CLONE_VFORK: nothing of this process is copied.
    int error = posix_spawnp(pid, settings->command[0], &actions, &attributes, settings->command, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(out[1]);
    if (error) {
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
