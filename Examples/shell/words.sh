#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The most frequent words of the text on standard input, with their counts.
tr -cs '[:alpha:]' '\n' | tr '[:upper:]' '[:lower:]' | grep . | sort | uniq -c | sort -rn -k1,1 -k2 | head -n "${WORDS:-5}"
