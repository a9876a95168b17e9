package replay

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestDamaged: logs with lines left out, doubled, swapped, cut and changed are
// replayed to their end, and what can't be is said with its line.
func TestDamaged(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 1
	}
	for name, log := range recorded(t) {
		lines := bytes.SplitAfter(log, []byte("\n"))
		for round := range rounds {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(len(log))))
			hurt := damage(rng, lines)
			r, err := play(hurt, Options{})
			if err != nil {
				continue
			}
			if r.Calls != r.Predicted+r.Unpredictable || r.Predicted != r.Agreed+r.Mismatched {
				t.Fatalf("%s, round %d: the counts don't add up", name, round)
			}
			for _, m := range r.Mismatches {
				if m.Line <= 0 || m.Call == "" || m.Got == "" {
					t.Fatalf("%s, round %d: a mismatch without its place: %+v", name, round, m)
				}
			}
		}
	}
}

func damage(rng *rand.Rand, lines [][]byte) []byte {
	var out []byte
	for i := 0; i < len(lines); i++ {
		switch line := lines[i]; rng.IntN(60) {
		case 0: // left out
		case 1:
			out = append(append(out, line...), line...)
		case 2:
			out = append(append(out, lines[rng.IntN(len(lines))]...), line...)
		case 3:
			if len(line) > 2 {
				cut := append([]byte(nil), line...)
				cut[rng.IntN(len(cut)-1)] = "0123456789()<>{}=-+ ,ES"[rng.IntN(23)]
				out = append(out, cut...)
			}
		case 4:
			if len(line) > 2 {
				out = append(out, line[:rng.IntN(len(line))]...)
				out = append(out, '\n')
			}
		default:
			out = append(out, line...)
		}
	}
	return out
}
