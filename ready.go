package axprocess

import "axprocess/internal/slab"

// This file is about the zombies that a wait can take: a pairing heap by birth
// in each list of children, since among several that are ready the one that
// became a child first is returned, whenever it ended (semantics 5.2). To find
// it costs the same however many children are not ready; to put one in is O(1),
// to take one out O(log zombies) amortised.
//
// A zombie has no children, so its brood's three indices are its links here.
//
// Invariants: in the heap is exactly each zombie of the list (I6); no node is
// younger than its heap parent.

func (r *row) heapChild() *slab.Index { return &r.brood.first }   // the first of the nodes below
func (r *row) heapNext() *slab.Index  { return &r.brood.last }    // the next beside
func (r *row) heapPrev() *slab.Index  { return &r.brood.zombies } // the one beside before, or the node above

func (s *state) pushZombie(root *slab.Index, at slab.Index) {
	s.rows.At(at).brood = brood{}
	*root = s.meld(*root, at)
}

func (s *state) dropZombie(root *slab.Index, at slab.Index) {
	r := s.rows.At(at)
	below := s.meldPairs(*r.heapChild())
	if *root == at {
		*root = below
	} else {
		prev, next := *r.heapPrev(), *r.heapNext()
		before := s.rows.At(prev)
		if *before.heapChild() == at {
			*before.heapChild() = next
		} else {
			*before.heapNext() = next
		}
		if next != 0 {
			*s.rows.At(next).heapPrev() = prev
		}
		*root = s.meld(*root, below)
	}
	r.brood = brood{}
}

// meld joins two heaps, each given by its root.
func (s *state) meld(a, b slab.Index) slab.Index {
	if a == 0 || b == 0 {
		return a | b
	}
	ra, rb := s.rows.At(a), s.rows.At(b)
	if rb.birth < ra.birth {
		a, b, ra, rb = b, a, rb, ra
	}
	next := *ra.heapChild()
	*rb.heapPrev(), *rb.heapNext() = a, next
	if next != 0 {
		*s.rows.At(next).heapPrev() = b
	}
	*ra.heapChild() = b
	return a
}

// meldPairs joins a row of siblings two by two from the left, then from the
// right: what makes the heap's bound hold.
func (s *state) meldPairs(first slab.Index) slab.Index {
	var pairs slab.Index // joined pairs, the last one first, linked by heapNext
	for first != 0 {
		a := first
		b := *s.rows.At(a).heapNext()
		first = 0
		if b != 0 {
			first = *s.rows.At(b).heapNext()
		}
		s.detach(a)
		if b != 0 {
			s.detach(b)
		}
		joined := s.meld(a, b)
		*s.rows.At(joined).heapNext() = pairs
		pairs = joined
	}
	var root slab.Index
	for pairs != 0 {
		next := *s.rows.At(pairs).heapNext()
		s.detach(pairs)
		root = s.meld(root, pairs)
		pairs = next
	}
	return root
}

func (s *state) detach(at slab.Index) {
	r := s.rows.At(at)
	*r.heapPrev(), *r.heapNext() = 0, 0
}

// firstZombie returns the oldest zombie below root that matches w, or 0. O(1) when
// the oldest does, else O(zombies).
func (s *state) firstZombie(root slab.Index, w *want) slab.Index {
	if root == 0 || w.matches(s.rows.At(root)) {
		return root
	}
	var best slab.Index
	for at := root; at != 0; {
		r := s.rows.At(at)
		if (best == 0 || r.birth < s.rows.At(best).birth) && w.matches(r) {
			best = at
		}
		if child := *r.heapChild(); child != 0 {
			at = child
			continue
		}
		for at != 0 && *s.rows.At(at).heapNext() == 0 {
			at = s.heapParent(at)
		}
		if at != 0 {
			at = *s.rows.At(at).heapNext()
		}
	}
	return best
}

// heapParent returns the node above, or 0 for the root.
func (s *state) heapParent(at slab.Index) slab.Index {
	for {
		prev := *s.rows.At(at).heapPrev()
		if prev == 0 || *s.rows.At(prev).heapChild() == at {
			return prev
		}
		at = prev
	}
}
