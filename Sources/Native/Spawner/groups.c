// SPDX-License-Identifier: Apache-2.0
//
// Empties and removes control groups. Both are also done by the node; here they are what remains when the node is gone.

#define _GNU_SOURCE
#include "spawner.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A group whose processes fork faster than they are killed is refused more of them by pids.max, so a few rounds end it.
#define KILL_ROUNDS_MAX 64
// The kernel copies an environment front to back; the marker of a larger one may be missed.
#define ENVIRONMENT_MAX (64 << 10)

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

// Without control groups a daemon that left its process group is found by what it inherited: one variable of its environment.
void kill_marked(const char *marker) {
    size_t wanted = strlen(marker);
    char text[ENVIRONMENT_MAX];
    for (int round = 0, killed = 1; round < KILL_ROUNDS_MAX && killed > 0; round++) {
        killed = 0;
        DIR *all = opendir("/proc");
        struct dirent *entry;
        while (all && (entry = readdir(all))) {
            long pid = strtol(entry->d_name, NULL, 10);
            char path[64];
            if (pid <= 1 || pid == getpid()) continue;
            snprintf(path, sizeof path, "/proc/%ld/environ", pid);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0) continue;
            ssize_t length = read(fd, text, sizeof text - 1);
            close(fd);
            text[length > 0 ? length : 0] = 0;
            for (char *next = text; next < text + length; next += strlen(next) + 1)
                if (strncmp(next, marker, wanted + 1) == 0 && kill((pid_t)pid, SIGKILL) == 0) killed++;
        }
        if (all) closedir(all);
        if (killed > 0) usleep(1000);
    }
}

void remove_groups(char **groups) {
    for (int index = 0; groups && groups[index]; index++)
        for (int round = 0; round < KILL_ROUNDS_MAX && rmdir(groups[index]) != 0; round++) usleep(1000);
}
