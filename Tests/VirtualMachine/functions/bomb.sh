#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts processes until the kernel says no.
while :; do sleep 60 & done
