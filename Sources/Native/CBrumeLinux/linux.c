// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "CBrumeLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Deeper trees than this are not made by any package format; the bound keeps the recursion from eating the stack.
#define TREE_DEPTH_MAX 256

int brume_memory_file(const char *name, const void *bytes, size_t length) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -errno;
    for (size_t done = 0; done < length;) {
        ssize_t put = write(fd, (const char *)bytes + done, length - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            int error = errno;
            close(fd);
            return -error;
        }
        done += (size_t)put;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int remove_inside(int parent, const char *name, dev_t device, int depth) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -errno;
    if (depth >= TREE_DEPTH_MAX) return -ELOOP;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -errno;
    struct stat about;
    if (fstat(fd, &about) != 0 || about.st_dev != device) {
        close(fd);
        return -EXDEV;
    }
    // A package may hold directories that their owner cannot write.
    if ((about.st_mode & 0700) != 0700) (void)!fchmod(fd, 0700);
    DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return -ENOMEM;
    }
    int result = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        int error = remove_inside(fd, entry->d_name, device, depth + 1);
        if (error && !result) result = error;
    }
    closedir(directory);
    if (!result && unlinkat(parent, name, AT_REMOVEDIR) != 0) result = -errno;
    return result;
}

int brume_remove_tree(const char *path) {
    struct stat about;
    if (lstat(path, &about) != 0) return errno == ENOENT ? 0 : -errno;
    return remove_inside(AT_FDCWD, path, about.st_dev, 0);
}

int brume_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return 0;
}

int brume_wait(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return status;
}

ssize_t brume_read_file(const char *path, void *bytes, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    size_t done = 0;
    while (done < capacity) {
        ssize_t got = read(fd, (char *)bytes + done, capacity - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && done == 0) {
            int error = errno;
            close(fd);
            return -error;
        }
        if (got <= 0) break;
        done += (size_t)got;
    }
    close(fd);
    return (ssize_t)done;
}

static int write_and_close(int fd, const void *bytes, size_t length) {
    ssize_t put = length > 0 ? write(fd, bytes, length) : 0;
    int error = put == (ssize_t)length ? 0 : put < 0 ? errno : EIO;
    close(fd);
    return -error;
}

int brume_write_file(const char *path, const void *bytes, size_t length) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : write_and_close(fd, bytes, length);
}

int brume_create_file(const char *path, const void *bytes, size_t length, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return -errno;
    fchmod(fd, mode);
    return write_and_close(fd, bytes, length);
}

int brume_make_directory(const char *path, mode_t mode) {
    if (mkdir(path, mode) != 0) return errno == EEXIST ? 0 : -errno;
    return chmod(path, mode) == 0 ? 0 : -errno;
}

static int open_inside(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

int brume_make_directory_inside(const char *root, const char *path) {
    int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) return -errno;
    char sofar[PATH_MAX] = "";
    size_t length = 0;
    int here = fcntl(root_fd, F_DUPFD_CLOEXEC, 0), error = 0;
    for (const char *part = path; here >= 0 && !error && *part;) {
        while (*part == '/') part++;
        size_t size = strcspn(part, "/");
        if (size == 0) break;
        if (length + size + 2 > sizeof sofar) error = ENAMETOOLONG;
        else {
            sofar[length++] = '/';
            memcpy(sofar + length, part, size);
            sofar[length += size] = 0;
            if (mkdirat(here, sofar + length - size, 0755) != 0 && errno != EEXIST) error = errno;
            close(here);
            here = error ? -1 : open_inside(root_fd, sofar);
            if (here < 0 && !error) error = errno;
        }
        part += size;
    }
    if (here >= 0) close(here);
    close(root_fd);
    return -error;
}

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int brume_wait_unpopulated(const char *group, int limit) {
    char path[PATH_MAX], text[256];
    if (snprintf(path, sizeof path, "%s/cgroup.events", group) >= (int)sizeof path) return -ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int64_t begin = milliseconds();
    for (;;) {
        ssize_t got = pread(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = 0;
        int spent = (int)(milliseconds() - begin);
        bool empty = got > 0 && strstr(text, "populated 0");
        if (empty || spent >= limit) {
            close(fd);
            return empty ? spent : -ETIME;
        }
        // The kernel raises POLLPRI whenever the content changes.
        struct pollfd changed = {.fd = fd, .events = POLLPRI};
        poll(&changed, 1, limit - spent);
    }
}

int brume_accept(int listener, void *peer) {
    socklen_t length = sizeof(struct sockaddr_storage);
    int fd = accept4(listener, peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void brume_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

int64_t brume_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
