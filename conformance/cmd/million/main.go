// Command million acts random stories on the table and on the live kernel at once,
// a million steps unless told otherwise, and prints the seed, the counts and the
// time. It exits 1 if the two sides differ, with the story shortened. It needs root,
// for pid namespaces, and gcc.
package main

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"axprocess/conformance"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "decides what is drawn")
	steps := flag.Int("steps", 1_000_000, "how many steps, at least")
	workers := flag.Int("workers", 2, "how many worlds at a time")
	flag.Parse()
	if *workers < 1 || *steps < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "million: -workers and -steps must be at least 1, and nothing else is taken")
		os.Exit(2)
	}
	os.Exit(run(*seed, *steps, *workers))
}

func run(seed uint64, steps, workers int) int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "million: needs root, for pid namespaces")
		return 2
	}
	p, err := conformance.Compile()
	if err != nil {
		fmt.Fprintln(os.Stderr, "million:", err)
		return 2
	}
	defer p.Close()
	begin := time.Now()
	tallies, errs := make([]conformance.Tally, workers), make([]error, workers)
	var done sync.WaitGroup
	for i := range workers {
		done.Go(func() {
			tallies[i], errs[i] = conformance.Random(p, seed+uint64(i), (steps+workers-1)/workers)
		})
	}
	done.Wait()
	var all conformance.Tally
	code := 0
	for i, err := range errs {
		all.Add(tallies[i])
		if err != nil {
			code = 1
			fmt.Printf("seed %d: %v\n", seed+uint64(i), err)
		}
	}
	fmt.Printf("seed %d, %d workers: %+v in %s\n", seed, workers, all, time.Since(begin).Round(time.Second))
	return code
}
