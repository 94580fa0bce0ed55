#!/usr/bin/env bash
# Finds a Chromium for the browser tests or installs one; without one those tests are skipped.
set -u
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1
elif command -v "${1:-playwright}" >/dev/null; then
  "${1:-playwright}" install chromium >/dev/null 2>&1
fi
status=$?
[ $status = 0 ] || echo "no Chromium could be installed: the browser tests will be skipped"
exit 0
