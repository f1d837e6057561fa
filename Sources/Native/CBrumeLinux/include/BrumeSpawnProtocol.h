// SPDX-License-Identifier: Apache-2.0
//
// The words between a node and its spawner: one packet each way per message on a SOCK_SEQPACKET socket, native byte order, file descriptors
// by SCM_RIGHTS. Both ends are built together and run on one machine, so there is no version negotiation beyond BRUME_SPAWN_VERSION.

#ifndef BRUME_SPAWN_PROTOCOL_H
#define BRUME_SPAWN_PROTOCOL_H

#include <stdint.h>

// Raised with every change of a structure below; the spawner tells it in READY and the node refuses another one.
#define BRUME_SPAWN_VERSION 3
// The descriptor on which the spawner finds its socket.
#define BRUME_SPAWN_SOCKET 3
// Largest packet: the structures below are all fixed and small, strings travel in a memory file.
#define BRUME_SPAWN_PACKET_MAX 1024
// Most descriptors in one packet (the kernel's SCM_MAX_FD is 253).
#define BRUME_SPAWN_FDS_MAX 128
// Largest memory file of strings: arguments and environment of one program (the kernel allows 2 MiB by default).
#define BRUME_SPAWN_STRINGS_MAX (1 << 20)
// Most strings in it.
#define BRUME_SPAWN_STRINGS_COUNT_MAX 16384
// Most sandboxes alive at once: four times what FunctionSpec.replicasMax lets one function have.
#define BRUME_SPAWN_SANDBOXES_MAX 4096
// Most connections that are not established yet; loopback connects at once unless the listener's backlog is full.
#define BRUME_SPAWN_PENDING_MAX 256
// Most resource limits in one SPAWN.
#define BRUME_SPAWN_RLIMITS_MAX 8

// The started program finds its bubblewrap status pipe here, and the extra descriptors of SPAWN from BRUME_SPAWN_FIRST_FD on.
#define BRUME_SPAWN_STATUS_FD 9
#define BRUME_SPAWN_FIRST_FD 10
// Staged host paths appear as BRUME_SPAWN_STAGE/0, /1, ... in the mount namespace of the started program.
#define BRUME_SPAWN_STAGE "/mnt"

enum {
    BRUME_SPAWN = 1,    // fds: strings, stdout, stderr, extra...
    BRUME_CONNECT = 2,  // value: port; the answer carries a socket
    BRUME_LISTEN = 3,   // value: port, 0 for any; the answer carries a socket and the port
    BRUME_SIGNAL = 4,   // value: BRUME_ASK or BRUME_KILL
    BRUME_ADOPT = 5,    // fds: strings, one per secret; the answer comes when everything is mounted
};

enum {
    BRUME_READY = 100,   // value: BRUME_SPAWN_VERSION; error: BRUME_CAN_ bits
    BRUME_ANSWER = 101,  // to a request: error is 0 or an errno; value: pid, or port
    BRUME_INSIDE = 102,  // value: host pid of the first process inside
    BRUME_EXIT = 103,    // value: wait status; nothing of the sandbox runs any more
};

enum { BRUME_ASK = 0, BRUME_KILL = 1 };

enum { BRUME_CAN_STAGE = 1, BRUME_CAN_JOIN_FAST = 2, BRUME_CAN_ADOPT = 4 };

enum {
    BRUME_SET_IDS = 1,          // drop to uid and gid
    BRUME_STATUS_PIPE = 2,      // the program is bubblewrap: it tells the inside pid on BRUME_SPAWN_STATUS_FD
    BRUME_INSIDE_IS_CHILD = 4,  // the program is a container runtime: the inside is its only child
    BRUME_HAS_UNIFIED = 8,      // the first control group is a cgroup2 directory
    BRUME_HIDE_UNIFIED = 16,    // unmount cgroup2 (the last staged path) in the program's own mount namespace
};

struct brume_request {
    uint32_t type;
    uint32_t request;  // echoed by the answer
    uint64_t sandbox;  // chosen by the node, unique
    int32_t value;
    uint32_t reserved;
};

struct brume_rlimit {
    uint32_t resource;
    uint32_t reserved;
    uint64_t amount;
};

// Follows brume_request in SPAWN. The strings file holds NUL-terminated strings in the order of these counts.
struct brume_spawn {
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t arguments;
    uint32_t environment;
    uint32_t groups;  // control group directories
    uint32_t stages;
    uint32_t directories;  // 0 or 1: the working directory
    uint32_t marked;       // 1: the last environment variable marks every process of a sandbox that has no control group
    uint32_t rlimits;
    uint32_t reserved;
    struct brume_rlimit rlimit[BRUME_SPAWN_RLIMITS_MAX];
};

// Follows brume_request in ADOPT. The strings file holds host paths, as many inside paths, then the names of secrets.
struct brume_adopt {
    uint32_t binds;    // each shown read-only at an empty directory that the sandbox has
    uint32_t secrets;  // files of one new read-only file system at BRUME_SPAWN_SECRETS
};

// Where secrets are inside.
#define BRUME_SPAWN_SECRETS "/var/openfaas/secrets"

struct brume_event {
    uint32_t type;
    uint32_t request;
    uint64_t sandbox;
    int32_t value;
    int32_t error;
};

#endif
