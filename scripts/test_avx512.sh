#!/bin/sh
# Holds backend cpu's kernels for AVX-512 against the reference on an x86-64 without AVX-512: boots a Linux that holds little but the
# tests of tests/kernels in Bochs, which emulates a Skylake-X. The libraries are those that CMake builds, so the kernels are a release's;
# tests/minimal stands in for Criterion, and all is static. Left out are the goldens, whose files take jansson and OpenSSL to read.
#
#   scripts/test_avx512.sh [--build DIR] [SUITE...]     e.g.  scripts/test_avx512.sh kernels peak
#     --build DIR     where to build (default: build/avx512); the Linux that apt-get downloads stays there, too
#     SUITE           these suites of tests, as Test(SUITE, name) names them (default: all but `plan` and `threads`, which take
#                     far longer; the others take five minutes together, `kernels peak` two)
#
# Needs an apt of Debian 12 and the packages bochs, bochs-sdl, bochsbios, vgabios, isolinux, syslinux-common, xorriso, cpio and
# busybox-static, beside those of scripts/setup.sh. Ends with the line 'N passed, N failed'. Exit status: 0 only if some passed and
# none failed, and the processor had AVX-512.
set -eu
dir=build/avx512
# shellcheck source=scripts/emulation.sh
. "$(dirname "$0")/emulation.sh"
[ $# -gt 0 ] || set -- arena decoder kernels peak plan_ops storage tiling
bios=/usr/share/bochs/BIOS-bochs-latest
vga_bios=/usr/share/vgabios/vgabios.bin
screen=/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_sdl2_gui.so
boot_loader=/usr/lib/ISOLINUX/isolinux.bin
boot_loader_module=/usr/lib/syslinux/modules/bios/ldlinux.c32
for needed in "$(command -v bochs || echo bochs)" "$(command -v xorriso || echo xorriso)" "$(command -v cpio || echo cpio)" \
    /bin/busybox $bios $vga_bios $screen $boot_loader $boot_loader_module; do
    if [ ! -e "$needed" ]; then
        echo "test_avx512: there is no $needed here; the packages that bring it are at the head of this script" >&2
        exit 1
    fi
done

BUILD_TARGET=vaemark_cpu scripts/build.sh "$dir/vaemark" -DVAEMARK_WERROR=ON -DVAEMARK_TESTS=OFF
cd_root=$dir/cd system=$dir/system
rm -rf "$cd_root" "$system"
mkdir -p "$cd_root" "$system/bin" "$system/dev" "$system/proc"
# Static, so that the guest needs no libraries; the linker's word on dlopen() is of OpenMP's profiling.
echo "build: the tests and a disc to boot"
gcc -std=c11 -O2 -D_GNU_SOURCE -Itests/minimal -I. -Iinclude -fno-math-errno -ffp-contract=off -Wno-psabi -fopenmp -static -s \
    -o "$system/tests" tests/minimal/main.c tests/kernels/support_[!fg]*.c tests/kernels/support_graphs.c \
    tests/kernels/test_[!g]*.c \
    "$dir/vaemark/kernels/cpu/libvaemark_cpu.a" "$dir/vaemark/reference/libvaemark_reference.a" \
    "$dir/vaemark/base/libvaemark_base.a" -lm 2>"$dir/linker" || {
    cat "$dir/linker" >&2
    exit 1
}
if [ ! -e "$dir/linux" ]; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    rm -rf "$dir/download" && mkdir "$dir/download"
    (cd "$dir/download" && apt-get -q download "$package" && dpkg-deb -x ./*.deb .)
    mv "$dir"/download/boot/vmlinuz-* "$dir/linux"
    rm -rf "$dir/download"
fi

# The system: a shell, the tests, and the first process. It waits before the end for what it said to go out.
cp /bin/busybox "$system/bin/busybox"
ln -s busybox "$system/bin/sh"
cat >"$system/init" <<INIT
#!/bin/sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
exec </dev/ttyS0 >/dev/ttyS0 2>&1
busybox stty -onlcr
busybox grep -m 1 'model name' /proc/cpuinfo
if busybox grep -q avx512vl /proc/cpuinfo; then
    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive /tests $*
    echo "exit status \$?"
else
    echo "the guest has no AVX-512"
fi
busybox sleep 1
busybox poweroff -f
INIT
chmod +x "$system/init"
(cd "$system" && find . | cpio --quiet -o -H newc) | gzip >"$cd_root/system"
cp $boot_loader $boot_loader_module "$dir/linux" "$cd_root"
# Bochs tells a wrong size of what XSAVES and XSAVEC write, whereupon Linux would do without AVX. Its clock counts instructions, and not
# at the rate that its processor claims: the clock of ACPI does. A panic is to end the emulation: it resets by a triple fault.
cat >"$cd_root/isolinux.cfg" <<'LOADER'
default linux
label linux
kernel linux
append initrd=system console=ttyS0 loglevel=1 mitigations=off clearcpuid=xsaves,xsavec clocksource=acpi_pm panic=-1 reboot=triple
LOADER
xorriso -as mkisofs -quiet -o "$dir/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$cd_root" \
    2>"$dir/xorriso" || {
    cat "$dir/xorriso" >&2
    exit 1
}
cat >"$dir/bochsrc" <<BOCHS
display_library: sdl2
cpu: model=corei7_skylake_x, ips=50000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=$bios
vgaromimage: file=$vga_bios
ata0-master: type=cdrom, path="$dir/cd.iso", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="$dir/serial"
log: "$dir/bochs.log"
panic: action=fatal
error: action=ignore
info: action=ignore
BOCHS

# What the guest says comes through a pipe, to be seen while it runs. Debian's Bochs has a debugger, which waits for a word to start;
# its exit status is 1 when the guest powers off, too. Nobody sees its screen: SDL draws none, where a terminal would fill up and block.
# Opened both ways, the pipe ends for a reader who still waits for a first writer.
rm -f "$dir/serial" "$dir/output"
mkfifo "$dir/serial"
echo c >"$dir/start"
echo "emulation: starts; a minute until the first words"
tee "$dir/output" <"$dir/serial" &
SDL_VIDEODRIVER=dummy bochs -f "$dir/bochsrc" -rc "$dir/start" </dev/null >"$dir/bochs.out" 2>&1 || true
: <>"$dir/serial"
wait
grep -x '[0-9]* passed, [0-9]* failed' "$dir/output" || echo "0 passed, 1 failed"
if ! grep -qx 'exit status 0' "$dir/output"; then
    echo "test_avx512: the tests failed or never ended; Bochs's words are in $dir/bochs.log and $dir/bochs.out" >&2
    exit 1
fi
