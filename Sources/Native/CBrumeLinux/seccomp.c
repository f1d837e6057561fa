// SPDX-License-Identifier: Apache-2.0
//
// The system calls that no function needs and that reach the parts of the kernel where most escapes were found. Everything else is
// allowed: namespaces, the missing capabilities and the read-only root are the walls, this filter makes them thicker.

#define _GNU_SOURCE
#include "CBrumeLinux.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "The seccomp filter knows x86_64 and aarch64."
#endif

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
// CLONE_NEWTIME shares its bit with the exit signal of clone; only unshare and clone3, both denied, take it.
#define NEW_NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
// The x32 system calls of x86_64 have numbers from here on.
#define X32_BIT 0x40000000

// Mounts and namespaces.
#define DENIED_MOUNTS(X) \
    X(mount) X(umount2) X(pivot_root) X(chroot) X(unshare) X(setns) X(open_tree) X(move_mount) X(fsopen) X(fsconfig) X(fsmount) \
    X(fspick) X(mount_setattr) X(open_by_handle_at) X(name_to_handle_at)
// Other processes.
#define DENIED_PROCESSES(X) X(ptrace) X(process_vm_readv) X(process_vm_writev) X(kcmp) X(pidfd_getfd) X(process_madvise)
// The kernel itself.
#define DENIED_KERNEL(X) \
    X(bpf) X(perf_event_open) X(userfaultfd) X(init_module) X(finit_module) X(delete_module) X(kexec_load) X(kexec_file_load) \
    X(reboot) X(syslog) X(lookup_dcookie) X(io_uring_setup) X(io_uring_enter) X(io_uring_register) X(fanotify_init) X(vhangup)
// Keys, clocks, accounting, quotas, swap, the memory of other nodes.
#define DENIED_REST(X) \
    X(keyctl) X(add_key) X(request_key) X(settimeofday) X(clock_settime) X(clock_adjtime) X(adjtimex) X(acct) X(quotactl) X(swapon) \
    X(swapoff) X(move_pages) X(migrate_pages) X(nfsservctl)
#if defined(__x86_64__)
#define DENIED_HERE(X) X(iopl) X(ioperm) X(modify_ldt) X(uselib) X(ustat) X(sysfs) X(_sysctl)
#else
#define DENIED_HERE(X)
#endif
#define DENIED(X) DENIED_MOUNTS(X) DENIED_PROCESSES(X) DENIED_KERNEL(X) DENIED_REST(X) DENIED_HERE(X)

#define NUMBER(name) SYS_##name,
#define NAME(name) #name " "
static const int denied[] = {DENIED(NUMBER)};

const char *brume_seccomp_names(void) { return DENIED(NAME); }

#define DENIED_COUNT (sizeof denied / sizeof denied[0])
// Jumps inside a BPF program reach 255 instructions.
_Static_assert(DENIED_COUNT < 240, "the list has outgrown the reach of a BPF jump");

ssize_t brume_seccomp_program(void *bytes, size_t capacity) {
    struct sock_filter program[DENIED_COUNT * 2 + 32];
    size_t length = 0;
#define ADD(instruction) program[length++] = (struct sock_filter)instruction
    const unsigned architecture = offsetof(struct seccomp_data, arch), number = offsetof(struct seccomp_data, nr);
    const unsigned first_argument = offsetof(struct seccomp_data, args);  // Its low half: both architectures are little-endian.
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, architecture));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number));
#if defined(__x86_64__)
    ADD(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#endif
    // The arguments of clone3 are in memory, where a filter cannot look; ENOSYS makes C libraries fall back to clone.
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
    ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first_argument));
    ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    for (size_t index = 0; index < DENIED_COUNT; index++)
        ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)denied[index], (unsigned char)(DENIED_COUNT - index), 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#undef ADD
    size_t size = length * sizeof program[0];
    if (size > capacity) return -ENOSPC;
    memcpy(bytes, program, size);
    return (ssize_t)size;
}
