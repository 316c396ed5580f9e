#!/usr/bin/env bash
# A browser for the tests of the page: installs Debian's chromium where none is. Usage: scripts/browser.sh
set -euo pipefail
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
tell() {
  echo "The tests of the page need a browser. $1" >&2
  exit 1
}
if ! command -v apt-get >/dev/null; then
  tell "Install Chromium or Google Chrome, so that it is found as one of chromium, chromium-browser, google-chrome."
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || tell "Run: sudo apt-get install chromium"
  as_root=(sudo -n)
fi
echo "installing chromium, which the tests of the page run in …" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Fonts of many scripts, so that the tests see what readers see.
packages=(chromium fonts-noto-core)
get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >>"$log" 2>&1; }
if ! { get install -y --no-install-recommends "${packages[@]}" ||
  { get update && get install -y --no-install-recommends "${packages[@]}"; }; }; then
  tail -n 5 "$log" >&2
  tell "apt-get could not install it (above). Run: apt-get update && apt-get install chromium"
fi
command -v chromium >/dev/null || tell "apt-get installed no program named chromium; install one by hand."
