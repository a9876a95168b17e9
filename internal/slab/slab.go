// Package slab keeps fixed-size rows in chunks that the table owns and reuses.
// A row is named by a 32-bit index, so links between rows are half the size of
// pointers and nothing that the garbage collector has to follow.
//
// Callers serialise all calls.
//
// Invariants:
//   - index 0 names no row: the first chunk's first row is never given, so that
//     chunk always counts as in use and stays;
//   - a chunk with a free row is on the list of such chunks, a full one isn't;
//   - at most one other chunk without any row in use is kept: the memory follows
//     the number of rows down, and a churn at a chunk's edge doesn't allocate.
package slab

import "iter"

// Index names a row; 0 names none.
type Index uint32

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

// Slab holds rows of type T. The zero value is ready to use.
type Slab[T any] struct {
	rows    []*[chunkLen]T // of each chunk; nil where it was given back
	chunks  []chunk
	holes   []uint32 // numbers of chunks that were given back
	partial int32    // 1 + number of a chunk with free rows, 0 when there is none
	spare   int32    // 1 + number of the chunk that is kept empty, 0 when there is none
	n       int
}

// chunk is a header apart from its rows: the rows alone fill whole pages of the
// runtime's, and a header beside them would cost one more page.
type chunk struct {
	free       *[chunkLen]uint16 // a stack of the rows in [0, given) that were freed
	nfree      int32
	given      int32 // rows at and above it were never given
	prev, next int32 // chunks with free rows; 1 + number
}

func (c *chunk) used() int32 { return c.given - c.nfree }

// At returns the row of an index that Alloc gave. The pointer is valid until Free.
func (s *Slab[T]) At(i Index) *T {
	return &s.rows[i>>chunkBits][i%chunkLen]
}

// After is At of next, which a row at i was found to name: rows that were given one
// after the other often name each other so. That it is the one after i is then a
// guess of the processor's, which goes on without waiting for what was read.
func (s *Slab[T]) After(i, next Index) *T {
	if next == i+1 {
		return s.At(i + 1)
	}
	return s.At(next)
}

// Len returns the number of rows in use.
func (s *Slab[T]) Len() int { return s.n }

// Given yields, in the order of memory, each row that is in use and some that
// were, which are zero.
func (s *Slab[T]) Given() iter.Seq2[Index, *T] {
	return func(yield func(Index, *T) bool) {
		for number := range s.chunks {
			c := &s.chunks[number]
			for at := range c.given {
				i := Index(int32(number)<<chunkBits + at)
				if i != 0 && !yield(i, &s.rows[number][at]) {
					return
				}
			}
		}
	}
}

// Alloc returns a row, zeroed.
func (s *Slab[T]) Alloc() (Index, *T) {
	if s.partial == 0 {
		s.addChunk()
	}
	number := s.partial - 1
	c := &s.chunks[number]
	if s.spare == s.partial {
		s.spare = 0
	}
	var at int32
	if c.nfree > 0 {
		c.nfree--
		at = int32(c.free[c.nfree])
	} else {
		at = c.given
		c.given++
	}
	if c.used() == chunkLen {
		s.unlink(number)
	}
	s.n++
	return Index(number<<chunkBits + at), &s.rows[number][at]
}

// Free gives a row back, zeroing it, so that it refers to nothing.
func (s *Slab[T]) Free(i Index) {
	number, at := int32(i>>chunkBits), i%chunkLen
	c := &s.chunks[number]
	var zero T
	s.rows[number][at] = zero
	if c.used() == chunkLen {
		s.link(number)
	}
	if c.free == nil {
		c.free = new([chunkLen]uint16)
	}
	c.free[c.nfree] = uint16(at)
	c.nfree++
	s.n--
	if c.used() > 0 {
		return
	}
	if s.spare == 0 {
		s.spare = number + 1
		return
	}
	s.unlink(number)
	s.chunks[number] = chunk{}
	s.rows[number] = nil
	s.holes = append(s.holes, uint32(number))
}

func (s *Slab[T]) addChunk() {
	rows := new([chunkLen]T)
	var number int32
	if n := len(s.holes); n > 0 {
		number = int32(s.holes[n-1])
		s.holes = s.holes[:n-1]
		s.rows[number] = rows
	} else {
		number = int32(len(s.chunks))
		s.chunks = append(s.chunks, chunk{})
		if number == 0 {
			s.chunks[0].given = 1
		}
		s.rows = append(s.rows, rows)
	}
	s.link(number)
}

func (s *Slab[T]) link(number int32) {
	c := &s.chunks[number]
	c.prev, c.next = 0, s.partial
	if s.partial != 0 {
		s.chunks[s.partial-1].prev = number + 1
	}
	s.partial = number + 1
}

func (s *Slab[T]) unlink(number int32) {
	c := &s.chunks[number]
	if c.prev == 0 {
		s.partial = c.next
	} else {
		s.chunks[c.prev-1].next = c.next
	}
	if c.next != 0 {
		s.chunks[c.next-1].prev = c.prev
	}
	c.prev, c.next = 0, 0
}
