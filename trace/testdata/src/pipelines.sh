set -o pipefail
seq 30 | sort -r | head -3 | cat >/dev/null
for i in 1 2 3 4 5; do true | false | true; echo "${PIPESTATUS[@]}"; done
x=$(echo $(echo a; exit 3); exit 4); echo $?
diff <(seq 3) <(seq 4) >/dev/null
(exit 5) & (exit 6) & wait %1; wait
coproc cat; echo hi >&"${COPROC[1]}"; read -r r <&"${COPROC[0]}"; kill "$COPROC_PID"; wait
trap 'echo usr1' USR1; (sleep 0.02; kill -USR1 $$) & wait; wait
timeout 0.02 sleep 5; echo $?
echo a b c | xargs -n1 -P3 true
{ sleep 0.02 & } 2>/dev/null; disown; sleep 0.05
