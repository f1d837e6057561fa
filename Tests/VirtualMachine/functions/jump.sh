#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes as many mebibytes as its input says, all at once: after so many milliseconds, as a file in memory (0), as memory of its own bit by
# bit (1), both kept for so many milliseconds more, or by one system call (2).
read -r mebibytes wait way stay
[ "${wait:-0}" -gt 0 ] && usleep "${wait}000"
# Whoever is killed for memory is to die of it, as a program without a shell around it would.
case ${way:-0} in
    0)
        head -c "${mebibytes}m" /dev/zero >/tmp/held || kill -KILL $$
        [ "${stay:-0}" -gt 0 ] && usleep "${stay}000"
        rm /tmp/held
        ;;
    1)
        awk -v mebibytes="$mebibytes" -v stay="${stay:-0}" 'BEGIN {
            text = "x"
            while (length(text) < 1048576) text = text text
            for (part = 0; part < mebibytes; part++) held[part] = text part
            if (stay > 0) system("usleep " stay "000")
        }' || kill -KILL $$
        ;;
    2) dd if=/dev/zero of=/dev/null bs="${mebibytes}M" count=1 2>/dev/null || kill -KILL $$ ;;
esac
echo done
