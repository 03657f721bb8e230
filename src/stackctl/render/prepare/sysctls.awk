# Reads keys, one a line. Output: key, value; `!reason` where there is none. In awk and not with read of the shell: dash
# reads a byte at a time, and the kernel answers only the first read of a sysctl.

{
    path = $1
    gsub(/\./, "/", path)
    path = root "/proc/sys/" path
    value = "!it cannot be read"
    if ((getline value < path) >= 0) close(path)
    else if (system("test -e \"" path "\"") != 0) value = "!this kernel has no such key"
    # Triples are separated by tabs, as fields are here.
    gsub(/[ \t]+/, " ", value)
    print $1 "\t" value
}
