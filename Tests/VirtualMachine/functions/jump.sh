#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes as many mebibytes as its input says, all at once, as a file in memory.
read -r mebibytes
head -c "${mebibytes}m" /dev/zero >/tmp/held && rm /tmp/held && echo done
