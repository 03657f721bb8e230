# From keys, a line each, to: key, value; `!reason` where there is none. By awk, not by read of the shell: dash reads
# a byte at a time, and of a sysctl the kernel answers the first read alone.

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
