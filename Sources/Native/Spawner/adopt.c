// SPDX-License-Identifier: Apache-2.0
//
// Gives a sandbox that is running already the files of the function that it is to become. Mounts are made here, where host paths can be
// reached, and moved into the sandbox's mount namespace; the sandbox itself has no right to mount anything.

#define _GNU_SOURCE
#include "spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

// How long a child may take that mounts a function's files, seconds: a host path may lie on a file system that hangs.
#define CHILD_SECONDS 5

struct adoption {
    struct brume_request request;
    struct brume_adopt adopt;
    char *strings;  // owned, as the lists below
    char **hosts;
    char **insides;
    char **names;
    int *secrets;
};

static int hide_rights(int mount, unsigned flags) {
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    return mount_setattr(mount, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes);
}

// A copy of a host path's mount that nobody sees yet, or -1.
static int detached(const char *host) {
    int tree = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    return tree >= 0 && hide_rights(tree, AT_RECURSIVE) == 0 ? tree : -1;
}

static int copy(int directory, const char *name, int source) {
    struct stat about;
    int file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (file < 0 || fstat(source, &about) != 0) return -1;
    off_t done = 0;
    while (done < about.st_size)
        if (sendfile(file, source, &done, (size_t)(about.st_size - done)) <= 0) return -1;
    return fchmod(file, 0444) == 0 ? close(file) : -1;
}

// A new file system in memory with the secrets, seen by nobody yet, or -1.
static int sealed(const struct adoption *adoption) {
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) != 0) return -1;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) return -1;
    int root = fsmount(context, FSMOUNT_CLOEXEC, 0);
    for (uint32_t index = 0; root >= 0 && index < adoption->adopt.secrets; index++)
        if (copy(root, adoption->names[index], adoption->secrets[index]) != 0) return -1;
    return root >= 0 && hide_rights(root, 0) == 0 ? root : -1;
}

static int place(const struct adoption *adoption, int namespace) {
    int trees[BRUME_SPAWN_FDS_MAX];
    uint32_t count = adoption->adopt.binds, secrets = adoption->adopt.secrets;
    if (count > BRUME_SPAWN_FDS_MAX) return E2BIG;
    for (uint32_t index = 0; index < count; index++)
        if ((trees[index] = detached(adoption->hosts[index])) < 0) return errno;
    int files = secrets > 0 ? sealed(adoption) : -1;
    if (secrets > 0 && files < 0) return errno;
    if (setns(namespace, CLONE_NEWNS) != 0) return errno;
    for (uint32_t index = 0; index < count; index++)
        if (move_mount(trees[index], "", AT_FDCWD, adoption->insides[index], MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
    if (secrets > 0 && move_mount(files, "", AT_FDCWD, BRUME_SPAWN_SECRETS, MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
    return 0;
}

static int read_adoption(struct adoption *adoption, const void *packet, size_t length, int *fds, int fd_count) {
    memcpy(&adoption->request, packet, sizeof adoption->request);
    if (length != sizeof adoption->request + sizeof adoption->adopt || fd_count < 1) return EBADMSG;
    memcpy(&adoption->adopt, (const char *)packet + sizeof adoption->request, sizeof adoption->adopt);
    if (adoption->adopt.secrets != (uint32_t)fd_count - 1) return EBADMSG;
    adoption->secrets = fds + 1;
    uint32_t counts[3] = {adoption->adopt.binds, adoption->adopt.binds, adoption->adopt.secrets};
    char ***const lists[3] = {&adoption->hosts, &adoption->insides, &adoption->names};
    int error = read_strings(fds[0], counts, lists, 3, &adoption->strings);
    for (uint32_t index = 0; !error && index < adoption->adopt.secrets; index++)
        if (strchr(adoption->names[index], '/')) error = EBADMSG;
    return error;
}

// A child makes the mounts: whatever goes wrong in the sandbox's namespace, the spawner never was there.
static void send_child(struct spawner *spawner, const struct adoption *adoption) {
    struct sandbox *sandbox = find_sandbox(spawner, adoption->request.sandbox);
    pid_t inside = sandbox ? inside_pid(sandbox) : 0;
    if (inside == 0) return answer(&adoption->request, 0, ESRCH, -1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)inside);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0) return answer(&adoption->request, 0, errno, -1);
    pid_t child = fork();
    if (child < 0) answer(&adoption->request, 0, errno, -1);
    if (child == 0) {
        // SIGALRM is blocked in the spawner; a child that hangs must end.
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        alarm(CHILD_SECONDS);
        umask(0);
        answer(&adoption->request, 0, place(adoption, namespace), -1);
        _exit(0);
    }
    close(namespace);
}

void adopt(struct spawner *spawner, const void *packet, size_t length, int *fds, int fd_count) {
    struct adoption adoption = {0};
    int error = read_adoption(&adoption, packet, length, fds, fd_count);
    if (!error && !(spawner->can & BRUME_CAN_ADOPT)) error = EPERM;
    if (error) answer(&adoption.request, 0, error, -1);
    else send_child(spawner, &adoption);
    free(adoption.strings);
    free(adoption.hosts);
    free(adoption.insides);
    free(adoption.names);
}

// The system calls are in Linux 5.12; a filter of a container may forbid them.
bool can_adopt(void) {
    int tree = detached("/proc");
    if (tree >= 0) close(tree);
    return tree >= 0;
}
