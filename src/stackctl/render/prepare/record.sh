# --- the record: one file for each thing touched, written before it is touched --------------------------------------
# Its lines: what was there, what apply set, and `end`, without which the file is damaged.

# Writes standard input as file $1, whole or not at all.
whole() {
    { cat >"$1.new" && { sync "$1.new" 2>/dev/null || sync; } && mv -f "$1.new" "$1"; } 2>"$WORK/why" || {
        rm -f "$1.new"
        die "$1 cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room or make it writable, then run the same command again: it goes on where it stopped"
    }
}

# The file of a thing: / in its name becomes %. In the shell alone, because a process for each would cost seconds.
item() {
    rest=$2 ITEM=$BEFORE/$1/
    while [ "$rest" != "${rest#*/}" ]; do ITEM=$ITEM${rest%%/*}% rest=${rest#*/}; done
    ITEM=$ITEM$rest
}

# What the item says, in $first and $last.
remembered() { { read -r _ first && read -r _ last; } <"$ITEM"; }

# record KIND NAME BEFORE SET: keeps the first value from before, and replaces the last one that we set. `settled` makes
# it durable.
record() {
    item "$1" "$2"
    first=$3
    if [ -e "$ITEM" ]; then
        remembered
        [ "$last" != "$4" ] || return 0
        # A value that was noted and never set may have been changed by hand since: that is the one from before.
        [ "$first" != "$last" ] || first=$3
    fi
    { [ -d "$BEFORE/$1" ] || mkdir -p "$BEFORE/$1"; } 2>"$WORK/why" ||
        die "$BEFORE/$1 cannot be made: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib; nothing is changed without a record"
    { printf 'before %s\nset %s\nend\n' "$first" "$4" >"$ITEM.new" && mv -f "$ITEM.new" "$ITEM"; } 2>"$WORK/why" || {
        rm -f "$ITEM.new"
        die "$ITEM cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib, then run the same command again: it goes on where it stopped"
    }
}
# Called before the first of the recorded things is touched.
settled() { sync; }
forget() { item "$1" "$2"; rm -f "$ITEM"; }

# Everything recorded, as: kind, name, before, set.
recorded() {
    set -- "$BEFORE"/*/*
    [ -f "$1" ] || return 0
    awk 'BEGIN { OFS = "\t" }
        FNR == 1 { before = substr($0, 8) }
        FNR == 2 {
            n = split(FILENAME, part, "/")
            name = part[n]
            if (name ~ /\.new$/) next
            gsub(/%/, "/", name)
            print part[n - 1], name, before, substr($0, 5)
        }' "$@"
}

# A record that cannot be trusted stops everything before anything is changed.
sound_record() {
    bad=$(find "$BEFORE" -type f ! -name '*.new' 2>/dev/null | awk '{
        file = $0; n = 0; good = 0
        while ((getline line < file) > 0) {
            n++
            if (n == 1 && line ~ /^before / || n == 2 && line ~ /^set / || n == 3 && line == "end") good++
        }
        close(file)
        if (n != 3 || good != 3) { print file; exit }
    }')
    [ -z "$bad" ] || die "the record $bad is damaged; nothing was changed" \
        "if it cannot be repaired, delete it: its thing is then left as it is, and named"
    if [ -n "$(ls -A "$STATE/stacks" 2>/dev/null)" ] && [ ! -d "$BEFORE" ]; then
        die "the record $BEFORE is gone, so what was there before is not known; nothing was changed" \
            "to leave the preparation: delete $STATE and the files named *stackctl* below /etc, then reboot"
    fi
}

# --- what each stack on this host wants: a copy of its limits.tsv and etc/ -----------------------------------------

# A copy that was complete when its run was killed takes its place now; an incomplete one is removed.
recover() {
    for made in "$STATE"/stacks/.*.new; do
        [ -d "$made" ] || continue
        stack=${made##*/.} stack=${stack%.new}
        if [ -e "$made/complete" ] && [ ! -d "$STATE/stacks/$stack" ]; then
            mv "$made" "$STATE/stacks/$stack"
        else
            rm -rf "$made"
        fi
    done
    rm -rf "$STATE"/stacks/.*.old
}

# Removes this stack's wishes in one step: half of them, left by a kill, would look like another wish.
retire() {
    rm -rf "$STACKS/.$NAME.old"
    [ ! -d "$STACKS/$NAME" ] || mv "$STACKS/$NAME" "$STACKS/.$NAME.old"
}

# Puts this stack's wishes among the others'. With --dry-run into a copy.
adopt() {
    if [ -d "$STACKS/$NAME" ] && cmp -s "$TABLE" "$STACKS/$NAME/limits.tsv" &&
        [ "$(tree "$HERE")" = "$(tree "$STACKS/$NAME")" ]; then
        return
    fi
    rm -rf "$STACKS/.$NAME.new"
    { mkdir -p "$STACKS/.$NAME.new" && cp -R "$TABLE" "$HERE/etc" "$STACKS/.$NAME.new/" &&
        for part in unit recorded; do
            [ ! -e "$STACKS/$NAME/$part" ] || cp -R "$STACKS/$NAME/$part" "$STACKS/.$NAME.new/" || exit 1
        done &&
        : >"$STACKS/.$NAME.new/complete"; } 2>"$WORK/why" ||
        die "the record in $STACKS cannot be written: $(tail -n 1 "$WORK/why"); nothing was changed" \
            "make room in /var/lib, then run apply again"
    sync
    retire
    mv "$STACKS/.$NAME.new" "$STACKS/$NAME"
    rm -rf "$STACKS/.$NAME.old"
}
tree() { (cd "$1" && find etc -type f -exec cksum {} + | sort); }

STACKS=$STATE/stacks
if [ $dry = yes ]; then
    STACKS=$WORK/stacks
    mkdir "$STACKS"
    [ ! -d "$STATE/stacks" ] || cp -R "$STATE/stacks/." "$STACKS/"
fi
