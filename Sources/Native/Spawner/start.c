// SPDX-License-Identifier: Apache-2.0
//
// The way from a fork to the first instruction of the sandboxed program.

#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Descriptors are moved above every target before they are put in place, so that no move overwrites one that is still needed.
#define PARKING_FD (BRUME_SPAWN_FIRST_FD + BRUME_SPAWN_FDS_MAX)
// When the host runs short of memory the kernel takes a sandbox before it takes the platform.
#define OOM_SCORE "500"

// Makes the spawner's mounts its own, and mounts an own empty hierarchy there that switches the host's control groups to fast joining
// (a lone join otherwise waits 6 to 8 ms for a grace period). It goes with the spawner, however that ends.
uint32_t prepare_mounts(void) {
    if (unshare(CLONE_NEWNS) != 0) return 0;
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0) return 0;
    if (mkdir(BRUME_SPAWN_STAGE, 0755) != 0 && errno != EEXIST) return 0;
    uint32_t can = BRUME_CAN_STAGE;
    if (getenv("BRUME_SPAWNER_JOIN_FAST")
        && mount("brume", BRUME_SPAWN_STAGE, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "none,name=brume,favordynmods") == 0)
        can |= BRUME_CAN_JOIN_FAST;
    return can;
}

static _Noreturn void give_up(const char *what, const char *name) {
    dprintf(STDERR_FILENO, "brume-spawner: %s%s%s: %s\n", what, name ? " " : "", name ? name : "", strerror(errno));
    _exit(126);
}

static void join_group(const char *group) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", group) >= (int)sizeof path) errno = ENAMETOOLONG, give_up("cannot join", group);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) give_up("cannot join the control group", group);
    close(fd);
}

// Shows host paths that the sandbox's uid could not reach by itself (a data directory under /root) at short names, for this process only.
static void stage(char **paths, uint32_t count) {
    int opened[BRUME_SPAWN_FDS_MAX];
    if (count > BRUME_SPAWN_FDS_MAX) errno = E2BIG, give_up("cannot stage so many paths", NULL);
    if (unshare(CLONE_NEWNS) != 0) give_up("cannot make a mount namespace", NULL);
    for (uint32_t index = 0; index < count; index++) {
        opened[index] = open(paths[index], O_PATH | O_CLOEXEC);
        if (opened[index] < 0) give_up("cannot find", paths[index]);
    }
    if (mount("brume", BRUME_SPAWN_STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k") != 0)
        give_up("cannot mount on", BRUME_SPAWN_STAGE);
    for (uint32_t index = 0; index < count; index++) {
        char source[64], target[64];
        struct stat about;
        snprintf(source, sizeof source, "/proc/self/fd/%d", opened[index]);
        snprintf(target, sizeof target, BRUME_SPAWN_STAGE "/%u", index);
        if (fstat(opened[index], &about) != 0) give_up("cannot read", paths[index]);
        int made = S_ISDIR(about.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
        if (made != 0 || mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0) give_up("cannot show", paths[index]);
        close(opened[index]);
    }
}

static void limit(const struct brume_spawn *spawn) {
    for (uint32_t index = 0; index < spawn->rlimits; index++) {
        struct rlimit now, wanted;
        __rlimit_resource_t resource = (__rlimit_resource_t)spawn->rlimit[index].resource;
        wanted.rlim_cur = wanted.rlim_max = (rlim_t)spawn->rlimit[index].amount;
        // A limit above the node's own cannot be had; the node's own is then the stricter one.
        if (getrlimit(resource, &now) == 0 && wanted.rlim_max > now.rlim_max) wanted.rlim_cur = wanted.rlim_max = now.rlim_max;
        if (setrlimit(resource, &wanted) != 0) give_up("cannot set a resource limit", NULL);
    }
}

static void place_descriptors(struct spawner *spawner, struct order *order, int status) {
    for (int index = 0; index < order->fd_count; index++) {
        int moved = fcntl(order->fds[index], F_DUPFD_CLOEXEC, PARKING_FD);
        if (moved < 0) give_up("cannot move a descriptor", NULL);
        order->fds[index] = moved;
    }
    if (status >= 0 && (status = fcntl(status, F_DUPFD_CLOEXEC, PARKING_FD)) < 0) give_up("cannot move a descriptor", NULL);
    int error = dup2(spawner->null, STDIN_FILENO) < 0 || dup2(order->fds[1], STDOUT_FILENO) < 0 || dup2(order->fds[2], STDERR_FILENO) < 0;
    if (status >= 0) error |= dup2(status, BRUME_SPAWN_STATUS_FD) < 0;
    for (int index = 3; index < order->fd_count; index++) error |= dup2(order->fds[index], BRUME_SPAWN_FIRST_FD + index - 3) < 0;
    if (error) give_up("cannot place a descriptor", NULL);
    unsigned first = (unsigned)(BRUME_SPAWN_FIRST_FD + order->fd_count - 3);
    close_range(3, status >= 0 ? BRUME_SPAWN_STATUS_FD - 1 : BRUME_SPAWN_STATUS_FD, 0);
    close_range(first, ~0U, CLOSE_RANGE_CLOEXEC);
}

static _Noreturn void become(struct spawner *spawner, struct order *order, int status) {
    uint32_t flags = order->spawn.flags;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    // Standard error first, so that every later complaint is heard.
    dup2(order->fds[2], STDERR_FILENO);
    // The unified group was joined by clone3.
    for (char **group = order->groups + ((flags & BRUME_HAS_UNIFIED) ? 1 : 0); *group; group++) join_group(*group);
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        if (write(score, OOM_SCORE, strlen(OOM_SCORE)) < 0) errno = 0;
        close(score);
    }
    uint32_t stages = order->spawn.stages;
    if (flags & BRUME_HIDE_UNIFIED) {
        if (unshare(CLONE_NEWNS) != 0 || stages == 0) give_up("cannot make a mount namespace", NULL);
        if (umount2(order->stages[--stages], MNT_DETACH) != 0) give_up("cannot hide", order->stages[stages]);
    }
    if (stages > 0) stage(order->stages, stages);
    place_descriptors(spawner, order, status);
    if (order->directories[0] && chdir(order->directories[0]) != 0) give_up("cannot enter", order->directories[0]);
    limit(&order->spawn);
    if (flags & BRUME_SET_IDS) {
        gid_t gid = order->spawn.gid;
        uid_t uid = order->spawn.uid;
        if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
            give_up("cannot drop to the function's uid", NULL);
    }
    // After the change of ids, which clears it; and the spawner may have gone before it was set.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawner->self) _exit(126);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execve(order->argv[0], order->argv, order->envp);
    give_up("cannot execute", order->argv[0]);
}

static struct sandbox *free_slot(struct spawner *spawner) {
    for (int index = 0; index < BRUME_SPAWN_SANDBOXES_MAX; index++) {
        struct sandbox *sandbox = &spawner->sandboxes[index];
        if (sandbox->used) continue;
        memset(sandbox, 0, sizeof *sandbox);
        sandbox->status_fd = -1;
        if (index >= spawner->used_max) spawner->used_max = index + 1;
        return sandbox;
    }
    return NULL;
}

static char **copy_strings(char **strings, uint32_t count) {
    char **copy = calloc(count + 1, sizeof *copy);
    for (uint32_t index = 0; copy && index < count; index++)
        if (!(copy[index] = strdup(strings[index]))) return copy;
    return copy;
}

static pid_t fork_into(const char *unified, int *error) {
    struct clone_args how = {.exit_signal = SIGCHLD};
    int fd = -1;
    if (unified) {
        fd = open(unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return *error = errno, -1;
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = (uint64_t)fd;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &how, sizeof how);
    if (pid < 0) *error = errno;
    if (fd >= 0 && pid != 0) close(fd);
    return pid;
}

int start_sandbox(struct spawner *spawner, struct order *order) {
    if (find_sandbox(spawner, order->request.sandbox)) return EEXIST;
    struct sandbox *sandbox = free_slot(spawner);
    if (!sandbox) return ENOSPC;
    uint32_t flags = order->spawn.flags;
    if (!spawner->root && (flags & BRUME_SET_IDS)) return EPERM;
    if (order->spawn.stages > 0 && !(spawner->can & BRUME_CAN_STAGE)) return EPERM;
    int status[2] = {-1, -1}, error = 0;
    if ((flags & BRUME_STATUS_PIPE) && pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
    const char *unified = (flags & BRUME_HAS_UNIFIED) ? order->groups[0] : NULL;
    char **groups = copy_strings(order->groups, order->spawn.groups);
    pid_t pid = groups ? fork_into(unified, &error) : -1;
    if (pid == 0) become(spawner, order, status[1]);
    if (status[1] >= 0) close(status[1]);
    if (pid < 0) {
        if (status[0] >= 0) close(status[0]);
        for (char **group = groups; group && *group; group++) free(*group);
        free(groups);
        return error ? error : ENOMEM;
    }
    sandbox->used = true;
    sandbox->id = order->request.sandbox;
    sandbox->flags = flags;
    sandbox->pid = pid;
    sandbox->groups = groups;
    if (order->spawn.marked) sandbox->marker = strdup(order->envp[order->spawn.environment - 1]);
    sandbox->status_fd = status[0];
    if (status[0] >= 0) watch(spawner, status[0], EPOLLIN, FROM_STATUS, (uint32_t)(sandbox - spawner->sandboxes));
    answer(&order->request, pid, 0, -1);
    return 0;
}
