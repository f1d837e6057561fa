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

static const int denied[] = {
    // Mounts and namespaces.
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig,
    SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_open_by_handle_at, SYS_name_to_handle_at,
    // Other processes.
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd, SYS_process_madvise,
    // The kernel itself.
    SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_kexec_file_load, SYS_reboot, SYS_syslog, SYS_lookup_dcookie, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
    SYS_fanotify_init, SYS_vhangup,
    // Keys, clocks, accounting, quotas, swap, other nodes' memory.
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_acct,
    SYS_quotactl, SYS_swapon, SYS_swapoff, SYS_move_pages, SYS_migrate_pages, SYS_nfsservctl,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_uselib, SYS_ustat, SYS_sysfs, SYS__sysctl,
#endif
};

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
