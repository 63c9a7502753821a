#!/bin/sh
# collect.sh ROOT FROM[=TO]...: copies programs or directories into the directory ROOT, with every shared library that they
# need. The result is the root file system of an image, without shell and package manager unless an argument names them.
set -eu

root=$1
shift

# libraries FILE: the paths of the shared libraries that a program or library needs, the dynamic loader included.
libraries() {
    ldd "$1" 2>/dev/null | sed -nE 's/^.*=> (\/[^ ]+) .*$/\1/p; s/^[[:space:]]+(\/[^ ]+) \(.*$/\1/p'
}

copy_libraries_of() {
    for library in $(libraries "$1"); do
        if [ ! -e "$root$library" ]; then
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        fi
    done
}

for item in "$@"; do
    from=${item%%=*}
    to=${item#*=}
    mkdir -p "$root$(dirname "$to")"
    if [ -d "$from" ]; then
        cp -a "$from" "$root$to"
    else
        cp -L "$from" "$root$to"
    fi
    find "$root$to" -type f \( -perm -u=x -o -name '*.so*' \) -print | while read -r file; do
        copy_libraries_of "$file"
    done
done

mkdir -p "$root/etc" "$root/tmp"
chmod 1777 "$root/tmp"
# For programs that look up their user name.
printf 'root:x:0:0::/:/sbin/nologin\npostgres:x:999:999::/:/sbin/nologin\nmuster:x:65532:65532::/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\npostgres:x:999:\nmuster:x:65532:\n' >"$root/etc/group"
