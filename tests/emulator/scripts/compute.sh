# SPDX-License-Identifier: MIT
# Something to do for the processor.
awk 'BEGIN { for (i = 0; i < 20000; i++) s += i / 7; printf "%.6f\n", s }'
awk 'BEGIN { for (i = 1; i < 3000; i++) a[i % 100] = a[i % 100] i; n = 0; for (k in a) n += length(a[k]); print n }'
seq 1 5000 | sort -k1,1 | md5sum
echo '2 10 ^ 3 / p 7 2 3 * + p' | dc
echo 'scale = 20; 1 / 7; 2 ^ 100' | bc
seq 1 3000 | sha1sum
factor 1234567890
TZ=UTC date -d @1234567890 '+%Y-%m-%d %H:%M:%S'
expr 123456 \* 1000 / 7
printf 'héllo wörld\n' | od -t x1 | head -n 2
seq 1 200 | awk '{ print $1 * $1 }' | grep '^[0-9]*4$' | wc -l
