// Package radix maps small positive integers to pointers, for tables whose
// keys are handed out densely and reused: process ids.
//
// Get takes no lock and may run beside anything. Set and All must be
// serialised by the caller, who has a lock anyway.
//
// Invariants:
//   - at most one page that holds no pointer is reachable from the root, so the
//     memory follows the number of keys up and down. It stays where it is, and
//     moves when a page is needed elsewhere: keys advance, so what empties is
//     often what is filled next;
//   - one empty node is kept as a spare: a churn at its edge must not allocate
//     each time;
//   - a page's place is changed only while the page is empty and unreachable, and
//     never comes back: it counts the uses of the page. A reader that still holds
//     such a page sees nil, which was true when the page was taken away, or sees
//     that the place has changed around its look at the slot, and starts again.
package radix

import (
	"iter"
	"sync/atomic"
)

const (
	pageBits = 8
	nodeBits = 7
	pageLen  = 1 << pageBits
	nodeLen  = 1 << nodeBits
	nodeSpan = pageBits + nodeBits
)

// Table maps uint32 keys to *T. The zero value is an empty table.
type Table[T any] struct {
	root      atomic.Pointer[[]atomic.Pointer[node[T]]]
	recent    *page[T] // the reachable page that Set used last
	idle      *page[T] // the reachable page that emptied last; it may have been filled again
	spareNode *node[T]
	n         int
}

type node[T any] struct {
	pages [nodeLen]atomic.Pointer[page[T]]
	used  int
}

type page[T any] struct {
	place atomic.Uint64 // its first key, above it how often it has been placed
	used  int32
	slots [pageLen]atomic.Pointer[T]
}

// Get returns the pointer at key, or nil. It takes no lock and costs four
// dependent loads.
func (t *Table[T]) Get(key uint32) *T {
	for {
		root := t.root.Load()
		if root == nil || int(key>>nodeSpan) >= len(*root) {
			return nil
		}
		nd := (*root)[key>>nodeSpan].Load()
		if nd == nil {
			return nil
		}
		pg := nd.pages[key>>pageBits%nodeLen].Load()
		if pg == nil {
			return nil
		}
		place := pg.place.Load()
		v := pg.slots[key%pageLen].Load()
		if uint32(place) == key&^(pageLen-1) && pg.place.Load() == place {
			return v
		}
		// The page was emptied and reused between two of our loads.
	}
}

// Len returns the number of keys that hold a pointer. Serialise it with Set.
func (t *Table[T]) Len() int { return t.n }

// Set makes key hold v; nil takes the key away. It allocates only when the key
// is the first of its page and no spare page is at hand.
func (t *Table[T]) Set(key uint32, v *T) {
	pg := t.recent
	if pg == nil || uint32(pg.place.Load()) != key&^(pageLen-1) {
		if pg = t.reachable(key); pg == nil {
			if v == nil {
				return
			}
			pg = t.grow(key)
		}
		t.recent = pg
	}
	slot := &pg.slots[key%pageLen]
	had := slot.Load() != nil
	switch {
	case v != nil:
		slot.Store(v)
		if !had {
			pg.used++
			t.n++
		}
	case had:
		slot.Store(nil)
		t.n--
		if pg.used--; pg.used == 0 && t.idle != pg {
			t.unused()
			t.idle = pg
		}
	}
}

// reachable returns the page of a key, or nil if there is none.
func (t *Table[T]) reachable(key uint32) *page[T] {
	root := t.root.Load()
	if root == nil || int(key>>nodeSpan) >= len(*root) {
		return nil
	}
	if nd := (*root)[key>>nodeSpan].Load(); nd != nil {
		return nd.pages[key>>pageBits%nodeLen].Load()
	}
	return nil
}

// grow adds the page of a key.
func (t *Table[T]) grow(key uint32) *page[T] {
	pg := t.unused()
	if pg == nil {
		pg = new(page[T])
	}
	top := int(key >> nodeSpan)
	root := t.root.Load()
	if root == nil || top >= len(*root) {
		root = t.growRoot(root, top)
	}
	nd := (*root)[top].Load()
	if nd == nil {
		if nd, t.spareNode = t.spareNode, nil; nd == nil {
			nd = new(node[T])
		}
		(*root)[top].Store(nd)
	}
	pg.place.Store((pg.place.Load()>>32+1)<<32 | uint64(key&^(pageLen-1)))
	nd.used++
	nd.pages[key>>pageBits%nodeLen].Store(pg)
	return pg
}

func (t *Table[T]) growRoot(root *[]atomic.Pointer[node[T]], top int) *[]atomic.Pointer[node[T]] {
	size := 1
	for size <= top {
		size *= 2
	}
	bigger := make([]atomic.Pointer[node[T]], size)
	if root != nil {
		for i := range *root {
			bigger[i].Store((*root)[i].Load())
		}
	}
	t.root.Store(&bigger)
	return &bigger
}

// unused takes the empty page out of the table and returns it, or nil.
func (t *Table[T]) unused() *page[T] {
	pg := t.idle
	if t.idle = nil; pg == nil || pg.used > 0 {
		return nil
	}
	if t.recent == pg {
		t.recent = nil
	}
	key, root := uint32(pg.place.Load()), t.root.Load()
	nd := (*root)[key>>nodeSpan].Load()
	nd.pages[key>>pageBits%nodeLen].Store(nil)
	if nd.used--; nd.used == 0 {
		(*root)[key>>nodeSpan].Store(nil)
		t.spareNode = nd
	}
	return pg
}

// All yields the keys that hold a pointer, ascending, with what they hold.
func (t *Table[T]) All() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		root := t.root.Load()
		if root == nil {
			return
		}
		for i := range *root {
			nd := (*root)[i].Load()
			if nd == nil {
				continue
			}
			for j := range nd.pages {
				pg := nd.pages[j].Load()
				if pg == nil {
					continue
				}
				for k := range pg.slots {
					v := pg.slots[k].Load()
					if v != nil && !yield(uint32(i<<nodeSpan|j<<pageBits|k), v) {
						return
					}
				}
			}
		}
	}
}
