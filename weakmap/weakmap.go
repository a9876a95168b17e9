// Package weakmap has a map that doesn't keep its values: an entry is there as
// long as somebody else refers to the value, and no longer.
//
// It is the WeakMap of the crate axprocess, on Go's weak pointers. Dead entries
// are swept as the map grows, each insertion paying for a constant number of
// looks, so that a map never holds more dead entries than twice the living ones
// and a few.
package weakmap

import (
	"cmp"
	"iter"
	"slices"
	"sync"
	"weak"
)

// Map maps keys to values that it refers to weakly. The zero value is an empty
// map, ready to use. All methods may be called from any goroutine; it must not be
// copied after the first use.
type Map[K cmp.Ordered, V any] struct {
	mu      sync.RWMutex
	entries map[K]weak.Pointer[V]
	sweepAt int // the length at which the next insertion sweeps
}

// minSweep is the length below which a sweep isn't worth its while.
const minSweep = 16

// Insert makes v the value of key, and returns the one that it replaces if that
// still lives. A nil v removes the entry. Amortised O(1).
func (m *Map[K, V]) Insert(key K, v *V) (replaced *V) {
	if v == nil {
		return m.Remove(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[K]weak.Pointer[V]{}
	}
	replaced = m.entries[key].Value()
	m.entries[key] = weak.Make(v)
	if len(m.entries) >= max(m.sweepAt, minSweep) {
		m.sweep()
	}
	return replaced
}

// sweep removes dead entries. The next one comes when the map has doubled, so
// each insertion has paid for two looks by then; a map that has shrunk by much is
// made anew, since Go's maps keep their size.
func (m *Map[K, V]) sweep() {
	before := len(m.entries)
	for key, w := range m.entries {
		if w.Value() == nil {
			delete(m.entries, key)
		}
	}
	if len(m.entries) < before/4 {
		smaller := make(map[K]weak.Pointer[V], len(m.entries))
		for key, w := range m.entries {
			smaller[key] = w
		}
		m.entries = smaller
	}
	m.sweepAt = 2 * len(m.entries)
}

// Upgrade returns the value of key as a pointer that keeps it, or nil if there is
// none or it is dead. O(1).
func (m *Map[K, V]) Upgrade(key K) *V {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.entries[key].Value()
}

// Remove removes the entry of key, and returns its value if that still lives.
// O(1).
func (m *Map[K, V]) Remove(key K) *V {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.entries[key].Value()
	delete(m.entries, key)
	return v
}

// Values yields the living values, ascending by key: those at the first step that
// still live when their turn comes. O(n log n).
func (m *Map[K, V]) Values() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		m.mu.RLock()
		keys := make([]K, 0, len(m.entries))
		for key := range m.entries {
			keys = append(keys, key)
		}
		m.mu.RUnlock()
		slices.Sort(keys)
		for _, key := range keys {
			if v := m.Upgrade(key); v != nil && !yield(key, v) {
				return
			}
		}
	}
}

// Len returns the number of living values. It looks at each entry: O(n).
func (m *Map[K, V]) Len() (n int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, w := range m.entries {
		if w.Value() != nil {
			n++
		}
	}
	return n
}
