// SPDX-License-Identifier: Apache-2.0
//
// Empties and removes control groups. Both are also done by the node; here they are what remains when the node is gone.

#define _GNU_SOURCE
#include "spawner.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A group whose processes fork faster than they are killed is refused more of them by pids.max, so a few rounds end it.
#define KILL_ROUNDS_MAX 64

static bool write_kill(const char *group) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/cgroup.kill", group) >= (int)sizeof path) return false;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool written = write(fd, "1", 1) == 1;
    close(fd);
    return written;
}

static int kill_listed(const char *group) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", group) >= (int)sizeof path) return 0;
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int killed = 0;
    long pid;
    while (fscanf(file, "%ld", &pid) == 1)
        if (pid > 1 && pid != getpid() && kill((pid_t)pid, SIGKILL) == 0) killed++;
    fclose(file);
    return killed;
}

void kill_groups(char **groups, bool unified) {
    if (!groups || !groups[0]) return;
    if (unified && write_kill(groups[0])) return;
    for (int round = 0; round < KILL_ROUNDS_MAX && kill_listed(groups[0]) > 0; round++) usleep(500);
}

void remove_groups(char **groups) {
    for (int index = 0; groups && groups[index]; index++)
        for (int round = 0; round < KILL_ROUNDS_MAX && rmdir(groups[index]) != 0; round++) usleep(1000);
}
