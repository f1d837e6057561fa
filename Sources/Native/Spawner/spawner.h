// SPDX-License-Identifier: Apache-2.0
//
// brume-spawner: the one small process that starts sandboxes for a node. Single-threaded on purpose: a parent-death signal follows the
// thread that started the child, and hops between network namespaces change the thread that makes them.

#ifndef BRUME_SPAWNER_H
#define BRUME_SPAWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../CBrumeLinux/include/BrumeSpawnProtocol.h"

enum source { FROM_NODE = 1, FROM_SIGNALS = 2, FROM_STATUS = 3, FROM_PENDING = 4 };

// Bubblewrap writes two short JSON documents on its status pipe; 512 bytes hold both.
#define STATUS_TEXT_MAX 512

struct sandbox {
    bool used;
    uint64_t id;
    uint32_t flags;
    pid_t pid;     // what was started: bubblewrap, crun, or the program itself
    pid_t inside;  // first process inside, 0 while unknown
    int status_fd;
    size_t status_length;
    char status_text[STATUS_TEXT_MAX];
    char **groups;  // owned, NULL-terminated
    char *marker;   // owned, or NULL
};

struct spawner {
    int epoll;
    int signals;
    int null;
    int own_network;  // for the way back from a sandbox's network namespace
    bool root;
    uint32_t can;
    pid_t self;
    struct sandbox *sandboxes;  // BRUME_SPAWN_SANDBOXES_MAX
    int used_max;               // no used slot from here on
};

// What one SPAWN packet said, with its strings split.
struct order {
    struct brume_request request;
    struct brume_spawn spawn;
    char *strings;  // owned
    char **argv;
    char **envp;
    char **groups;
    char **stages;
    char **directories;
    int *fds;
    int fd_count;
};

// main.c
void tell(const struct brume_event *event, int fd);
void answer(const struct brume_request *request, int value, int error, int fd);
struct sandbox *find_sandbox(struct spawner *spawner, uint64_t id);
pid_t inside_pid(struct sandbox *sandbox);
bool watch(struct spawner *spawner, int fd, uint32_t events, enum source source, uint32_t index);

// order.c: both return 0 or an errno; in any case the caller frees. `lists` gets one NULL-terminated array for each of `counts`.
int read_strings(int fd, const uint32_t *counts, char ***const *lists, int list_count, char **strings);
int read_order(struct order *order, const void *packet, size_t length, int *fds, int fd_count);
void free_order(struct order *order);

// start.c
int start_sandbox(struct spawner *spawner, struct order *order);
uint32_t prepare_mounts(void);

// adopt.c
void adopt(struct spawner *spawner, const void *packet, size_t length, int *fds, int fd_count);
bool can_adopt(void);

// groups.c
void kill_groups(char **groups, bool unified);
void remove_groups(char **groups);
void kill_marked(const char *marker);

// reach.c
void reach(struct spawner *spawner, const struct brume_request *request);
void pending_ready(struct spawner *spawner, uint32_t index);

#endif
