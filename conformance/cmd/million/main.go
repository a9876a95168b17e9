// Command million acts random stories on the table and on the live kernel at once,
// a million steps unless told otherwise, and prints the seed, the counts and the
// time. A difference is printed as soon as it is found, with the story shortened;
// that worker ends, the others go on, and it exits 1. SIGINT and SIGTERM end it after
// the stories that are being acted. It needs root, for pid namespaces, and gcc.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
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
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	begin := time.Now()
	var (
		mu      sync.Mutex
		all     conformance.Tally
		differs bool
		done    sync.WaitGroup
	)
	for i := range workers {
		done.Go(func() {
			own := seed + uint64(i)
			tally, err := conformance.Random(ctx, p, own, (steps+workers-1)/workers)
			mu.Lock()
			defer mu.Unlock()
			all.Add(tally)
			if err != nil {
				differs = true
				fmt.Printf("seed %d, after %d steps: %v\n", own, tally.Steps, err)
			}
		})
	}
	done.Wait()
	for _, err := range all.Disturbed {
		fmt.Printf("once only: %v\n", err)
	}
	fmt.Printf("seed %d, %d workers: %d stories of %d steps in %s; %d parted in what the kernel leaves open, %d once only\n",
		seed, workers, all.Stories, all.Steps, time.Since(begin).Round(time.Second), all.Unordered, len(all.Disturbed))
	if differs || all.Steps < steps {
		return 1
	}
	return 0
}
