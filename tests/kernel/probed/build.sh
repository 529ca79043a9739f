#!/bin/sh
# Builds the libraries that the tests probe, for this machine or the one given: build.sh [x86_64|aarch64]. They are kept in the
# repository, so that tests need no compiler.
set -e
cd "$(dirname "$0")"
machine=${1:-$(uname -m)}
cc=gcc
[ "$machine" = "$(uname -m)" ] || cc="$machine-linux-gnu-gcc"
flags="-O2 -fPIC -shared -nostdlib -ffile-prefix-map=$PWD=. -fno-asynchronous-unwind-tables -Wl,--build-id=sha1 -Wl,-z,max-page-size=4096"
$cc $flags -gdwarf-5 -o "probed-$machine.so" probed.c
${cc%gcc}strip -s -o "stripped-$machine.so" "probed-$machine.so"
