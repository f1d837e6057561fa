#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes memory until the kernel says no.
exec awk 'BEGIN { text = "x"; while (1) text = text text }'
