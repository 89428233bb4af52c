#!/bin/sh
# Assembles the test guest's boot sector and pads it to a disk image: build-guest.sh SOURCE IMAGE [SYMBOL=VALUE]
set -eu

if [ $# -ne 2 ] && [ $# -ne 3 ]; then
  echo "usage: build-guest.sh SOURCE IMAGE [SYMBOL=VALUE]" >&2
  exit 2
fi
source=$1
image=$2

# The native tools on x86, and on other hosts the cross ones of binutils-x86-64-linux-gnu.
case $(uname -m) in
  x86_64 | i?86) prefix= ;;
  *) prefix=x86_64-linux-gnu- ;;
esac

scratch=$(mktemp -d "$image.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
"${prefix}as" --32 -I "$(dirname "$source")" ${3:+--defsym "$3"} -o "$scratch/guest.o" "$source"
"${prefix}ld" -m elf_i386 -Ttext 0x7c00 --oformat binary -e _start \
  -o "$scratch/guest.img" "$scratch/guest.o"

size=$(stat -c %s "$scratch/guest.img")
if [ "$size" -ne 512 ]; then
  echo "build-guest.sh: $source makes $size bytes, a boot sector is 512" >&2
  exit 1
fi
truncate -s 4M "$scratch/guest.img"
chmod 644 "$scratch/guest.img"
mv "$scratch/guest.img" "$image"
