package strace

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"time"
)

// This file is about the files of strace -ff, one a thread: they have no order
// among them but what their time stamps give.
//
// A call's beginning has a stamp. Its end has one with -T; without, it came before
// the thread's next line, and that is where it is put. Both are lines of their own
// in the merged log, so that what may have overlapped does.
//
// Invariant: each thread's lines stay in their order; a call's end comes after its
// beginning.

// Part is the file of one thread.
type Part struct {
	Name string
	TID  int32 // what its name ends with
	From *Reader
}

// Merge returns a function that yields the lines of all parts in the order of time,
// and io.EOF after the last; the parts are read as they are needed. Numbers of lines
// are those in each part's file. A part without stamps of better than seconds (-tt,
// -ttt) is an error: then there is no order.
func Merge(parts []Part) (next func() (*Line, error), err error) {
	m := &merge{}
	for i := range parts {
		s := &stream{part: &parts[i]}
		if err := s.fill(); err != nil {
			return nil, err
		}
		if s.have {
			m.streams = append(m.streams, s)
		}
	}
	heap.Init(m)
	return m.next, nil
}

// stream is what one part yields: the line that comes next, and behind it the one
// that was read to know when it ends.
type stream struct {
	part    *Part
	line    Line // the next one, its own copy
	have    bool
	ends    bool // line is a call whose beginning has been yielded
	ahead   Line
	haveOne bool
	out     Line
	last    time.Duration
}

// fill takes the next line of a part, and looks at the one after it.
func (s *stream) fill() error {
	if !s.haveOne {
		if err := s.read(&s.ahead); err != nil {
			return err
		}
		s.haveOne = true
	}
	s.line, s.have = s.ahead, s.ahead.Kind != Noise
	if !s.have {
		return nil
	}
	return s.read(&s.ahead)
}

// read copies the next line of a part that tells something; Noise at its end.
func (s *stream) read(to *Line) error {
	for {
		l, err := s.part.From.Next()
		if errors.Is(err, io.EOF) {
			*to = Line{}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.part.Name, err)
		}
		switch l.Kind {
		case Noise, Attached, Detached, Personality:
			continue
		}
		if l.Stamp != Epoch && l.Stamp != Clock || l.Time%time.Second == 0 && !bytes.Contains(l.Text[:min(len(l.Text), 40)], []byte(".000")) {
			return fmt.Errorf("%s: %w", s.part.Name, &FormatError{l.Number,
				"files of strace -ff have no common order: record with -ff -ttt -T"})
		}
		*to = *l
		to.TID = s.part.TID
		to.Name, to.Args, to.Info, to.Text = bytes.Clone(l.Name), bytes.Clone(l.Args), bytes.Clone(l.Info), nil
		s.last = max(s.last, l.Time)
		to.Time = s.last
		return nil
	}
}

// slack is what a beginning and a duration can be short of an end: lines are stamped
// when they are printed, durations end when strace is told.
const slack = 100 * time.Microsecond

// at returns when the stream's next line is due.
func (s *stream) at() time.Duration {
	if !s.ends {
		return s.line.Time
	}
	end := s.line.Time
	switch {
	case s.line.Spent >= 0:
		end += s.line.Spent + slack
	case s.ahead.Kind != Noise:
		return s.ahead.Time
	}
	if s.ahead.Kind != Noise {
		end = min(end, s.ahead.Time)
	}
	return end
}

// yield returns the next line, and moves on.
func (s *stream) yield() (*Line, error) {
	at := s.at()
	s.out = s.line
	s.out.Time = at
	switch {
	case s.line.Kind != Call:
	case !s.ends:
		s.out.Kind, s.ends = Begun, true
		return &s.out, nil
	default:
		s.out.Kind, s.out.Args, s.ends = Resumed, nil, false
	}
	return &s.out, s.fill()
}

// merge is a heap of streams, by what comes next.
type merge struct{ streams []*stream }

func (m *merge) Len() int { return len(m.streams) }

// Less: at one time ends of threads come first, then beginnings, then results.
func (m *merge) Less(i, k int) bool {
	a, b := m.streams[i], m.streams[k]
	rank := func(s *stream) int {
		switch {
		case s.line.Kind == Exited || s.line.Kind == Killed:
			return 0
		case s.ends:
			return 2
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.at(), b.at()), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.part.TID, b.part.TID)) < 0
}

func (m *merge) Swap(i, k int) { m.streams[i], m.streams[k] = m.streams[k], m.streams[i] }
func (m *merge) Push(v any)    { m.streams = append(m.streams, v.(*stream)) }
func (m *merge) Pop() any {
	last := m.streams[len(m.streams)-1]
	m.streams = m.streams[:len(m.streams)-1]
	return last
}

func (m *merge) next() (*Line, error) {
	if len(m.streams) == 0 {
		return nil, io.EOF
	}
	s := m.streams[0]
	l, err := s.yield()
	if err != nil {
		return nil, err
	}
	if s.have {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return l, nil
}
