// SPDX-License-Identifier: Apache-2.0
//
// Reads what SPAWN and ADOPT packets say. The node is trusted, its bugs are not: every count and every length is checked before it is used.

#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int read_strings(int fd, const uint32_t *counts, char ***const *lists, int list_count, char **strings) {
    struct stat about;
    if (fstat(fd, &about) != 0) return errno;
    if (about.st_size <= 0 || about.st_size > BRUME_SPAWN_STRINGS_MAX) return E2BIG;
    size_t size = (size_t)about.st_size;
    *strings = malloc(size);
    if (!*strings) return ENOMEM;
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd, *strings + done, size - done, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return EIO;
        done += (size_t)got;
    }
    if ((*strings)[size - 1] != 0) return EBADMSG;

    size_t total = 0;
    for (int list = 0; list < list_count; list++) {
        if (counts[list] > BRUME_SPAWN_STRINGS_COUNT_MAX) return E2BIG;
        total += counts[list];
    }
    char *next = *strings, *end = *strings + size;
    for (int list = 0; list < list_count; list++) {
        char **split = calloc(counts[list] + 1, sizeof *split);
        if (!split) return ENOMEM;
        *lists[list] = split;
        for (uint32_t index = 0; index < counts[list]; index++) {
            if (next >= end) return EBADMSG;
            split[index] = next;
            next += strlen(next) + 1;
        }
    }
    return next == end && total > 0 ? 0 : EBADMSG;
}

int read_order(struct order *order, const void *packet, size_t length, int *fds, int fd_count) {
    memset(order, 0, sizeof *order);
    if (length != sizeof order->request + sizeof order->spawn || fd_count < 3) return EBADMSG;
    memcpy(&order->request, packet, sizeof order->request);
    memcpy(&order->spawn, (const char *)packet + sizeof order->request, sizeof order->spawn);
    order->fds = fds;
    order->fd_count = fd_count;
    if (order->spawn.marked && order->spawn.environment == 0) return EBADMSG;
    if ((order->spawn.flags & BRUME_HAS_UNIFIED) && order->spawn.groups == 0) return EBADMSG;
    if (order->spawn.arguments == 0 || order->spawn.directories > 1 || order->spawn.rlimits > BRUME_SPAWN_RLIMITS_MAX) return EBADMSG;
    if ((order->spawn.flags & BRUME_SET_IDS) && (order->spawn.uid == 0 || order->spawn.gid == 0)) return EPERM;
    uint32_t counts[5] = {
        order->spawn.arguments, order->spawn.environment, order->spawn.groups, order->spawn.stages, order->spawn.directories};
    char ***const lists[5] = {&order->argv, &order->envp, &order->groups, &order->stages, &order->directories};
    return read_strings(fds[0], counts, lists, 5, &order->strings);
}

void free_order(struct order *order) {
    free(order->strings);
    free(order->argv);
    free(order->envp);
    free(order->groups);
    free(order->stages);
    free(order->directories);
}
