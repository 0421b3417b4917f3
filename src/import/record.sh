# Probes go into a group and a tracing instance of their own: what else is traced on this machine
# is left alone. Everything is undone at the end, also after Ctrl-C, which ends the recording early.

set -u
group=iovasim
tracefs=${TRACEFS:-}
groups=${IOMMU_GROUPS:-/sys/kernel/iommu_groups}
instance=
failures=
defined=

say() { echo "record: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# put WORDS FILE: one write, as tracefs wants it.
put() { { printf '%s\n' "$1" > "$2"; } 2> /dev/null; }

append() { { printf '%s\n' "$1" >> "$2"; } 2> /dev/null; }

# What the rest of the script does is undone here, once, whatever ends it.
undo() {
    trap - EXIT INT TERM HUP
    for made in "$instance" "$failures"; do
        [ -n "$made" ] || continue
        put 0 "$made/tracing_on"
        put 0 "$made/events/$group/enable"
    done
    # The shell knows its reader before this script can note it.
    reader=${!-}
    if [ -n "$reader" ]; then
        # What is still in the buffers; the reader ends by itself when they are empty.
        tries=0
        while kill -0 "$reader" 2> /dev/null && [ "$tries" -lt 5 ]; do
            sleep 1
            tries=$((tries + 1))
        done
        kill "$reader" 2> /dev/null
        wait "$reader" 2> /dev/null
    fi
    for made in "$instance" "$failures"; do
        [ -z "$made" ] || rmdir "$made" || say "could not remove $made"
    done
    for name in $defined; do
        append "-:$group/$name" "$events" || say "could not remove the probe $name"
    done
}

# After the recording has begun, an interrupt is its end.
interrupted() {
    undo
    [ -z "${!-}" ] || finish
    exit 130
}

# Kernels before 4.20 do not know arguments by number.
set_register() {
    shift $((number - 1))
    register=%$1
}

# probe NAME FUNCTION END ARGUMENTS: END is entry or return; arguments are NAME=N:TYPE for the Nth
# argument, NAME=r:TYPE for the return value. Probes that miss no hit come first.
probe() {
    name=$1 function=$2 end=$3
    shift 3
    arguments= registers=
    for argument in "$@"; do
        label=${argument%%=*} rest=${argument#*=}
        number=${rest%%:*} type=${rest#*:}
        if [ "$number" = r ]; then
            value=\$retval register=\$retval
        else
            value=\$arg$number
            case $(uname -m) in
            x86_64) set_register di si dx cx ;;
            *) set_register x0 x1 x2 x3 ;;
            esac
        fi
        arguments="$arguments $label=$value:$type"
        registers="$registers $label=$register:$type"
    done
    case $end in
    entry) at=$function letter=p ;;
    return) at=$function%return letter=r ;;
    esac
    append "f:$group/$name $at$arguments" "$events" ||
        append "$letter:$group/$name $function$arguments" "$events" ||
        append "$letter:$group/$name $function$registers" "$events" ||
        return 1
    defined="$name $defined"
}

wanted() { probe "$@" || die "cannot probe $2: is there an IOMMU, and is this root?"; }

# Some releases lack these functions; the recording says less then.
wished() { probe "$@" || say "no probe on $2: not in this kernel"; }

# new_instance NAME: a buffer of its own.
new_instance() {
    mkdir "$tracefs/instances/$1" ||
        die "$tracefs/instances/$1 is there already: does another recording run?"
}

# Comments that the importer reads.
finish() {
    profile=$tracefs/kprobe_profile
    if [ -r "$profile" ]; then
        while read -r name _ missed; do
            case " $defined " in
            *" $name "*) [ "$missed" = 0 ] || echo "# note: $name missed $missed hits" ;;
            esac
        done < "$profile" >> "$output.part"
    fi
    mv "$output.part" "$output" || die "cannot write $output"
    say "wrote $output, $(wc -l < "$output") lines; now: iovasim import $output"
}

for place in ${tracefs:-/sys/kernel/tracing /sys/kernel/debug/tracing}; do
    [ ! -d "$place/instances" ] || {
        tracefs=$place
        break
    }
done
[ -d "$tracefs/instances" ] || die "no tracefs at /sys/kernel/tracing: is this root?"
events=$tracefs/dynamic_events
[ -e "$events" ] || events=$tracefs/kprobe_events
[ -w "$events" ] || die "cannot write $events: is this root?"
[ ! -e "$output" ] || die "$output is there already"

trap undo EXIT
trap interrupted INT TERM HUP

wanted alloc_iova_fast alloc_iova_fast entry iovad=1:x64 size=2:u64 limit=3:x64 flush=4:u8
wanted alloc_iova_fast_ret alloc_iova_fast return pfn=r:x64
wanted free_iova_fast free_iova_fast entry iovad=1:x64 pfn=2:x64 size=3:u64
wished alloc_iova alloc_iova entry iovad=1:x64 size=2:u64 limit=3:x64 align=4:u8
wished alloc_iova_ret alloc_iova return iova=r:x64
wished free_iova free_iova entry iovad=1:x64 pfn=2:x64
wished __free_iova __free_iova entry iovad=1:x64 iova=2:x64
wished reserve_iova reserve_iova entry iovad=1:x64 lo=2:x64 hi=3:x64
wished init_iova_domain init_iova_domain entry iovad=1:x64 granule=2:u64 start_pfn=3:u64
wished put_iova_domain put_iova_domain entry iovad=1:x64
wished iova_cpuhp_dead iova_cpuhp_dead entry cpu=1:u32

new_instance iovasim
instance=$tracefs/instances/iovasim
put 0 "$instance/tracing_on"
put mono "$instance/trace_clock" || die "no clock that all CPUs share"
put "$buffer_kib" "$instance/buffer_size_kb" || die "no buffers of $buffer_kib KiB a CPU"
put 1 "$instance/events/$group/enable" || die "cannot enable the probes"
# Without a flush queue every free follows an unmapping, whose events are never missed: they say
# where a free was that a probe missed.
if cat "$groups"/*/type 2> /dev/null | grep -qx DMA; then
    put 1 "$instance/events/iommu/unmap/enable" || say "no events of unmappings"
fi
if [ "$until_failure" = 1 ]; then
    new_instance iovasim-failures
    failures=$tracefs/instances/iovasim-failures
    failed=$failures/events/$group/alloc_iova_fast_ret
    put 'pfn == 0' "$failed/filter" || die "cannot filter $failed"
    put 1 "$failed/enable" || die "cannot enable $failed"
fi

present=$(cat /sys/devices/system/cpu/present 2> /dev/null || echo 0)
{
    echo "# kernel: $(uname -srm)"
    echo "cpus=$((${present##*[-,]} + 1))"
} > "$output.part" || die "cannot write $output.part"
cat "$instance/trace_pipe" >> "$output.part" &
put 1 "$instance/tracing_on" || die "cannot begin to record"
say "recording; Ctrl-C ends it"

elapsed=0
while [ "$seconds" = 0 ] || [ "$elapsed" -lt "$seconds" ]; do
    if [ "$until_failure" = 1 ] && grep -q alloc_iova_fast_ret "$failures/trace"; then
        say "an allocation failed"
        break
    fi
    sleep 1
    elapsed=$((elapsed + 1))
done
undo
finish
