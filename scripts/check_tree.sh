#!/bin/sh
# Fails where the tree breaks a rule of the house that no compiler sees:
#   no text file over 600 lines, no file over 4 MiB; a README.md in every top folder; every public header compiles alone, as C11 and as C++;
#   shell scripts parse and can be executed; no path of the machine that something was written on; pages named exist.
#
#   scripts/check_tree.sh [ROOT]        looks at what git tracks there
set -eu
root=${1:-$(dirname "$0")/..}
cd "$root"
max_lines=600
max_bytes=4194304

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z --cached | tr '\0' '\n' >"$work/files"
if [ ! -s "$work/files" ]; then
    echo "check_tree: git tracks nothing in $(pwd)" >&2
    exit 1
fi
: >"$work/complaints"
complain() {
    echo "$1" >>"$work/complaints"
}

headers=0
while read -r file; do
    [ -f "$file" ] || continue # deleted, not committed yet
    bytes=$(wc -c <"$file")
    [ "$bytes" -le "$max_bytes" ] || complain "$file: $bytes bytes; $max_bytes is the most: weights are made, or found elsewhere"
    case $file in
    LICENSE | *.json) ;; # licences and published configurations are as long as they are
    *)
        if grep -Iq . "$file"; then
            lines=$(wc -l <"$file")
            [ "$lines" -le "$max_lines" ] || complain "$file: $lines lines; $max_lines is the most: one idea a file"
        fi
        ;;
    esac
    case $file in
    include/*.h)
        headers=$((headers + 1))
        for language in c c++; do
            standard=c11
            [ "$language" = c ] || standard=c++11
            if ! "${CC:-gcc}" -x $language -std=$standard -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$file" 2>"$work/said"; then
                complain "$file: does not compile alone as $standard: $(head -n 1 "$work/said")"
            fi
        done
        ;;
    scripts/*.sh | .ci/run)
        [ -x "$file" ] || complain "$file: is not executable"
        if head -n 1 "$file" | grep -q bash; then shell="bash"; else shell="sh"; fi
        $shell -n "$file" 2>"$work/said" || complain "$file: does not parse: $(head -n 1 "$work/said")"
        ;;
    esac
done <"$work/files"
[ "$headers" -gt 0 ] || complain "include/: no public header; where is the decoder ABI?"

# shellcheck disable=SC2013 # names of top folders, which hold no spaces
for folder in $(grep / "$work/files" | cut -d/ -f1 | sort -u); do
    case $folder in
    .*) ;;
    *) grep -qx "$folder/README.md" "$work/files" || complain "$folder/: no README.md; ten lines: what lives here, how to add one more" ;;
    esac
done

# In two pieces, lest this line be found too.
machine_path='/work''/'
if git grep -InF -e "$machine_path" >"$work/said" 2>/dev/null; then
    while read -r line; do complain "$line: names a path of the machine it was written on"; done <"$work/said"
fi

# Pages that sources and messages name, and relative links of Markdown.
{
    git grep -IHno -e 'docs/[A-Za-z0-9_-]*\.md' | sed 's|^\([^:]*:[0-9]*\):|\1 |'
    git grep -IHno -e '](\([^)]*\)' -- '*.md' | grep -v -e '](#' -e '://' |
        sed -n 's|^\(\([^:]*/\)\{0,1\}[^/:]*:[0-9]*\):](\([^#]*\).*$|\1 \2\3|p'
} >"$work/links" || true
while read -r where target; do
    [ -e "$target" ] || complain "$where: names $target, which does not exist"
done <"$work/links"

if [ -s "$work/complaints" ]; then
    cat "$work/complaints"
    exit 1
fi
echo "check_tree: $(wc -l <"$work/files") files, $headers public headers, no complaint"
