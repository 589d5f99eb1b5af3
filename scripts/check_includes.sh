#!/bin/sh
# Fails on an #include that points the wrong way between rooms. The table is that of docs/architecture.md.
#
#   scripts/check_includes.sh [ROOT]
set -eu
root=${1:-$(dirname "$0")/..}
cd "$root"

list=$(mktemp)
trap 'rm -f "$list"' EXIT
find . \( -name .git -o -path './build*' -o -path ./out \) -prune -o -type f \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' \) -print |
    sed 's|^\./||' | sort >"$list"
if [ ! -s "$list" ]; then
    echo "check_includes: no C source in $(pwd); is this the project's folder?" >&2
    exit 1
fi

awk '
BEGIN {
    # room -> what it may include besides itself
    may["include"] = ""
    may["base"] = "include"
    may["reference"] = "include base"
    may["kernels"] = "include base reference"
    may["results"] = ""
    may["harness"] = "include base reference kernels results"
    may["examples"] = "include"
    may["tests"] = "include base reference kernels results harness"
}

function is_file(path,    line, answer) {
    answer = (getline line < path) >= 0
    close(path)
    return answer
}

function complain(where, what) {
    print where ": " what
    bad = 1
}

# The file that a compiler would take: beside the including one first, then from the root, then from include/.
function resolve(file, name, quoted,    folder) {
    folder = file
    sub(/[^\/]*$/, "", folder)
    if (quoted && is_file(folder name)) return folder name
    if (is_file(name)) return name
    if (is_file("include/" name)) return "include/" name
    return ""
}

function check_line(file, line_number, line,    name, quoted, target, from, to) {
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
    quoted = line ~ /^"/
    name = line
    sub(/^["<]/, "", name)
    sub(/[">].*$/, "", name)
    if (name ~ /(^|\/)\.\.\//) {
        complain(file ":" line_number, "#include \"" name "\" climbs out of its folder; name it from the root of the tree")
        return
    }
    target = resolve(file, name, quoted)
    if (target == "") {
        if (quoted) complain(file ":" line_number, "#include \"" name "\" is no file of this tree; write <" name "> for a library")
        return
    }
    from = file; sub(/\/.*/, "", from)
    to = target; sub(/\/.*/, "", to)
    if (from != to && index(" " may[from] " ", " " to " ") == 0)
        complain(file ":" line_number, from "/ must not include " target ": it may see " (may[from] == "" ? "nothing outside itself" : may[from]))
}

{
    file = $0
    room = file
    sub(/\/.*/, "", room)
    if (!(room in may)) {
        complain(file, "no room `" room "` in the table of scripts/check_includes.sh; add it there and to docs/architecture.md")
        next
    }
    line_number = 0
    while ((getline line < file) > 0) {
        line_number++
        if (line ~ /^[ \t]*#[ \t]*include[ \t]*["<]/) check_line(file, line_number, line)
        else if (line ~ /^[ \t]*#[ \t]*include/) complain(file ":" line_number, "an #include by macro cannot be checked")
    }
    close(file)
    files++
}

END {
    if (bad) exit 1
    print "check_includes: " files " files, every arrow points the right way"
}' "$list"
