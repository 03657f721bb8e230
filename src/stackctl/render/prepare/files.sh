# --- the files below /etc -------------------------------------------------------------------------------------------

# awk program COMPOSE: compose.awk

# Every stack's files, with the values all stacks agree on, below $WORK/new.
compose_files() {
    mkdir "$WORK/new"
    for stack in "$STACKS"/*; do
        [ -d "$stack/etc" ] || continue
        (cd "$stack" && find etc -type f) | while IFS= read -r path; do
            mkdir -p "$WORK/new/${path%/*}"
            awk -F '\t' -v path="$path" "$COMPOSE" "$WORK/targets" "$stack/$path" >"$WORK/new/$path"
        done
    done
    boot_unit
    hardware_files
}

no_boot_unit() { say "the unit that starts the stack at boot is not put in place: $1"; }
# The unit that starts a stack at boot names the folder that the stack is started from.
boot_unit() {
    [ "$command" = rollback ] || [ ! -f "$HERE/stackctl-$NAME.service" ] || {
        folder=${HERE%/host}
        if [ ! -f "$folder/compose.yaml" ] || [ "$folder" = "$HERE" ]; then
            no_boot_unit "there is no compose.yaml in $folder. Run this from the rendered folder's host/ on the server"
        else
            case $folder in
                *[!A-Za-z0-9/._-]*) no_boot_unit "systemd would misread the folder's name, $folder" ;;
                *)
                    mkdir -p "$STACKS/$NAME/unit" "$WORK/new/etc/systemd/system"
                    sed "s|/opt/stackctl/$NAME|$folder|g" "$HERE/stackctl-$NAME.service" >"$WORK/unit"
                    unit=$STACKS/$NAME/unit/stackctl-$NAME.service
                    cmp -s "$WORK/unit" "$unit" || whole "$unit" <"$WORK/unit"
                    ;;
            esac
        fi
    }
    for file in "$STACKS"/*/unit/*.service; do
        [ ! -f "$file" ] || { mkdir -p "$WORK/new/etc/systemd/system" && cp "$file" "$WORK/new/etc/systemd/system/"; }
    done
}

# The sum of a symlink is its target, not the content: put back, it is a symlink again.
sum() { if [ -L "$1" ]; then echo "link $(readlink "$1")"; elif [ -e "$1" ]; then cksum <"$1"; else echo absent; fi; }

# Records the folders that a file needs, so that rollback removes those that apply made.
record_folders() {
    [ -d "$ROOT$1" ] || { record_folders "${1%/*}"; record dir "$1" absent made; }
}

# Puts files of `new` that differ in place, after all of them are copied and recorded. Puts recorded files back that no
# stack wants any more.
put_files() {
    (cd "$WORK/new" && find etc -type f 2>/dev/null | sort) >"$WORK/wanted-files"
    : >"$WORK/changed-files"
    while IFS= read -r path <&3; do
        path=/$path
        was=$(sum "$ROOT$path") new=$(sum "$WORK/new$path")
        item file "$path"
        if [ "$was" = "$new" ]; then
            [ $dry = yes ] || [ -e "$ITEM" ] || record file "$path" "$was" "$new"
            continue
        fi
        echo "$path" >>"$WORK/changed-files"
        [ $dry = no ] || continue
        record_folders "${path%/*}"
        [ "$was" = absent ] || keep_copy "$path" "$was"
        record file "$path" "$was" "$new"
    done 3<"$WORK/wanted-files"
    [ ! -s "$WORK/changed-files" ] || [ $dry = yes ] || settled
    while IFS= read -r path <&3; do
        change "write $path"
        [ $dry = no ] || continue
        mkdir -p "$ROOT${path%/*}" 2>"$WORK/why" ||
            die "$ROOT${path%/*} cannot be made: $(tail -n 1 "$WORK/why")" \
                "make $ROOT/etc writable, then run this again; rollback undoes what was done so far"
        whole "$ROOT$path" <"$WORK/new$path"
        chmod 644 "$ROOT$path"
        case $path in /etc/systemd/*) : >"$WORK/reload" ;; esac
    done 3<"$WORK/changed-files"
    awk -F '\t' '$1 == "file"' "$WORK/record" >"$WORK/recorded-files"
    while IFS="$TAB" read -r _ path was set <&3; do
        ! grep -qxF "${path#/}" "$WORK/wanted-files" || continue
        drop_file "$path" "$was" "$set"
    done 3<"$WORK/recorded-files"
}

# Keeps a copy of a file from before, with mode and owner. A later edit by hand is kept too, under another name. $2: the
# file's sum.
keep_copy() {
    item file "$1"
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    if [ -e "$ITEM" ]; then
        remembered
        # Where both are the same we never wrote the file: it was there already, as rendered.
        if [ "$first" != "$last" ]; then
            [ "$2" != "$last" ] || return 0
            # A kill came between the record and the write, or between putting back and forgetting.
            if [ "$2" = "$first" ]; then
                if [ -e "$copy" ] || [ -L "$copy" ]; then return 0; fi
            else
                copy=$copy.edited
                say "$1 was edited after it was put in place; that text is kept as $copy"
            fi
        fi
    fi
    { mkdir -p "$STATE/files" && cp -pP "$ROOT$1" "$copy.new" && mv -f "$copy.new" "$copy"; } 2>"$WORK/why" ||
        die "$copy cannot be written: $(tail -n 1 "$WORK/why")" \
            "make room in /var/lib; nothing is replaced without a copy"
}

drop_file() {
    cur=$(sum "$ROOT$1")
    copy=$STATE/files/$(printf %s "$1" | tr / %)
    # Left by a kill while the file was written.
    [ $dry = yes ] || rm -f "$ROOT$1.new"
    if [ "$cur" = "$3" ] && [ "$cur" != "$2" ]; then
        if [ "$2" = absent ]; then change "remove $1"; else change "put back $1"; fi
        [ $dry = no ] || return 0
        if [ "$2" = absent ]; then
            rm -f "$ROOT$1" 2>"$WORK/why" ||
                die "$1 cannot be removed: $(tail -n 1 "$WORK/why")" "make it writable, then run this again"
        else
            { cp -pP "$copy" "$ROOT$1.new" && mv -f "$ROOT$1.new" "$ROOT$1"; } 2>"$WORK/why" ||
                die "$1 cannot be put back: $(tail -n 1 "$WORK/why")" "make room; the file is kept as $copy"
        fi
        case $1 in /etc/systemd/*) : >"$WORK/reload" ;; esac
    elif [ "$cur" != "$2" ]; then
        left file "$1" "it was changed after apply put it there"
    fi
    [ $dry = yes ] || { forget file "$1"; rm -f "$copy"; }
}

# Removes folders that apply made and that are empty again. A folder that somebody uses by now stays.
drop_folders() {
    awk -F '\t' '$1 == "dir" { print $2 }' "$WORK/record" | sort -r | while IFS= read -r path; do
        if [ ! -d "$ROOT$path" ] || rmdir "$ROOT$path" 2>/dev/null || [ -z "$(ls -A "$STACKS" 2>/dev/null)" ]; then
            forget dir "$path"
        fi
    done
}
