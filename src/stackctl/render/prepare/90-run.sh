# --- the three commands ---------------------------------------------------------------------------------------------

check() {
    mkdir -p "$STACKS/$NAME"
    cp "$TABLE" "$STACKS/$NAME/limits.tsv"
    gather
    hardware_advice
    conntrack_fill
    if findings | show; then finish 0; else finish 1; fi
}

apply() {
    sound_record
    [ $dry = yes ] || { mkdir -p "$STACKS"; recover; [ -d "$BEFORE" ] || mkdir -p "$BEFORE"; }
    if [ $dry = yes ]; then rm -rf "${STACKS:?}/$NAME"; mkdir "$STACKS/$NAME"; cp -R "$TABLE" "$HERE/etc" "$STACKS/$NAME/"; else adopt; fi
    # Modules first: they bring keys, which have to be read before anything is decided about them.
    gather
    decide
    grep "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/modules" || :
    mv "$WORK/modules" "$WORK/actions"
    if [ -s "$WORK/actions" ]; then
        act
        gather
    fi
    decide
    grep -v "^[a-z]*${TAB}module$TAB" "$WORK/actions" >"$WORK/rest" || :
    mv "$WORK/rest" "$WORK/actions"
    compose_files
    put_files
    reload_systemd
    act
    enable_units
    if [ ! -s "$WORK/changes" ]; then say "nothing to change"; fi
    [ $dry = no ] || finish 0
    [ ! -s "$WORK/changes" ] || gather
    hardware_advice
    conntrack_fill
    if findings | show; then finish 0; else finish 1; fi
}

rollback() {
    if [ ! -d "$STATE/stacks" ] && [ ! -d "$BEFORE" ]; then
        for file in "$ROOT"/etc/sysctl.d/99-zz-stackctl-*.conf "$ROOT"/etc/modules-load.d/stackctl-*.conf; do
            [ ! -e "$file" ] || die "there is no record on this host of what was there before, but $file is" "delete the files named *stackctl* below /etc by hand, then reboot"
        done
        say "nothing is recorded on this host: there is nothing to put back"
        finish 0
    fi
    sound_record
    [ $dry = yes ] || recover
    unrecorded
    rm -rf "$STACKS/.$NAME.new" "${STACKS:?}/$NAME"
    gather
    decide
    compose_files
    act
    put_files
    disable_units
    reload_systemd
    [ $dry = yes ] || { drop_folders; sweep; }
    if [ ! -s "$WORK/changes" ] && [ ! -s "$WORK/left" ]; then say "nothing to put back"; fi
    if left_findings | show; then finish 0; else finish 1; fi
}

# Keys this stack wanted that have no record any more: they stay as they are, and are named.
unrecorded() {
    [ -d "$STACKS/$NAME" ] || return 0
    awk -F '\t' '$1 == "sysctl" { print $2 }' "$STACKS/$NAME/limits.tsv" | while IFS= read -r key; do
        item sysctl "$key"
        path_of "$key"
        [ -e "$ITEM" ] || [ ! -e "$SYSCTL" ] || left sysctl "$key" "its record is gone, so what it was before is not known"
    done
}

# With nothing left to undo the record goes too.
sweep() {
    [ -z "$(ls -A "$STACKS" 2>/dev/null)" ] || return 0
    rmdir "$BEFORE"/* "$BEFORE" 2>/dev/null || :
    [ ! -d "$BEFORE" ] || return 0
    rm -rf "$STATE"
    rmdir "${STATE%/*}" 2>/dev/null || :
}

"$command"
