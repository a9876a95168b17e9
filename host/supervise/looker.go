package supervise

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// This file is about following by /proc alone: a subreaper gets the orphans, and
// looks find what lives long enough. It needs nothing, and disturbs nothing.
//
// Invariant: it never claims to be complete.

type looker struct {
	k        *keeper
	quit     chan struct{}
	stopOnce sync.Once
}

// lookEvery is the shortest time between two looks; each look that takes long is
// followed by a pause lookShare times as long.
const (
	lookEvery = 10 * time.Millisecond
	lookShare = 30
)

func (l *looker) complete() bool   { return false }
func (l *looker) lost() int        { return -1 }
func (l *looker) follows(int) bool { return false }
func (l *looker) stop()            { l.stopOnce.Do(func() { close(l.quit) }) }

func (l *looker) start(k *keeper, c *launch) error {
	l.k, l.quit = k, make(chan struct{})
	result := make(chan error, 1)
	go func() {
		if c.die {
			runtime.LockOSThread() // the parent-death signal comes when the thread ends that forked
		}
		pid, err := syscall.ForkExec(c.path, c.argv, &c.attr)
		if err == nil {
			k.first(pid)
		}
		result <- err
		if err == nil {
			l.loop()
		}
	}()
	return <-result
}

// loop looks when a child has ended, and from time to time.
func (l *looker) loop() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	l.k.firstStops() // what came before the signal could be heard
	pause := time.NewTimer(lookEvery)
	defer pause.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-ended:
			l.k.settleLiving(l)
			l.k.firstStops()
			continue
		case <-pause.C:
		}
		began := time.Now()
		l.k.sweep(l, scanBelow(), false)
		l.k.firstStops()
		pause.Reset(max(lookEvery, lookShare*time.Since(began)))
	}
}
