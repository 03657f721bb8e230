# --- cards and processors: hardware.sh, the second script -----------------------------------------------------------

# It is rendered only where `host:` of stack.yaml asks for it. apply keeps a copy of it in the record: with that, a
# stack that asks for nothing leaves alone what another one set, and a later render without it can still undo it.
hardware_wishes() { :; }
hardware_running() { :; }
hardware_files() { :; }
hardware_findings() { :; }
hardware_advice() { :; }

hardware_is_recorded() {
    grep -qs "^hardware$TAB" "$STATE"/stacks/*/limits.tsv || recorded | grep -Eq "^(sysfs|irq|ring)$TAB"
}

if [ -r "$HERE/hardware.sh" ]; then
    # shellcheck source=/dev/null
    . "$HERE/hardware.sh"
elif grep -q "^hardware$TAB" "$TABLE"; then
    die "$HERE/hardware.sh is missing" "copy the whole host/ folder of \`stackctl render\`"
elif [ -r "$STATE/hardware.sh" ]; then
    # shellcheck source=/dev/null
    . "$STATE/hardware.sh"
    # Only a stack that asks for hardware gets advice.
    hardware_advice() { :; }
elif [ "$command" != check ] && hardware_is_recorded; then
    # An older prepare.sh recorded them and kept no copy.
    die "cards or processors of this host are recorded, and there is no hardware.sh to put them back" \
        "give stack.yaml its \`host:\` again, render, and run $command from there"
fi

# Called before the first wish for hardware is recorded.
keep_hardware() {
    if [ -r "$HERE/hardware.sh" ] && ! cmp -s "$HERE/hardware.sh" "$STATE/hardware.sh"; then
        whole "$STATE/hardware.sh" <"$HERE/hardware.sh"
    fi
}
