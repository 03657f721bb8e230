#!/bin/sh
# Cards, queues and processors: reads them, advises on them, and sets what `host:` of stack.yaml asks for.
# Rendered by stackctl. prepare.sh reads this file and calls its functions; it does nothing by itself.
# shellcheck disable=SC2153,SC2154 # prepare.sh sets the variables
if [ -z "${WORK:-}" ] || [ -z "${command:-}" ]; then
    echo "hardware.sh: prepare.sh calls this; run: sh prepare.sh check" >&2
    exit 2
fi
