package spin

import (
	"sync"
	"sync/atomic"
	"testing"
)

var _ sync.Locker = (*Lock)(nil)

func TestOneHolderAtATime(t *testing.T) {
	var l Lock
	var done sync.WaitGroup
	n := 0
	for range 8 {
		done.Go(func() {
			for range 2000 {
				l.Lock()
				n++
				l.Unlock()
			}
		})
	}
	done.Wait()
	if n != 16_000 {
		t.Errorf("counted %d under the lock, want 16000", n)
	}
}

func TestTryLock(t *testing.T) {
	var l Lock
	if !l.TryLock() || l.TryLock() {
		t.Error("a free lock can't be taken, or a held one can")
	}
	l.Unlock()
	if !l.TryLock() {
		t.Error("a released lock can't be taken")
	}
}

func TestUnlockOfAnUnlockedLock(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was accepted")
		}
	}()
	new(Lock).Unlock()
}

// TestInterruptsAreMaskedWhileHeld: each Mask has its Restore with what it
// returned, and while the lock is held they are masked.
func TestInterruptsAreMaskedWhileHeld(t *testing.T) {
	var masked atomic.Int64 // how many are masked now
	var given atomic.Uint64
	var out sync.Map // what Mask returned and Restore hasn't got
	l := Lock{
		Mask: func() uintptr {
			masked.Add(1)
			before := uintptr(given.Add(1))
			out.Store(before, true)
			return before
		},
		Restore: func(before uintptr) {
			if _, mine := out.LoadAndDelete(before); !mine {
				t.Errorf("Restore got %d, which no Mask returned", before)
			}
			masked.Add(-1)
		},
	}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for range 500 {
				l.Lock()
				if masked.Load() < 1 {
					t.Error("held with interrupts on")
				}
				l.Unlock()
			}
		})
	}
	done.Wait()
	l.Lock()
	if l.TryLock() {
		t.Error("a held lock was taken")
	}
	if masked.Load() != 1 {
		t.Errorf("%d masks are in force under the lock, want 1", masked.Load())
	}
	l.Unlock()
	if masked.Load() != 0 {
		t.Error("interrupts stay masked")
	}
}
