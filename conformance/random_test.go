package conformance

import (
	"os"
	"strconv"
	"sync"
	"testing"
)

// seedVariable gives another seed. The stories of one seed change with the model, so
// each change of it is tried in new ones; who changes nothing finds nothing new, and
// command million is for looking further.
const (
	seedVariable = "AXPROCESS_SEED"
	seedOfTests  = 20261128
)

// TestRandomStories acts twenty thousand random steps on both sides, in two worlds
// at a time. Under the race detector, which is for the driver, it takes fewer.
func TestRandomStories(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not run: needs root, for pid namespaces")
	}
	p := program(t)
	seed := uint64(seedOfTests)
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	steps := 20_000
	if testing.Short() {
		steps = 2_000
	}
	t.Logf("%s=%d", seedVariable, seed)
	const workers = 6
	var tallies [workers]Tally
	var errs [workers]error
	var done sync.WaitGroup
	for i := range workers {
		done.Go(func() { tallies[i], errs[i] = Random(t.Context(), p, seed+uint64(i), steps/workers) })
	}
	done.Wait()
	var all Tally
	for i, err := range errs {
		all.Add(tallies[i])
		if err != nil {
			t.Errorf("%s=%d: %v", seedVariable, seed+uint64(i), err)
		}
	}
	t.Logf("%+v", all)
}
