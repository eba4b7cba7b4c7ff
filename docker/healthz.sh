#!/usr/bin/env bash
# The image's health check: /healthz of the Bulkhead in this container says 200. Needs no curl.
set -euo pipefail

port=${BULKHEAD_HTTP_PORT:-3309}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
read -r -t 2 line <&3
[[ $line == *" 200 "* ]]
