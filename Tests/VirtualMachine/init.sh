#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of the machine: a real root file system (bubblewrap cannot pivot away from an initramfs), cgroup v2, then the checks.
if [ "$1" != inside ]; then
    mount -t tmpfs -o mode=755,size=2g root /newroot
    for entry in /bin /sbin /lib /lib64 /usr /etc /var /tmp /run /checks /opt /init; do
        [ -e "$entry" ] || [ -L "$entry" ] && cp -a "$entry" /newroot/
    done
    mkdir -p /newroot/proc /newroot/sys /newroot/dev
    exec switch_root /newroot /init inside
fi

export PATH=/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
chmod 1777 /tmp
ip link set lo up
exec </dev/console >/dev/console 2>&1
stty -onlcr 2>/dev/null
echo "note: $(uname -r) with $(cat /sys/fs/cgroup/cgroup.controllers)"
sh /checks/checks.sh
sync
poweroff -f
