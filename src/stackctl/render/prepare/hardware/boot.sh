# --- hardware at boot, and what is found of it ----------------------------------------------------------------------

# awk program HARDWARE_BOOT: boot.awk

# awk program HARDWARE_FINDINGS: findings.awk

# What gives each knob its value at boot, as: topic, rules or unit, line. udev sets what a card has from its first
# moment, rings before it carries anything. Many drivers ask for their interrupts, and place transmit queues and
# further receive queues, only when the card comes up: a unit sets those again once the network is up, and the
# governor, whose driver may be loaded late. Interrupts are found by name, because numbers change.
hardware_boot() {
    awk -F '\t' -v ethtool="$(command -v ethtool || :)" "$HARDWARE_BOOT" \
        "$WORK/targets" "$WORK/obstacles" "$WORK/hardware"
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
            awk -F '\t' -v part=$part '
                $1 == "hardware" { asks[$2] = 1; next }
                $2 == part && ($1 in asks) { print $3 }
            ' "$table" "$WORK/boot-lines" >"$WORK/part"
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
        "Wants=network-online.target" "After=network-online.target" "Before=stackctl-$1.service" "" \
        "[Service]" "Type=oneshot"
}

# One finding for each thing this stack asks of the hardware.
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
    awk -F '\t' -v command="$command" "$VALUES$HARDWARE_FINDINGS" "$WORK/trouble" "$WORK/running" "$WORK/asked" \
        "$WORK/obstacles" "$WORK/lost" "$WORK/hardware" "$TABLE"
}
