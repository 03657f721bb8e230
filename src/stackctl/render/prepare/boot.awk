# The value that each key gets at the next boot. Input: files of sysctl settings, in the order they are applied.
# Output: key, value, its file, and the same without the files of stacks.

# The kernel reads a leading 0 as octal and 0x as hexadecimal.
function decimal(v,   base, n, i) {
    if (v !~ /^0([0-7]+|[xX][0-9a-fA-F]+)$/) return v
    base = v ~ /[xX]/ ? 16 : 8
    for (i = base == 16 ? 3 : 2; i <= length(v); i++)
        n = n * base + index("0123456789abcdef", tolower(substr(v, i, 1))) - 1
    return sprintf("%.0f", n)
}
function members(text,   list, n, i, out) {
    n = split(text, list, " ")
    for (i = 1; i <= n; i++) out = out (i > 1 ? " " : "") decimal(list[i])
    return out
}
{
    path = $0
    file = substr(path, length(root) + 1)
    tuned = file ~ /\/tuned\.conf$/
    use = !tuned
    while ((getline < path) > 0) {
        if (tuned && /^[ \t]*\[/) use = /\[sysctl\]/
        if (!use || !/^[ \t]*[^#; \t].*=/) continue
        key = $0
        sub(/=.*/, "", key)
        key = norm(key)
        sub(/^-/, "", key)
        # If a slash comes before any dot, slashes are the separators.
        if (match(key, /[.\/]/) && substr(key, RSTART, 1) == "/") gsub(/\//, ".", key)
        text = $0
        sub(/^[^=]*=/, "", text)
        text = norm(text)
        # In a tuned profile `>` raises a value and never lowers it.
        if (tuned && sub(/^> */, "", text) && isnum(text) && isnum(value[key]) && ge(value[key], text)) continue
        text = members(text)
        value[key] = text
        from[key] = file
        if (file !~ /\/99-zz-stackctl-[a-z0-9-]*\.conf$/) {
            other[key] = text
            whose[key] = file
        }
    }
    close(path)
}
END { for (key in from) print key "\t" value[key] "\t" from[key] "\t" other[key] "\t" whose[key] }
