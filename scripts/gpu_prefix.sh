#!/usr/bin/env bash
# Unpacks what Grapevine needs into a folder, for a machine on which nothing can be installed: a GPU node without
# network or root, say. Debian's packages of scripts/setup.sh with their dependencies, without what a machine with a
# compiler has, without documents, and without drivers of networks.
#
#   scripts/gpu_prefix.sh [DIR]     makes DIR and DIR.tar.xz (default build/gpu-prefix); prints their sizes
#
# There, DIR may lie anywhere; GRAPEVINE_PREFIX=DIR (or DIR.tar.xz) scripts/gpu_check.sh finds it. By hand:
#   export GRAPEVINE_PREFIX=DIR && . DIR/environment && make && scripts/launch.sh 4 CONFIG
# The other machine needs gcc and a C library that is not older than this one's.
# Exit status: 0 it is there, 2 wrong usage, 4 a package could not be had.
set -euo pipefail
cd "$(dirname "$0")/.."

# Beginnings of names of packages that stay out: compilers and what they bring, the system's base, networks, X.
readonly EXCLUDED='gcc cpp binutils gfortran perl m4 autoconf automake autotools pkg debconf dpkg tar passwd
adduser debianutils openssh sgml linux-libc rpcsvc libc6 libc- libcrypt libgcc libstdc++ libgomp libitm libatomic
libasan liblsan libtsan libubsan libcc1 libbinutils libctf libgprofng libgfortran-12-dev libperl libgdbm libdb5
libpam libaudit libcap-ng libselinux libsepol libsemanage libacl libmd0 libpcre2 libbz2 liblzma libzstd libedit
libtinfo libbsd libcbor libfido libssl libkrb5 libk5 libgssapi libcom-err libkeyutils libgmp libisl libmpfr
libmpc libnsl libtirpc libjs- libx11 libxau libxdmcp libxcb libxml2 libicu libxext libxnvctrl libjansson
libpciaccess libevent-openssl libhwloc-plugins libfabric libucx libpsm libibverbs ibverbs librdmacm libnl'

# Libraries that every Linux with a compiler has.
readonly SYSTEM=' libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libgcc_s.so.1 libstdc++.so.6 libgomp.so.1 '\
'ld-linux-x86-64.so.2 '

fail() {
    echo "gpu_prefix: $*" >&2
    exit "${code:-4}"
}

# The packages of the table in scripts/setup.sh: all that are needed to build and run, and the tests' C library.
wanted() {
    awk -F'|' '$1 == "minimal" || $2 == "libcmocka-dev" { print $2 }' scripts/setup.sh
}

# Those and their dependencies, as apt would install them on a machine that has nothing, less those excluded.
packages() {
    local beginnings
    beginnings=$(tr -s ' \n' '|' <<<"$EXCLUDED" | sed 's/|$//; s/[+]/\\&/g')
    # shellcheck disable=SC2046  # one word per package
    apt-get -s -o Dir::State::status=/dev/null install --no-install-recommends $(wanted) |
        awk '$1 == "Inst" { print $2 }' | grep -vE "^($beginnings)"
}

unpack() {
    local into=$1 names archive
    names=$(packages) || fail "apt-get finds no way to install: $(wanted | tr '\n' ' ')"
    mkdir -p "$into/.packages/partial"
    # shellcheck disable=SC2086  # one word per package
    (cd "$into/.packages" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download $names >/dev/null) ||
        fail "apt-get download failed"
    for archive in "$into"/.packages/*.deb; do
        dpkg -x "$archive" "$into"
    done
    rm -rf "$into/.packages"
}

# What only people, other languages or static links need.
trim() {
    local into=$1
    rm -rf "$into"/usr/share/{doc,doc-base,man,lintian,libtool,aclocal,bug} "$into"/etc/{libibverbs.d,libnl-3}
    rm -rf "$into"/usr/lib/x86_64-linux-gnu/{cmake,fortran,pkgconfig,openmpi/lib/pkgconfig,openmpi/include/openmpi}
    find "$into" ! -type d \( -name '*.a' -o -name '*.la' -o -name '*.hpp' -o -name 'lib*java*' -o -name 'lib*shmem*' \
        -o -name 'libmpi_usempi*' -o -name 'libmpi_mpifh*' -o -name 'libmpi_cxx*' \) -delete
    find "$into/usr/bin" ! -type d ! -name 'orted' ! -name 'orterun' ! -name 'mpirun*' ! -name 'ompi_info' \
        ! -name 'make' -delete
}

libraries_of() {
    readelf -d "$1" | awk '/\(NEEDED\)/ { gsub(/[][]/, ""); print $5 }'
}

# Whether something that file $1 is linked with is neither in the list $2 nor part of every system.
lacks() {
    local library
    for library in $(libraries_of "$1"); do
        [[ $SYSTEM == *" $library "* || $2 == *" $library "* ]] || return 0
    done
    return 1
}

# Plugins and libraries that cannot be loaded, since what they need stayed out, go too, until none is left.
drop_broken() {
    local into=$1 here file dropped=true
    while $dropped; do
        dropped=false
        here=" $(find "$into" -name '*.so*' -exec test -e {} \; -printf '%f ') "
        while read -r file; do
            if lacks "$file" "$here"; then
                rm "$file" && dropped=true
            fi
        done < <(find "$into" -type f \( -name '*.so' -o -name '*.so.*' \))
    done
    find "$into" -xtype l -delete # links to what is gone
}

# Whether all that the linker is given by name is there.
check_libraries() {
    local name
    for name in dnnl yaml cjson lapacke cholmod dsdp z cmocka mpi; do
        [ -n "$(find "$1" -name "lib$name.so" -exec test -e {} \; -print)" ] || fail "lib$name.so was not kept"
    done
}

# Names that Debian makes when it installs: the BLAS, LAPACK and MPI in use.
link_alternatives() {
    local libraries=$1/usr/lib/x86_64-linux-gnu name
    for name in blas lapack; do
        ln -sf "$name/lib$name.so.3" "$libraries/lib$name.so.3"
    done
    ln -sf orterun "$1/usr/bin/mpirun"
    ln -sf orterun "$1/usr/bin/mpirun.openmpi"
}

# Shell lines that make compiler, linker and programs find DIR, which GRAPEVINE_PREFIX names.
write_environment() {
    cat >"$1/environment" <<'ENVIRONMENT'
# To be sourced, with GRAPEVINE_PREFIX naming this folder: make, mpirun and Grapevine then find what is here.
_libraries=$GRAPEVINE_PREFIX/usr/lib/x86_64-linux-gnu
_path=$_libraries:$GRAPEVINE_PREFIX/lib/x86_64-linux-gnu:$GRAPEVINE_PREFIX/usr/lib:$_libraries/pmix2/lib
export PATH=$GRAPEVINE_PREFIX/usr/bin:$PATH
export LD_LIBRARY_PATH=$_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export MPICC="${CC:-cc} -isystem $_libraries/openmpi/include"
export CPPFLAGS="-isystem $GRAPEVINE_PREFIX/usr/include ${CPPFLAGS:-}"
export LDFLAGS="-L$_libraries/openmpi/lib -L$_libraries -L$GRAPEVINE_PREFIX/usr/lib -Wl,-rpath-link,$_path ${LDFLAGS:-}"
export LDLIBS="-lmpi ${LDLIBS:-}"
# Open MPI and its PMIx were made for /usr: where they find plugins, messages and settings now.
export OPAL_PREFIX=$GRAPEVINE_PREFIX/usr OPAL_SYSCONFDIR=$GRAPEVINE_PREFIX/etc/openmpi
export OPAL_LIBDIR=$_libraries/openmpi/lib OPAL_PKGLIBDIR=$_libraries/openmpi/lib/openmpi3
export OPAL_PKGDATADIR=$GRAPEVINE_PREFIX/usr/share/openmpi
export PMIX_PKGLIBDIR=$_libraries/pmix2/lib/pmix PMIX_PKGDATADIR=$_libraries/pmix2/share/pmix
unset _libraries _path
ENVIRONMENT
}

main() {
    local into=${1:-build/gpu-prefix} file
    if [ $# -gt 1 ] || [[ $into == -* ]]; then
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' scripts/gpu_prefix.sh >&2
        exit 2
    fi
    for file in apt-get dpkg readelf xz; do
        command -v "$file" >/dev/null || fail "this needs $file: a Debian or Ubuntu with binutils and xz-utils"
    done
    [ ! -e "$into" ] || [ -f "$into/environment" ] || code=2 fail "$into is there and was not made by this script"
    rm -rf "$into"
    mkdir -p "$into"
    write_environment "$into"
    unpack "$into"
    trim "$into"
    drop_broken "$into"
    check_libraries "$into"
    link_alternatives "$into"
    XZ_OPT=-T0 tar -C "$into" -cJf "$into.tar.xz" .
    du -sh --apparent-size "$into" "$into.tar.xz"
}

main "$@"
