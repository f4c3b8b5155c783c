# SPDX-License-Identifier: MIT
# Files and the programs that handle them.
umask 022
mkdir -p a/b/c
seq 1 1000 >a/numbers
cp a/numbers a/b/copy
cmp a/numbers a/b/copy && echo same
ln a/numbers a/hard
ln -s numbers a/soft
ls a
ls -l a | awk 'NR > 1 { print $1, $2, $5, $9, $10, $11 }'
stat -c '%n %s %h %a %F' a/numbers a/soft a/b
chmod 640 a/numbers
stat -c %a a/hard
md5sum <a/numbers
sha256sum <a/numbers
mv a/b/copy a/b/c/moved
find a -type f | sort
find a -name 'm*' -exec basename {} \;
tar cf t.tar a
tar tf t.tar | sort
mkdir out
tar xf t.tar -C out
diff -r a out/a && echo "no difference"
gzip -c a/numbers | gunzip | md5sum
dd if=/dev/zero of=zeroes bs=1000 count=100 2>/dev/null
wc -c <zeroes
dd if=a/numbers bs=1 skip=10 count=5 2>/dev/null | od -c | head -n 1
truncate -s 5 zeroes
stat -c %s zeroes
touch -d '2001-02-03 04:05:06 UTC' old
TZ=UTC date -r old +%Y-%m-%dT%H:%M:%S
[ a/numbers -nt old ] && echo newer
sed -n '500p;$p' a/numbers
sort -rn a/numbers | head -n 2
sed -i 's/^1$/ONE/' a/numbers
head -n 1 a/numbers
readlink a/soft
[ -L a/soft ] && [ -f a/soft ] && [ ! -d a/soft ] && echo link
cd a/b && pwd | sed 's/.*\///'
cd ../..
rm -r a out t.tar zeroes old
ls
echo "left: $(ls | wc -l)"
