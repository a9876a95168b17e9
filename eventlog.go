package axprocess

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// This file is about where events are kept and how they are read. hooks.go is
// about who appends them.
//
// Events are in segments, and the segments in a ring. A segment is written once,
// under the table's lock, and never again: when the ring comes round it is
// replaced. So readers take no lock while they copy, and one that is slow pins
// nothing between its calls: all it has is the number of the event that it wants
// next. What an operation appends can be read when the operation is over.
//
// Invariants:
//   - the event numbered n is in slot (n-1) mod segmentLen of segment
//     (n-1) div segmentLen;
//   - a slot below published is never written again;
//   - memory is bounded by the ring, and by what one operation touches.

const segmentLen = 64

type segment struct {
	first  uint64 // number of the event in slot 0
	events [segmentLen]Event
}

// eventLog is what a table has that was made WithEvents.
type eventLog struct {
	ring      []atomic.Pointer[segment]
	base      uint64                  // events up to this number were never kept here
	spare     atomic.Pointer[segment] // the next one, allocated outside of the lock
	published atomic.Uint64           // the last number that can be read

	// The lock guards these.
	last    uint64 // the last number given
	current *segment
	now     time.Time
	lastAt  time.Time     // when the last event was
	touched []touch       // whose attributes have changed in this operation
	waiting chan struct{} // closed once there is more to read; nil if nobody waits
}

// WithEvents makes the table keep its events: at least the last capacity of them,
// and at most 128 more; each takes some 300 bytes. NewInit says EINVAL if capacity
// is below 1. Without this option there are none, and operations pay one branch.
func WithEvents(capacity int) Option {
	return func(s *state) {
		if capacity < 1 || capacity > 1<<30 {
			s.misuse = refuse("new table", 0, syscall.EINVAL, "WithEvents(%d) is not in 1…2^30", capacity)
			return
		}
		s.log = &eventLog{ring: make([]atomic.Pointer[segment], (capacity+segmentLen-1)/segmentLen+1)}
	}
}

// WithClock gives events their times. It is called at the start of each
// operation, before the lock is taken, so it may do what it likes but call the
// table. Times that go back are held at the last one.
func WithClock(now func() time.Time) Option {
	return func(s *state) { s.clock = now }
}

// enterLogged is enter for a table that keeps events.
func (t *Table) enterLogged() {
	s := &t.guarded
	var now time.Time
	if s.clock != nil {
		now = s.clock().Round(0)
	}
	if s.log.spare.Load() == nil {
		s.log.spare.Store(new(segment))
	}
	s.lock()
	if now.After(s.log.now) {
		s.log.now = now
	}
}

// add appends an event.
func (l *eventLog) add(e *Event) {
	slot := l.last % segmentLen
	if l.current == nil || slot == 0 && l.current.first != l.last+1 {
		l.turn(l.last - slot + 1)
	}
	l.last++
	l.lastAt = l.now
	e.Seq, e.At = l.last, l.now
	l.current.events[slot] = *e
}

// turn begins a segment, in the place of the oldest one.
func (l *eventLog) turn(first uint64) {
	seg := l.spare.Swap(nil)
	if seg == nil {
		seg = new(segment)
	}
	seg.first = first
	l.current = seg
	l.place(first).Store(seg)
}

func (l *eventLog) place(n uint64) *atomic.Pointer[segment] {
	return &l.ring[(n-1)/segmentLen%uint64(len(l.ring))]
}

// publish ends an operation: what it appended can be read. It returns what is to
// be closed after the unlock, if anything.
func (l *eventLog) publish() chan struct{} {
	if l.last == l.published.Load() {
		return nil
	}
	l.published.Store(l.last)
	wake := l.waiting
	l.waiting = nil
	return wake
}

// MissedError says which events a reader has missed: they are no longer kept.
type MissedError struct {
	First, Last uint64
}

// Error names the range.
func (e *MissedError) Error() string {
	return fmt.Sprintf("events %d to %d are no longer kept", e.First, e.Last)
}

// Reader reads a table's events. It is for one goroutine at a time.
type Reader struct {
	table *Table
	next  uint64
}

// EventsAfter returns a reader whose first event is number n+1: after a Snapshot
// whose Seq is n, all that changed since. EINVAL if the table was made without
// WithEvents, or n has not been reached. A reader that is dropped costs nothing.
func (t *Table) EventsAfter(n uint64) (*Reader, error) {
	const op = "events"
	s := t.enter()
	defer s.leave()
	if s.log == nil {
		return nil, refuse(op, 0, syscall.EINVAL, "the table was made without WithEvents")
	}
	if n > s.log.last {
		return nil, refuse(op, 0, syscall.EINVAL, "event %d has not happened: the last is %d", n, s.log.last)
	}
	return &Reader{table: t, next: n + 1}, nil
}

// Seq returns the number of the event that comes next.
func (r *Reader) Seq() uint64 { return r.next }

// Read fills buf with the events that come next, blocks while there are none, and
// says how many it got: at least one, or an error, which is ctx's, or a
// *MissedError that names what this reader has missed; it then goes on with the
// first event after that. No lock is held while it copies; the table does not
// wait for it.
func (r *Reader) Read(ctx context.Context, buf []Event) (int, error) {
	for {
		if n, err := r.TryRead(buf); n > 0 || err != nil || len(buf) == 0 {
			return n, err
		}
		more := r.more()
		if more == nil {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// TryRead is Read that returns 0 where Read blocks.
func (r *Reader) TryRead(buf []Event) (n int, err error) {
	l := r.table.guarded.log
	for n < len(buf) {
		last := l.published.Load()
		if r.next > last {
			return n, nil
		}
		if r.next <= l.base {
			missed := &MissedError{r.next, l.base}
			r.next = l.base + 1
			return 0, missed
		}
		seg := l.place(r.next).Load()
		slot := (r.next - 1) % segmentLen
		if seg == nil || seg.first != r.next-slot {
			if n > 0 {
				return n, nil // the caller gets what there was first
			}
			return 0, r.missed(l)
		}
		got := copy(buf[n:], seg.events[slot:min(segmentLen, last-r.next+1+slot)])
		n += got
		r.next += uint64(got)
	}
	return n, nil
}

// missed finds the oldest segment that is kept. The table may go on meanwhile;
// then the next read says so.
func (r *Reader) missed(l *eventLog) error {
	first := r.next
	for {
		if r.next += segmentLen - (r.next-1)%segmentLen; r.next > l.published.Load() {
			r.next = l.published.Load() + 1
			break
		}
		if seg := l.place(r.next).Load(); seg != nil && seg.first == r.next {
			break
		}
	}
	return &MissedError{first, r.next - 1}
}

// more returns a channel that is closed once there is something to read, or nil
// if there is already.
func (r *Reader) more() chan struct{} {
	s := r.table.enter()
	defer s.leave()
	if s.log.published.Load() >= r.next {
		return nil
	}
	if s.log.waiting == nil {
		s.log.waiting = make(chan struct{})
	}
	return s.log.waiting
}
