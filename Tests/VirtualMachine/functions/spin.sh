#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Wants a whole core for three seconds.
timeout 3 sh -c 'while :; do :; done'
echo done
