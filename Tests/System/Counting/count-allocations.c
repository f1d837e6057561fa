// SPDX-License-Identifier: Apache-2.0
//
// Loaded before a program (LD_PRELOAD), counts what it allocates: one 64-bit number in the file that COUNT_ALLOCATIONS names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Atomic uint64_t here;
static _Atomic uint64_t *counter = &here;

__attribute__((constructor)) static void open_counter(void) {
    const char *path = getenv("COUNT_ALLOCATIONS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    // Only the program itself is counted, not what it starts.
    unsetenv("LD_PRELOAD");
    unsetenv("COUNT_ALLOCATIONS");
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) counter = page;
}

static void count(void) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

void *malloc(size_t size) { return count(), __libc_malloc(size); }
void *calloc(size_t count_of, size_t size) { return count(), __libc_calloc(count_of, size); }
void *realloc(void *old, size_t size) { return count(), __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) { return count(), __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return count(), __libc_memalign(alignment, size); }

int posix_memalign(void **made, size_t alignment, size_t size) {
    count();
    *made = __libc_memalign(alignment, size);
    return *made ? 0 : 12;
}
