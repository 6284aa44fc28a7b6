for d in 0 2000 5000 10000 20000 40000 60000 90000; do together load "offline 2" $d; unload; online 2; mask; done
for d in 0 5000 20000 60000; do together "offline 2" load $d; mask; unload; online 2; done
for d in 0 5000 20000 60000; do offline 3; together load "online 3" $d; mask; unload; done
for d in 0 5000 20000 60000; do offline 3; together "online 3" load $d; mask; unload; done
for d in 0 5000 20000 60000; do load; together unload "offline 1" $d; mask; online 1; done
for d in 0 5000 20000 60000; do load; together "offline 1" unload $d; mask; online 1; done
for d in 0 5000 20000 60000; do load; offline 1; together unload "online 1" $d; mask; done
