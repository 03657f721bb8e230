# Rewrites one rendered file of a stack with the values that all stacks on the host get. Input: targets, then the file.

FILENAME ~ /\/targets$/ { target[$1 "\t" $2] = $3; next }
path ~ /^etc\/sysctl\.d\// && /^[a-z].* = / {
    key = $0
    sub(/ = .*/, "", key)
    if (("sysctl\t" key) in target) {
        print key " = " target["sysctl\t" key]
        next
    }
}
path ~ /^etc\/security\// && /^[^#]/ {
    split($0, word, " ")
    split(target["login\t" word[3] "/" word[1]], pair, " ")
    if (word[2] == "soft" || word[2] == "hard") {
        value = pair[word[2] == "soft" ? 1 : 2]
        print word[1], word[2], word[3], value == "9223372036854775807" ? "unlimited" : value
        next
    }
}
path ~ /^etc\/systemd\// && /^[A-Z][A-Za-z]*=/ {
    unit = path
    sub(/.*\/system\//, "", unit)
    sub(/\.d\/.*/, "", unit)
    key = $0
    sub(/=.*/, "", key)
    id = "unit\t" unit "/" key
    if (id in target) {
        print key "=" target[id]
        next
    }
}
{ print }
