// Package spin has a spin lock for Go programs that run on bare metal: what takes
// it masks interrupts first, so that an interrupt handler can't wait for what it
// has interrupted.
//
// It is the SpinNoIrq of the crate axprocess. Give it to a table with
// axprocess.WithLock. Where there is a scheduler, sync.Mutex is better.
package spin

import (
	"runtime"
	"sync/atomic"
)

// Lock is a spin lock. The zero value is unlocked and masks nothing. It must not
// be copied after the first use.
type Lock struct {
	held  atomic.Bool
	saved uintptr // what Mask returned; the holder's

	// Mask masks interrupts on this CPU and returns what Restore needs to put them
	// back as they were. Both are called by whoever takes and releases the lock:
	// Mask before the lock is tried, Restore after it is free again or, with what
	// that Mask returned, after a try that failed. Set both, or neither, before the
	// first use.
	Mask    func() (before uintptr)
	Restore func(before uintptr)
}

// spins is how often a failed try looks again before it lets others run.
const spins = 100

// Lock takes the lock. While it waits interrupts are as they were, so a handler
// can run; with a scheduler, others run too.
func (l *Lock) Lock() {
	for !l.TryLock() {
		for range spins {
			if !l.held.Load() {
				break
			}
		}
		runtime.Gosched()
	}
}

// TryLock takes the lock if it is free, and says whether it did.
func (l *Lock) TryLock() bool {
	var before uintptr
	if l.Mask != nil {
		before = l.Mask()
	}
	if l.held.CompareAndSwap(false, true) {
		l.saved = before
		return true
	}
	if l.Restore != nil {
		l.Restore(before)
	}
	return false
}

// Unlock releases the lock. It panics if the lock is not held, as sync.Mutex
// fails.
func (l *Lock) Unlock() {
	before := l.saved
	if !l.held.CompareAndSwap(true, false) {
		panic("spin: unlock of an unlocked lock")
	}
	if l.Restore != nil {
		l.Restore(before)
	}
}
