// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// In the child, which shares the parent's memory until it executes: only system calls, and what they touch.
static _Noreturn void become(const struct settings *settings, char **environment, int input, int output, volatile int *error) {
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(input, 0) >= 0 && dup2(output, 1) >= 0 && (!settings->combine_output || dup2(output, 2) >= 0)) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvpe(settings->command[0], settings->command, environment);
    }
    *error = errno;
    _exit(127);
}

int child_start(const struct settings *settings, char **environment, pid_t *pid, int *input, int *output) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0) return errno;
    if (pipe2(out, O_CLOEXEC) < 0) {
        int error = errno;
        close(in[0]), close(in[1]);
        return error;
    }
    volatile int error = 0;  // the child writes to it
    // posix_spawn would look at all 64 signals in the child, a system call each; here only one is not at its default.
    pid_t child = vfork();
    if (child == 0) become(settings, environment, in[0], out[1], &error);
    if (child < 0) error = errno;
    else if (error) waitpid(child, NULL, 0);
    else *pid = child;
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
