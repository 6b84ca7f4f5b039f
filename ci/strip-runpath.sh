#!/usr/bin/env bash
# Takes the run path out of every shared library of a folder: the linker of the JNI library leaves the build folder there,
# which is of no use on another machine and lets whoever can write to such a path replace our code.
#   ci/strip-runpath.sh <folder>
# Done with readelf and dd alone, as patchelf and chrpath are seldom installed. What is not ELF is left as it is.
set -euo pipefail
folder=${1:?usage: ci/strip-runpath.sh <folder>}
[ -d "$folder" ] || exit 0

number() { echo $((16#$1)); }

# write <file> <offset> <count> : that many zero bytes
zero() { dd if=/dev/zero of="$1" bs=1 seek="$2" count="$3" conv=notrunc status=none; }

strip_one() {
  local file=$1 name address offset size entry=16 tags index value length
  # Sections' file offsets: name, type, address, offset, size.
  local dynamic dynstr
  dynamic=$(readelf -SW "$file" | sed -n 's/^ *\[ *[0-9]*\] \.dynamic  *DYNAMIC  *\([0-9a-f]*\) \([0-9a-f]*\) \([0-9a-f]*\).*/\2 \3/p')
  dynstr=$(readelf -SW "$file" | sed -n 's/^ *\[ *[0-9]*\] \.dynstr  *STRTAB  *\([0-9a-f]*\) \([0-9a-f]*\) \([0-9a-f]*\).*/\2/p')
  offset=$(number "${dynamic% *}")
  size=$(number "${dynamic#* }")
  readelf -h "$file" | grep -q 'ELF64' || { echo "strip-runpath: $file is not 64-bit ELF" >&2; return 1; }
  index=0
  while read -r tag value; do
    # 15 is DT_RPATH, 29 is DT_RUNPATH.
    if [ "$tag" = 15 ] || [ "$tag" = 29 ]; then
      # The path's text, up to its last slash: what follows could be shared with a symbol's name.
      local text=$(( $(number "$dynstr") + value )) path
      path=$(dd if="$file" bs=1 skip="$text" count=4096 status=none | tr '\0' '\n' | head -n 1) || true
      local head=${path%/*}
      zero "$file" "$text" $(( ${#head} ))
      # The entries behind move up by one, and an empty one ends the list.
      local at=$((offset + index * entry)) rest=$((size - (index + 1) * entry)) copy
      copy=$(mktemp)
      dd if="$file" of="$copy" bs=1 skip=$((at + entry)) count="$rest" status=none
      dd if="$copy" of="$file" bs=1 seek="$at" conv=notrunc status=none
      rm -f "$copy"
      zero "$file" $((offset + size - entry)) "$entry"
      return 0
    fi
    index=$((index + 1))
  done < <(od -An -v -t u8 -w16 -j "$offset" -N "$size" "$file")
}

for file in "$folder"/*.so; do
  [ -f "$file" ] || continue
  command -v readelf > /dev/null || { echo "readelf is missing: apt-get install binutils" >&2; exit 1; }
  while readelf -d "$file" 2> /dev/null | grep -qE '\((RPATH|RUNPATH)\)'; do
    strip_one "$file"
  done
done
