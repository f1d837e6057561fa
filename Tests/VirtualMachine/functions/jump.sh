#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes as many mebibytes as its input says, all at once: after so many milliseconds, as memory of its own (1) or as a file in memory (0)
# that it keeps for so many milliseconds more.
read -r mebibytes wait way stay
[ "${wait:-0}" -gt 0 ] && usleep "${wait}000"
if [ "${way:-0}" -eq 0 ]; then
    head -c "${mebibytes}m" /dev/zero >/tmp/held || exit 1
    [ "${stay:-0}" -gt 0 ] && usleep "${stay}000"
    rm /tmp/held
else
    dd if=/dev/zero of=/dev/null bs="${mebibytes}M" count=1 2>/dev/null || exit 1
fi
echo done
