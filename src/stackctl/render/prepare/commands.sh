# --- the three commands ---------------------------------------------------------------------------------------------

check() {
    mkdir -p "$STACKS/$NAME"
    cp "$TABLE" "$STACKS/$NAME/limits.tsv"
    gather
    hardware_advice
    conntrack_fill
    findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

apply() {
    sound_record
    [ $dry = yes ] || { mkdir -p "$STACKS"; recover; [ -d "$BEFORE" ] || mkdir -p "$BEFORE"; }
    if [ $dry = yes ]; then
        rm -rf "${STACKS:?}/$NAME"
        mkdir "$STACKS/$NAME"
        cp -R "$TABLE" "$HERE/etc" "$STACKS/$NAME/"
    else
        keep_hardware
        adopt
    fi
    # Modules first: they bring keys, and a key has to be read before anything is decided about it.
    for key in $(unrecorded); do
        say "the record of $key is gone: its value now counts as the value from before"
    done
    gather
    decide
    grep "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/modules" || :
    mv "$WORK/modules" "$WORK/actions"
    if [ -s "$WORK/actions" ]; then
        record_actions
        act
        gather
    fi
    decide
    grep -v "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/rest" || :
    mv "$WORK/rest" "$WORK/actions"
    compose_files
    record_actions
    put_files
    reload_systemd
    act
    enable_units
    recorded | cut -f 1,2 >"$WORK/recorded"
    [ $dry = yes ] || cmp -s "$WORK/recorded" "$STACKS/$NAME/recorded" ||
        whole "$STACKS/$NAME/recorded" <"$WORK/recorded"
    if [ ! -s "$WORK/changes" ]; then say "nothing to change"; fi
    [ $dry = no ] || finish 0
    [ ! -s "$WORK/changes" ] || gather
    hardware_advice
    conntrack_fill
    findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

rollback() {
    if [ ! -d "$STATE/stacks" ] && [ ! -d "$BEFORE" ]; then
        for file in "$ROOT"/etc/sysctl.d/99-zz-stackctl-*.conf "$ROOT"/etc/modules-load.d/stackctl-*.conf; do
            # If the record's folder exists, a kill ended an apply that had done nothing yet, or a rollback that had
            # done everything.
            [ ! -e "$file" ] || [ -d "${STATE%/*}" ] ||
                die "this host has no record of what was there before, but it has $file" \
                    "delete the files named *stackctl* below /etc by hand, then reboot"
        done
        say "nothing is recorded on this host: there is nothing to put back"
        [ $dry = yes ] || sweep
        finish 0
    fi
    sound_record
    [ $dry = yes ] || recover
    # These keys stay as they are, and are named.
    for key in $(unrecorded); do left sysctl "$key" "its record is gone, so what it was before is not known"; done
    retire
    rm -rf "$STACKS/.$NAME.old"
    gather
    decide
    compose_files
    record_actions
    act
    # Before its file is removed: systemctl knows no unit without a file.
    disable_units
    put_files
    reload_systemd
    [ $dry = yes ] || { drop_folders; sweep; }
    if [ ! -s "$WORK/changes" ] && [ ! -s "$WORK/left" ]; then say "nothing to put back"; fi
    left_findings >"$WORK/findings"
    if show; then finish 0; else finish 1; fi
}

# Keys that apply recorded and that have no record any more.
unrecorded() {
    [ -e "$STACKS/$NAME/recorded" ] || return 0
    awk -F '\t' 'FILENAME ~ /limits\.tsv$/ { wanted[$2] = 1; next } $1 == "sysctl" && wanted[$2] { print $2 }' \
        "$STACKS/$NAME/limits.tsv" "$STACKS/$NAME/recorded" | while IFS= read -r key; do
        item sysctl "$key"
        [ -e "$ITEM" ] || echo "$key"
    done
}

# Removes the record when nothing is left to undo.
sweep() {
    [ -z "$(ls -A "$STACKS" 2>/dev/null)" ] || return 0
    # Items that a kill left half written would keep their folders from being empty.
    rm -f "$BEFORE"/*/*.new
    rmdir "$BEFORE"/* "$BEFORE" 2>/dev/null || :
    [ ! -d "$BEFORE" ] || return 0
    rm -rf "$STATE"
    rmdir "${STATE%/*}" 2>/dev/null || :
}

"$command"
