package axprocess

import (
	"context"
	"slices"
	"syscall"
)

// This file is about what the model decides and the embedder carries out: each
// signal that reached a process, whichever operation sent it.
//
// Notices are kept in the order of the lock until they are taken, so that none
// can be missed; a table that was not asked for them with WithNotices keeps none.

// WithNotices makes the table keep an Effect for each signal that reaches a
// process, until Notices takes it.
func WithNotices() Option {
	return func(s *state) { s.noticing = true }
}

// notice keeps what a signal did.
func (s *state) notice(m *posted, h *Thread, a Action) {
	if s.noticing {
		s.notices = append(s.notices, Effect{m.to, h, m.info.Signal, a, m.reason})
		s.owes = true
	}
}

// Notices returns all effects that have not been taken, oldest first, and blocks
// while there are none. It returns ctx's error if that comes first, EINVAL if the
// table was made without WithNotices.
func (t *Table) Notices(ctx context.Context) ([]Effect, error) {
	for {
		s := t.enter()
		if !s.noticing {
			s.leave()
			return nil, refuse("notices", 0, syscall.EINVAL, "the table was made without WithNotices")
		}
		if len(s.notices) > 0 {
			taken := slices.Clip(s.notices)
			s.notices = nil
			s.leave()
			return taken, nil
		}
		if s.noticed == nil {
			s.noticed = make(chan struct{})
		}
		ready := s.noticed
		s.leave()
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
