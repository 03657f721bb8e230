# --- hardware at boot, and what is found of it ----------------------------------------------------------------------

# What gives each knob its value at boot, as: topic, rules or unit, line. udev sets what a card has from its first
# moment, rings before it carries anything. Many drivers ask for their interrupts, and place transmit queues and
# further receive queues, only when the card comes up: a unit sets those again once the network is up, and the
# governor, whose driver may be loaded late. Interrupts are found by name, for numbers change.
hardware_boot() {
    awk -F '\t' -v ethtool="$(command -v ethtool || :)" '
        BEGIN { OFS = "\t"; q = "\047" }
        FILENAME ~ /\/targets$/ { value[$1 "\t" $2] = $3; next }
        FILENAME ~ /\/obstacles$/ { held[$1] = 1; next }
        { v = value[$1 "\t" $2]; event = "ACTION==\"add|move\", SUBSYSTEM==\"net\", KERNEL==\"" $6 "\", " }
        $1 == "sysfs" {
            print $5, "unit", "ExecStart=-/bin/sh -c " q "echo " v " >/sys/" $2 q
            if (sub("^class/net/" $6 "/", "", $2)) print $5, "rules", event "ATTR{" $2 "}=\"" v "\""
        }
        $1 == "irq" && !($5 in held) { print $5, "unit", "ExecStart=-/bin/sh -c " q "for at in /proc/irq/*/" $2 "; do echo " v " >\"$${at%%/*}/smp_affinity_list\"; done" q }
        $1 == "ring" && v ~ /[0-9]/ {
            split(v, size, " ")
            print $5, "rules", event "RUN+=\"" ethtool " -G " $6 (size[1] == "-" ? "" : " rx " size[1]) (size[2] == "-" ? "" : " tx " size[2]) "\""
        }' "$WORK/targets" "$WORK/obstacles" "$WORK/hardware"
}
boot_file() {
    case $1 in
        rules) echo "/etc/udev/rules.d/99-zz-stackctl-$2.rules" ;;
        # No stack's name has a dot, so no stack's own unit has this name.
        unit) echo "/etc/systemd/system/stackctl-$2.hardware.service" ;;
    esac
}

# The files of every stack that asks for hardware, each with the lines it asks for.
hardware_files() {
    [ -s "$WORK/hardware" ] || return 0
    hardware_boot >"$WORK/boot-lines"
    for table in "$STACKS"/*/limits.tsv; do
        [ -f "$table" ] || continue
        stack=${table%/limits.tsv} stack=${stack##*/}
        for part in rules unit; do
            awk -F '\t' -v part=$part '$1 == "hardware" { asks[$2] = 1; next } $2 == part && ($1 in asks) { print $3 }' \
                "$table" "$WORK/boot-lines" >"$WORK/part"
            [ -s "$WORK/part" ] || continue
            file=$WORK/new$(boot_file $part "$stack")
            mkdir -p "${file%/*}"
            { "${part}_head" "$stack"; cat "$WORK/part"; } >"$file"
            [ $part = unit ] || continue
            mkdir -p "$WORK/new/etc/systemd/system/multi-user.target.d"
            # A file, where `systemctl enable` would make a symlink: it is recorded and undone like all others.
            printf '%s\n[Unit]\nWants=stackctl-%s.hardware.service\n' "$WRITTEN" "$stack" \
                >"$WORK/new/etc/systemd/system/multi-user.target.d/99-zz-stackctl-$stack.conf"
        done
    done
}
WRITTEN="# Written by stackctl's prepare.sh apply from \`host:\` of stack.yaml; rollback takes it away."
rules_head() { printf '%s\n' "$WRITTEN"; }
unit_head() {
    printf '%s\n' "$WRITTEN" "[Unit]" "Description=Cards and processors as stack $1 asks" \
        "Wants=network-online.target" "After=network-online.target" "Before=stackctl-$1.service" "" "[Service]" "Type=oneshot"
}

# One finding for each thing this stack asks of the hardware.
# shellcheck disable=SC2016 # $ in awk
hardware_findings() {
    grep -q "^hardware$TAB" "$TABLE" || return 0
    decide
    hardware_boot >"$WORK/boot-lines"
    while IFS="$TAB" read -r topic part text; do
        file=$(boot_file "$part" "$NAME")
        grep -qsxF -e "$text" "$ROOT$file" || printf '%s\t%s does not set it at boot\n' "$topic" "$file"
        if [ "$part" = unit ] && [ "$topic" != rps ] && [ "$topic" != rfs ] && ! systemd; then
            printf '%s\tno systemd on this host runs %s at boot\n' "$topic" "$file"
        fi
    done <"$WORK/boot-lines" >"$WORK/lost"
    awk -F '\t' -v command="$command" "$VALUES"'
        function out(verdict, got, depth, evidence, remedy) { print verdict, "host." $2, $4, got == "" ? "-" : got, depth, evidence, remedy == "" ? "-" : remedy }
        function plural(n) { return n == 1 ? " is" : " are" }
        BEGIN { OFS = "\t"; apply = "on this host: sh host/prepare.sh apply" }
        FILENAME ~ /\/trouble$/ { why[$1 "\t" $2] = $3; next }
        FILENAME ~ /\/running$/ { now[$1 "\t" $2] = $3 ~ /^!/ ? $3 : norm($3); next }
        FILENAME ~ /\/asked$/ { asked[$1] = $2; next }
        FILENAME ~ /\/obstacles$/ { if (!($1 in stands)) { stands[$1] = $2; way[$1] = $3 } next }
        FILENAME ~ /\/lost$/ { lost[$1] = $2; next }
        FILENAME ~ /\/hardware$/ {
            id = $1 "\t" $2; all[$5]++
            if (index(on[$5] " ", " " $6 " ") == 0) on[$5] = on[$5] " " $6
            if (holds($3, now[id], $4)) held[$5]++
            else if (!($5 in bad)) { bad[$5] = now[id]; which[$5] = $2 " " (now[id] ~ /^!/ ? "cannot be set: " substr(now[id], 2) : "is " now[id] ", not " $4); reason[$5] = why[id] }
            next
        }
        $1 == "hardware" {
            t = $2
            seen = held[t] + 0 " of " all[t] + 0 plural(all[t]) " so on" on[t]
            if (asked[t] != $4 && !(t == "rfs" && asked[t] + 0 > $4 + 0)) out("short", "", "applied", "another stack on this host asks for " asked[t] ", which wins", "ask for the same in both stack.yaml files")
            else if (t in stands) out("short", "", "applied", stands[t] (all[t] && held[t] ? "; " seen : ""), way[t])
            else if (held[t] < all[t]) out("short", bad[t] ~ /^!/ ? "" : bad[t], "applied", seen "; " which[t] (reason[t] != "" ? ": " reason[t] : ""), reason[t] != "" ? "read the reason; if it stays, take host." t " out of stack.yaml" : command == "apply" ? "look for what sets it back (tuned, irqbalance, the driver), or take host." t " out of stack.yaml" : apply)
            else if (t in lost) out("short", $4, "declared", seen " now, but " lost[t], lost[t] ~ /^no systemd/ ? "run prepare.sh apply at every boot, after the network is up" : apply)
            else out("ok", $4, "applied", seen "; at boot too", "")
        }' "$WORK/trouble" "$WORK/running" "$WORK/asked" "$WORK/obstacles" "$WORK/lost" "$WORK/hardware" "$TABLE"
}
