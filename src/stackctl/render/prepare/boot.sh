# --- what the files of this host say for its next boot and for logins -----------------------------------------------

# awk program BOOT: boot.awk

# awk program LOGINS: logins.awk

# The files that systemd reads of a folder such as sysctl.d, in its order: by name over all places. A file in /etc hides
# one of the same name in /run, and that one hides it in /usr.
conf_files() {
    for folder in /etc /run /usr/local/lib /usr/lib /lib; do
        for file in "$ROOT$folder/$1"/*.conf; do
            # mawk would stop at a folder.
            [ ! -d "$file" ] || continue
            if [ -e "$file" ] || [ -L "$file" ]; then printf '%s\t%s\n' "${file##*/}" "$file"; fi
        done
    done | awk -F '\t' '!seen[$1]++' | sort -t "$TAB" -k 1,1 | cut -f 2
}
sysctl_files() {
    conf_files sysctl.d
    # Files that others apply later: ufw's own, and a tuned profile, unless tuned applies sysctl.d again after it.
    if grep -qs '^ENABLED=yes' "$ROOT/etc/ufw/ufw.conf"; then
        file=$(sed -n 's/^IPT_SYSCTL=//p' "$ROOT/etc/default/ufw" 2>/dev/null || :)
        echo "$ROOT${file:-/etc/ufw/sysctl.conf}"
    fi
    if grep -Eqs '^ *reapply_sysctl *= *(0|[Ff]alse|[Nn]o)' "$ROOT/etc/tuned/tuned-main.conf"; then
        for profile in $(cat "$ROOT/etc/tuned/active_profile" 2>/dev/null || :); do tuned_files "$profile" 8; done
    fi
}
# A profile's file, after those that it includes; at most $2 deep, because profiles may include each other.
tuned_files() {
    for folder in /etc/tuned /etc/tuned/profiles /usr/lib/tuned /usr/lib/tuned/profiles; do
        file=$ROOT$folder/$1/tuned.conf
        [ -e "$file" ] || continue
        [ "$2" -eq 0 ] || for profile in $(sed -n 's/^ *include *= *//p' "$file" | tr ',' ' '); do
            # In a subshell, because these variables are global.
            (tuned_files "$profile" $(($2 - 1)))
        done
        echo "$file"
        return
    done
}

# The winner for each key at the next boot, as: key, value, its file, and the same without the files of stacks.
boot() {
    sysctl_files | awk -v root="$ROOT" "$VALUES$BOOT"
}

# Modules that will be there before sysctl.d is applied: built in, or listed for the boot.
boot_modules() {
    {
        echo "$ROOT/etc/modules"
        conf_files modules-load.d
    } | while IFS= read -r file; do cat "$file" 2>/dev/null || :; done |
        awk '/^[ \t]*[^#; \t]/ { gsub(/-/, "_", $1); print $1 }'
    awk -F / '{ name = $NF; sub(/\.ko.*/, "", name); gsub(/-/, "_", name); print name }' \
        "$ROOT/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null || :
}
has_module() { [ -d "$ROOT/sys/module/$1" ]; }

# What a login gets, by the files PAM reads, as: item/domain, soft and hard, the file that decides. `all` shows only
# items whose soft and hard limit are set; `others` leaves our files out, and shows a limit that is not set as 0.
logins() {
    for file in "$ROOT/etc/security/limits.conf" "$ROOT"/etc/security/limits.d/*.conf; do
        case $file in */99-stackctl-*) [ "$1" = all ] || continue ;; esac
        [ ! -f "$file" ] || echo "$file"
    done | awk -v root="$ROOT" -v which="$1" "$VALUES$LOGINS"
}
